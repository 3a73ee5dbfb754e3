"""From a source of examples, whatever it is, to the examples as they stand there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ricorso.data.example_columns import Asked, ExampleColumns, Found, Layout, some
from ricorso.data.example_folder import examples_of_folder
from ricorso.data.example_table import examples_of_table
from ricorso.data.json_lines import read_json_lines
from ricorso.data.labelled_text import PREFIX, delimiter_of, read_fields, read_lines, read_prefixed
from ricorso.data.recordings import recordings_of_arrays
from ricorso.data.table import read_table
from ricorso.data.text import is_file_name, read_text, wrong_character
from ricorso.data.ts_file import read_ts
from ricorso.errors import DataError, UsageError

_JSON = (".jsonl", ".ndjson")


def name_of(source: Any) -> str:
    """What a source is called in messages.

    >>> name_of("-"), name_of("reviews.csv"), name_of({"text": ["good"]}), name_of(["good"])
    ('standard input', 'reviews.csv', 'the table', 'the data')
    """
    if isinstance(source, str | Path):
        return "standard input" if str(source) == "-" else str(source)
    return "the table" if isinstance(source, Mapping | pl.LazyFrame) or hasattr(source, "columns") else "the data"


def found_in(
    source: Any,
    where: str,
    asked: Asked,
    header: bool | None,
    encoding: str,
    columns: ExampleColumns | None,
    known: Collection[str],
) -> Found:
    """The examples of a source. columns: how other data were read; roles that are not asked for are taken from there.

    Raises DataError for a source that cannot be read, UsageError for one of another type.
    """
    if isinstance(source, str | Path):
        if not is_file_name(source) or "\0" in str(source):
            raise UsageError("A path was expected, got a longer text. Give texts as a list of texts.")
        if str(source) == "-":
            return _in_text(source, "", where, asked, header, encoding, columns, known)
        path = Path(source)
        try:
            exists, is_folder = path.exists(), path.is_dir()
        except OSError as error:
            raise DataError(f"'{path}' cannot be read: {error.strerror}.") from error
        if is_folder:
            return examples_of_folder(path, _as_before(asked, columns, "folder", "files"), encoding, columns)
        if not exists:
            raise DataError(f"There is no file or folder '{path}'. Check the path.")
        kind = Path(path.name.removesuffix(".gz")).suffix.lower()
        if kind in (*_JSON, ".parquet"):
            return examples_of_table(read_table(path), where, _as_before(asked, columns, "table"))
        return _in_text(path, kind, where, asked, header, encoding, columns, known)
    if isinstance(source, pl.DataFrame | pl.LazyFrame | Mapping) or (
        hasattr(source, "columns") and hasattr(source, "to_dict")
    ):
        return examples_of_table(read_table(source), where, _as_before(asked, columns, "table"))
    return _in_list(source, where)


def labels_beside(labels: Any, count: int, where: str) -> list[Any]:
    """Labels given beside the examples, a cell for each; a matrix of 0 and 1 has a column for each label.

    Raises UsageError for another number of labels than examples.

    >>> labels_beside(np.array([[1, 0], [1, 1]]), 2, "the data")
    [['0'], ['0', '1']]
    """
    if isinstance(labels, str | bytes | Mapping) or not hasattr(labels, "__len__"):
        raise UsageError(f"labels should be a list or an array with a label for each example, got {labels!r:.60}.")
    values = np.asarray(labels) if hasattr(labels, "__array__") else labels
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "biuf":
        if not np.isin(values, (0, 1)).all():
            raise UsageError("A matrix of labels should hold 0 and 1, with a column for each label.")
        cells: list[Any] = [[str(i) for i in np.flatnonzero(row)] for row in values]
    else:
        cells = list(values.tolist() if isinstance(values, np.ndarray) else values)
    if len(cells) != count:
        raise UsageError(
            f"{where} has {count} examples, but {len(cells)} labels were given. Give one for each example."
        )
    return cells


def checked_texts(found: Found, where: str, drop_empty: bool) -> Found:
    """The texts, none of them empty. Raises DataError for zero bytes, and for empty texts if they are not dropped."""
    texts: list[Any] = found.inputs
    if not texts:
        raise DataError(f"{where} holds no examples.")
    for text, place in zip(texts, found.places, strict=True):
        if not isinstance(text, str):
            raise DataError(f"{where}, {place} is {text!r:.40}; a text was expected, as in the others.")
        if wrong := wrong_character(text):
            raise DataError(f"{where}, {place}: {wrong}.")
    full = [i for i, text in enumerate(texts) if text.strip()]
    if len(full) == len(texts):
        return found
    empty = [place for text, place in zip(texts, found.places, strict=True) if not text.strip()]
    if not drop_empty or not full:
        raise DataError(
            f"{where}: {len(empty)} of {len(texts)} texts are empty ({some(empty)}). "
            f"Fill or remove them, or set drop_empty=True (--drop-empty) to leave them out."
        )
    are = "text is" if len(empty) == 1 else "texts are"
    return replace(
        found,
        inputs=[texts[i] for i in full],
        cells=None if found.cells is None else [found.cells[i] for i in full],
        ids=[found.ids[i] for i in full],
        places=[found.places[i] for i in full],
        told=(*found.told, f"{len(empty)} empty {are} left out ({some(empty)})"),
    )


def _as_before(asked: Asked, columns: ExampleColumns | None, *layouts: str) -> Asked:
    """What is asked for, with what is left open as it was in other data of the same layout."""
    if columns is None or columns.layout not in layouts:
        return asked
    optional = () if asked.label or asked.needs_labels else columns.label
    if asked.example is None and columns.is_text and columns.example:
        optional += (columns.example,)
    return replace(
        asked,
        text=asked.text or columns.text,
        label=asked.label or columns.label,
        example=asked.example or columns.example,
        time=asked.time or columns.time,
        features=asked.features or columns.features,
        optional=optional,
    )


def _in_text(
    source: str | Path,
    kind: str,
    where: str,
    asked: Asked,
    header: bool | None,
    encoding: str,
    columns: ExampleColumns | None,
    known: Collection[str],
) -> Found:
    text = read_text(source, encoding)
    start = text.lstrip()
    if not start:
        raise DataError(f"{where} holds nothing but blanks; examples were expected.")
    if kind == ".ts":
        return read_ts(text, where)
    if kind == ".json" or (not kind and start.startswith("{")):
        return examples_of_table(read_json_lines(text.encode(), where), where, _as_before(asked, columns, "table"))
    if start.startswith(PREFIX) or (columns is not None and columns.layout == "prefixed" and not asked.text):
        numbers, labels, texts = read_prefixed(text)
        own: list[Any] | None = [one[0] if len(one) == 1 else one or None for one in labels] if any(labels) else None
        return _found_lines(numbers, own, texts, "prefixed")
    before = _as_before(asked, columns, "table")
    delimiter = delimiter_of(text, kind, before.names)
    if delimiter is None:
        numbers, heads, texts = read_lines(text, where, known, asked.needs_labels)
        told = "each line is a text" if heads is None else "the first word of each line is its label"
        return _found_lines(numbers, heads, texts, "lines", told)
    if header is None and columns is not None and columns.layout == "table":
        header = columns.header
    table, header = read_fields(text, where, delimiter, header, before.names)
    return examples_of_table(table, where, before, header, texts=True)


def _found_lines(
    numbers: Sequence[int], labels: list[Any] | None, texts: list[str], layout: Layout, *told: str
) -> Found:
    ids = [str(number) for number in numbers]
    return Found(texts, labels, ids, [f"line {i}" for i in ids], ExampleColumns(layout, True), told)


def _in_list(source: Any, where: str) -> Found:
    if not hasattr(source, "__getitem__") or isinstance(source, bytes):
        raise UsageError(
            f"Examples can be read from a path, a frame, a dict of columns, a list of texts or a list of arrays, "
            f"not from {type(source).__name__}."
        )
    if not len(source):
        raise DataError(f"{where} holds no examples.")
    values = source if isinstance(source, np.ndarray) and source.dtype.kind in "biuf" else list(source)
    if isinstance(values, np.ndarray) or not any(isinstance(value, str) for value in values):
        return recordings_of_arrays(values, where)
    ids = [str(i) for i in range(1, len(values) + 1)]
    return Found(values, None, ids, [f"text {i}" for i in ids], ExampleColumns("arrays", True))
