"""Tables of series with a tag in each row: a column of tags, columns of numbers, and one that says what is together."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.table import column_of, is_missing, numbers_of, read_table, text_as_numbers
from ricorso.errors import DataError
from ricorso.tasks.tag.config import TagConfig

# of the numbers that a model computes with
LARGEST = float(np.finfo(np.float32).max)


def read_series(
    path: str | Path, config: TagConfig, features: tuple[str, ...], tagged: bool = True
) -> tuple[tuple[str, ...], list[NDArray[Any]], list[tuple[str, ...]]]:
    """The names of the features, the features of each series (time, features), and the tags of each.

    features: which columns; none for all others. tagged: whether tags are wanted. Rows with the same value in the
    column `example` are a series, in the order of the table; without such a column all rows are one. Missing numbers
    are NaN. Raises DataError for columns that are missing or hold something else.
    """
    table, where = read_table(path, encoding=config.encoding), str(path)
    tags = _texts(column_of(table, config.column or "", where), where) if tagged else [""] * len(table)
    groups = _groups(table, config.example, where)
    others = (config.column, config.example)
    names = features or tuple(name for name in table.columns if name not in others)
    if not names:
        raise DataError(f"{where} has no columns of numbers beside '{config.column}'.")
    if not features:
        _refuse_texts(table, names, where)
    values = np.stack([numbers_of(table, name, where) for name in names], 1)
    too_large = np.abs(values) > LARGEST
    if too_large.any():
        row, column = (int(n[0]) for n in np.nonzero(too_large))
        raise DataError(
            f"{where}, column '{names[column]}', row {row + 1}: {values[row, column]} is infinite or too large. "
            f"Correct it, or leave it empty if the value is missing."
        )
    return names, [values[rows] for rows in groups], [tuple(tags[n] for n in rows) for rows in groups]


def _refuse_texts(table: pl.DataFrame, names: tuple[str, ...], where: str) -> None:
    for name in names:
        column = table[name]
        if column.dtype != pl.String:
            continue
        said = column.filter(~is_missing(column))
        if len(said) and text_as_numbers(said).null_count() == len(said):
            raise DataError(
                f"{where}, column '{name}' holds texts such as '{said[0]}', not numbers. If it says which rows belong "
                f"together, name it with example= (--example); otherwise leave it out of the table."
            )


def _texts(column: pl.Series, where: str) -> list[str]:
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(f"{where}, column '{column.name}', row {row}: the tag is missing. Write it in.")
    return [str(tag) for tag in column.to_list()]


def _groups(table: pl.DataFrame, example: str | None, where: str) -> list[NDArray[np.int64]]:
    """The rows of each series."""
    if example is None:
        return [np.arange(len(table))] if len(table) else []
    column = column_of(table, example, where)
    if missing := column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(
            f"{where}, column '{example}', row {row}: it is not said which series the row is of, in {missing} of "
            f"{len(table)} rows. Write it in, or remove the rows."
        )
    codes = column.cast(pl.String).rank("dense").to_numpy()
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order])) + 1
    groups = np.split(order, begins)
    return sorted(groups, key=lambda rows: int(rows[0]))
