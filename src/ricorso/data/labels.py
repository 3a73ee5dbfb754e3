"""Cells of labels, whatever they hold, as one or several labels for each example."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ricorso.data.example_columns import some
from ricorso.errors import DataError, UsageError

_SEPARATORS = (",", "|", ";")
_MARKS = ("0", "1", "false", "true")


@dataclass(frozen=True)
class ReadLabels:
    """The labels of each example, how they were read, and what was guessed."""

    labels: tuple[tuple[str, ...], ...]
    several: bool
    separator: str | None
    told: tuple[str, ...] = ()


def read_labels(
    cells: Sequence[Any],
    places: Sequence[str],
    where: str,
    several: bool | None = None,
    separator: str | None = None,
    until: str | None = None,
) -> ReadLabels:
    """Labels from cells of text, numbers or lists. several: whether a cell may hold several; guessed when None.

    Cells hold several where one is a list, or where the parts between commas (or | or ;) come again in other cells.
    until: labels are cut where this stands. An empty cell is an error, or with several no label at all.
    Raises DataError for cells without a label and for lists where one label was wanted.

    >>> read_labels(["joy,love", "love", "joy"], ["row 1", "row 2", "row 3"], "the table").labels
    (('joy', 'love'), ('love',), ('joy',))
    """
    lists = [is_list(cell) for cell in cells]
    told: list[str] = []
    if several is None:
        several = any(lists)
        if not several:
            separator = separator if separator is not None and _joined(cells, separator) else _guess_separator(cells)
            several = separator is not None
        if several:
            told.append("an example may have several labels" + (f", separated by '{separator}'" if separator else ""))
    if several and not any(lists):
        separator = (
            separator
            or _guess_separator(cells)
            or next((mark for mark in _SEPARATORS if any(mark in cell for cell in cells if isinstance(cell, str))), ",")
        )
    if separator == "":
        raise UsageError("The separator of labels is empty. Give the character between them, such as ','.")
    parts = _parts_of_all(cells, lists, places, where, several, separator)
    labels = tuple(tuple(dict.fromkeys(_cut(label, until) for label in cell)) for cell in parts)
    if not several:
        _refuse_missing(labels, places, where)
    elif none := sum(not cell for cell in labels):
        told.append(f"{none} of {len(labels)} examples have no label")
    return ReadLabels(labels, several, separator if several else None, tuple(told))


def as_label(value: Any) -> str:
    """One label as text, "" where there is none; a whole number is written the same whatever its type.

    >>> as_label(3.0), as_label(" good "), as_label(None), as_label(float("nan"))
    ('3', 'good', '', '')
    """
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else str(int(value)) if value == np.floor(value) else str(value)
    return str(value).strip()


def labels_of(table: pl.DataFrame, label: Sequence[str], where: str, needed: bool = True) -> list[Any] | None:
    """The cells of the labels of each row; None where the table has no such columns, or none are needed or right."""
    if not label or any(name not in table.columns for name in label):
        return None
    if len(label) == 1:
        return table[label[0]].to_list()
    rows = table.select(label).rows()
    if not needed and not all(as_label(value).lower() in _MARKS for row in rows for value in row):
        return None
    return indicated(label, rows, [f"row {i + 1}" for i in range(table.height)], where)


def indicated(names: Sequence[str], rows: Iterable[Sequence[Any]], places: Sequence[str], where: str) -> list[Any]:
    """The names of the columns that hold 1, for each row of columns of 0 and 1.

    Raises DataError for another value.

    >>> indicated(["joy", "love"], [(1, 0), (1, 1)], ["row 1", "row 2"], "the table")
    [['joy'], ['joy', 'love']]
    """
    found = []
    for place, row in zip(places, rows, strict=True):
        marks = [as_label(value) for value in row]
        for name, mark in zip(names, marks, strict=True):
            if mark.lower() not in _MARKS:
                raise DataError(
                    f"{where}, column '{name}', {place}: {mark!r} is neither 0 nor 1. Several columns of labels hold "
                    f"0 or 1 each; name one column of labels otherwise."
                )
        found.append([name for name, mark in zip(names, marks, strict=True) if mark.lower() in ("1", "true")])
    return found


def is_list(cell: Any) -> bool:
    """Whether a cell holds a list of labels."""
    return isinstance(cell, list | tuple | set | frozenset | np.ndarray | pl.Series)


def _parts_of_all(
    cells: Sequence[Any], lists: Sequence[bool], places: Sequence[str], where: str, several: bool, separator: str | None
) -> list[list[str]]:
    found = []
    for cell, is_list, place in zip(cells, lists, places, strict=True):
        if is_list and not several and len(cell) > 1:
            raise DataError(
                f"{where}, {place} has {len(cell)} labels where one was wanted. Leave one, or set several=True "
                f"(--several)."
            )
        if is_list:
            parts = [as_label(value) for value in (sorted(cell) if isinstance(cell, set | frozenset) else cell)]
        elif several and separator and isinstance(cell, str):
            parts = [part.strip() for part in cell.split(separator)]
        else:
            parts = [as_label(cell)]
        found.append([part for part in parts if part])
    return found


def _cut(label: str, until: str | None) -> str:
    return label.split(until, 1)[0].strip() or label if until else label


def _refuse_missing(labels: Sequence[tuple[str, ...]], places: Sequence[str], where: str) -> None:
    missing = [place for place, cell in zip(places, labels, strict=True) if not cell]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(labels)} examples have no label ({some(missing)}). "
            f"Write the labels in, or remove these examples."
        )


def _joined(cells: Sequence[Any], separator: str) -> bool:
    return any(separator in cell for cell in cells if isinstance(cell, str))


def _guess_separator(cells: Sequence[Any]) -> str | None:
    """A mark between labels: half of what stands between such marks, or more, stands in other cells too."""
    wholes = {cell.strip() for cell in cells if isinstance(cell, str)}
    for mark in _SEPARATORS:
        split = [[part.strip() for part in whole.split(mark)] for whole in wholes]
        seen = Counter(part for parts in split for part in set(parts) if part)
        joined = [part for parts in split if len(parts) > 1 for part in parts]
        if joined and sum(seen[part] > 1 for part in joined) * 2 >= len(joined):
            return mark
    return None
