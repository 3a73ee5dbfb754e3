"""Rows of series in the order of time, each time once."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ricorso.data.rows import Ints, Rows
from ricorso.errors import DataError, UsageError

Duplicates = Literal["error", "mean", "first", "last"]


def in_order(rows: Rows, sort: bool, duplicates: Duplicates, notes: list[str]) -> Rows:
    """The rows series by series, each in the order of time and with every time once; the given ones are changed.

    Raises DataError for times that are not in order (unless `sort`) or come twice (unless `duplicates` says what to
    do), UsageError for an unknown value of `duplicates`.
    """
    if duplicates not in ("error", "mean", "first", "last"):
        raise UsageError(f"duplicates must be 'error', 'mean', 'first' or 'last', got {duplicates!r}.")
    if (rows.code[1:] < rows.code[:-1]).any():
        # numpy sorts numbers of 16 bits in a few passes
        few = len(rows.names) <= np.iinfo(np.uint16).max
        rows.take(np.argsort(rows.code.astype(np.uint16) if few else rows.code, kind="stable"))
    backward = rows.again & (rows.time[1:] < rows.time[:-1])
    if backward.any():
        if not sort:
            i = int(backward.argmax())
            raise DataError(
                f"{rows.where}, row {rows.number(i + 1)}: the times of series '{rows.names[rows.code[i]]}' are not in "
                f"order, {rows.shown(i + 1)} comes after {rows.shown(i)} (row {rows.number(i)}). "
                f"Pass sort=True (--sort) to sort them."
            )
        notes.append(f"times out of order, now sorted: {int(backward.sum()):,}")
        rows.take(np.lexsort((rows.time, rows.code)))
    return merged(rows, rows.time, duplicates, notes)


def merged(rows: Rows, key: Ints, duplicates: Duplicates, notes: list[str], place: str = "") -> Rows:
    """Rows of a series with equal keys made one. Raises DataError for such rows when `duplicates` is 'error'."""
    again = rows.again & (key[1:] == key[:-1])
    if not again.any():
        return rows
    i = int(again.argmax())
    series = rows.names[rows.code[i]]
    if duplicates == "error":
        both = rows.shown(i) if rows.time[i] == rows.time[i + 1] else f"{rows.shown(i)} and {rows.shown(i + 1)}"
        raise DataError(
            f"{rows.where}, rows {rows.number(i)} and {rows.number(i + 1)}: series '{series}' has two rows for one "
            f"time ({both}{place}). Remove one, pass duplicates='mean', 'first' or 'last' (--duplicates), or say which "
            f"column names the series."
        )
    notes.append(f"rows beyond one for each time, merged ({duplicates}): {int(again.sum()):,}")
    first = np.concatenate([[True], ~again])
    begins = np.flatnonzero(first)
    if duplicates == "first":
        return rows.take(first)
    if duplicates == "last":
        return rows.take(np.concatenate([begins[1:], [len(rows)]]) - 1)
    values, known, past = (_mean(part, begins) for part in (rows.values, rows.known, rows.past))
    return replace(rows.take(first), values=values, known=known, past=past)


def _mean(values: NDArray[Any], begins: Ints) -> NDArray[Any]:
    """The mean of each run of rows, of what is not missing."""
    there = ~np.isnan(values)
    count = np.add.reduceat(there, begins, dtype=np.int64)
    total = np.add.reduceat(np.where(there, values, 0), begins)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype)
