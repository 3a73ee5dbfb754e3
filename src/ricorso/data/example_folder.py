"""Labelled examples in a folder: a subfolder or a file of texts for each label, or a file for each series."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.example_columns import Asked, ExampleColumns, Found, Layout
from ricorso.data.example_names import best_label
from ricorso.data.labelled_text import delimiter_of, read_fields
from ricorso.data.recordings import checked_recordings, numbers_by_step, step_columns
from ricorso.data.table import column_of, listed, read_table, with_numbers
from ricorso.data.text import read_text
from ricorso.data.timestamp import read_times
from ricorso.errors import DataError

_TABLES = (".csv", ".tsv", ".parquet")
_WITHOUT_LABEL = ("unsup", "unlabeled", "unlabelled")
_LAYOUTS = (
    "Known are a subfolder for each label with a text (.txt) or a series (.csv) in each file, and a file LABEL.txt "
    "with a text on each line."
)


def examples_of_folder(folder: Path, asked: Asked, encoding: str, columns: ExampleColumns | None) -> Found:
    """The examples of a folder. Raises DataError for a folder that is empty or laid out otherwise, or a broken file."""
    subfolders = [path for path in _sorted(folder) if path.is_dir() and any(_files(path))]
    files = _files(folder)
    told: tuple[str, ...] = ()
    if nested := [path.name for path in subfolders if any(child.is_dir() for child in _sorted(path))]:
        raise DataError(f"{folder} has folders in its subfolders {listed(nested)}; give one of these. {_LAYOUTS}")
    if subfolders:
        skipped = [path.name for path in subfolders if path.name.lower() in _WITHOUT_LABEL]
        told += (f"the folder {listed(skipped)} has no labels and is not used",) * bool(skipped)
        told += (f"{len(files)} files beside the subfolders are not used",) * bool(files)
        chosen = [path for path in subfolders if path.name not in skipped]
        files = [file for path in chosen for file in _files(path)]
        told += ("the name of a subfolder is the label of its files",)
    if not files:
        deeper = [path.name for path in _sorted(folder) if path.is_dir()]
        hint = f" Its subfolders {listed(deeper)} hold no files." if deeper else ""
        raise DataError(f"The folder {folder} holds no examples.{hint} {_LAYOUTS}")
    plain = [file for file in files if _kind(file) == ".txt"]
    if not subfolders and plain and len(plain) < len(files):
        told += (f"{listed(file.name for file in files if file not in plain)} are not used",)
        files = plain
    tables = [file for file in files if _kind(file) in _TABLES]
    if tables and len(tables) < len(files):
        other = next(file for file in files if file not in tables)
        raise DataError(f"{folder} holds tables such as {tables[0].name} and others such as {other.name}. {_LAYOUTS}")
    names = [file.relative_to(folder).as_posix() for file in files]
    labels = [file.parent.name for file in files] if subfolders else None
    if tables:
        found = _series(files, names, folder, labels, asked, encoding)
    elif labels is None and (columns is None or columns.layout == "files"):
        found = _lines(files, encoding)
    else:
        texts = [_text(file, encoding) for file in files]
        found = Found(texts, labels, names, names, ExampleColumns("folder", True))
    return replace(found, told=(*told, *found.told))


def _series(
    files: Sequence[Path], names: Sequence[str], folder: Path, labels: list[str] | None, asked: Asked, encoding: str
) -> Found:
    first = _table(files[0], encoding)
    label = () if labels else asked.label or tuple(name for name in [best_label(first.columns)] if name)
    if labels is None and not label and asked.needs_labels:
        raise DataError(f"{files[0]} has no column of labels, nor do subfolders name them. {_LAYOUTS}")
    time, features, told = step_columns(first, str(files[0]), set(label), asked.time, asked.features)
    arrays: list[NDArray[np.float32]] = []
    cells: list[Any] = list(labels or ())
    for file in files:
        table = first if file is files[0] else _table(file, encoding)
        if len(table.columns) != len(first.columns) and any(name.startswith("column_") for name in table.columns):
            raise DataError(
                f"{file} has {len(table.columns)} columns, {files[0]} has {len(first.columns)}. "
                f"All series should have the same features."
            )
        if not table.height:
            raise DataError(f"{file} has no steps. Remove it, or give it at least one row.")
        values = numbers_by_step(table, features, str(file))
        if time:
            times = read_times(column_of(table, time, str(file)), str(file)).values
            values = values[np.argsort(times, kind="stable")]
        arrays.append(values)
        if label and all(name in table.columns for name in label):
            cells.append(_constant(table[label[0]], str(file)))
    checked_recordings(arrays, names, str(folder))
    layout: Layout = "folder" if labels else "files"
    columns = ExampleColumns(layout, False, label=label, time=time, features=features)
    return Found(arrays, cells if len(cells) == len(files) else None, names, names, columns, told)


def _constant(column: pl.Series, where: str) -> Any:
    if column.n_unique() > 1:
        row = int((column != column[0]).arg_max() or 0)
        raise DataError(
            f"{where}, column '{column.name}', row {row + 1}: the label changes from '{column[0]}' to '{column[row]}'. "
            f"A label holds for a whole example; correct it, or split the file."
        )
    return column[0]


def _lines(files: Sequence[Path], encoding: str) -> Found:
    """A text on each line of the file of its label."""
    texts, labels, ids, places = [], [], [], []
    for file in files:
        label = _stem(file)
        for number, line in enumerate(read_text(file, encoding).split("\n"), 1):
            if line.strip():
                texts.append(line)
                labels.append(label)
                ids.append(f"{label}:{number}")
                places.append(f"{file.name}, line {number}")
    told = ("the name of a file is the label of its lines",)
    return Found(texts, labels, ids, places, ExampleColumns("files", True), told)


def _text(file: Path, encoding: str) -> str:
    return read_text(file, encoding) if file.stat().st_size else ""


def _table(file: Path, encoding: str) -> pl.DataFrame:
    if _kind(file) == ".parquet":
        return read_table(file)
    text = read_text(file, encoding)
    table, _ = read_fields(text, str(file), delimiter_of(text, _kind(file), ()) or ",", None, ())
    return with_numbers(table)


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"The folder '{folder}' cannot be read: {error.strerror}.") from error


def _files(folder: Path) -> list[Path]:
    return [path for path in _sorted(folder) if path.is_file()]


def _kind(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix.lower()


def _stem(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).stem
