"""Tables of series with a tag in each row: a column of tags, columns of numbers, and one that says what is together."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.table import column_of, numbers_of, read_table
from ricorso.errors import DataError
from ricorso.tasks.tag.config import TagConfig


def read_series(
    path: str | Path, config: TagConfig, features: tuple[str, ...], tagged: bool = True
) -> tuple[tuple[str, ...], list[NDArray[Any]], list[tuple[str, ...]]]:
    """The names of the features, the features of each series (time, features), and the tags of each.

    features: which columns; none for all others. tagged: whether tags are wanted. Rows with the same value in the
    column `example` are a series, in the order of the table; without such a column all rows are one.
    Raises DataError for columns that are missing or hold something else.
    """
    table, where = read_table(path, encoding=config.encoding), str(path)
    others = (config.column, config.example)
    names = features or tuple(name for name in table.columns if name not in others)
    if not names:
        raise DataError(f"{where} has no columns of numbers beside '{config.column}'.")
    values = np.stack([numbers_of(table, name, where) for name in names], 1)
    unusable = ~np.isfinite(values)
    if unusable.any():
        row, column = (int(n[0]) for n in np.nonzero(unusable))
        raise DataError(f"{where}, column '{names[column]}', row {row + 1}: a number is missing. Fill it in.")
    groups = _groups(table, config.example, where)
    tags = _texts(column_of(table, config.column or "", where), where) if tagged else [""] * len(table)
    return names, [values[rows] for rows in groups], [tuple(tags[n] for n in rows) for rows in groups]


def _texts(column: pl.Series, where: str) -> list[str]:
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(f"{where}, column '{column.name}', row {row}: the tag is missing. Write it in.")
    return [str(tag) for tag in column.to_list()]


def _groups(table: pl.DataFrame, example: str | None, where: str) -> list[NDArray[np.int64]]:
    """The rows of each series."""
    if example is None:
        return [np.arange(len(table))] if len(table) else []
    codes = column_of(table, example, where).cast(pl.String).fill_null("").rank("dense").to_numpy()
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order])) + 1
    groups = np.split(order, begins)
    return sorted(groups, key=lambda rows: int(rows[0]))
