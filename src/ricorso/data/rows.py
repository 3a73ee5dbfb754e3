"""The rows of a table of series, whatever its layout: a time, a series and values each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.frequency import Frequency
from ricorso.data.roles import Columns, is_number
from ricorso.data.table import column_of, numbers_of
from ricorso.data.timestamp import Stamps, could_be_time, read_times
from ricorso.errors import DataError

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Static = tuple[float | str, ...]

_AT_ONCE = 1 << 20


@dataclass
class Rows:
    """Rows of a table, one per time and series.

    where: what the table is called. names, static: of the series. code: the number of each row's series.
    time: microseconds since 1970, or plain counts. row: the row of the table, from 1; None in the order of the table.
    values, known, past: (rows, columns). step: where each row is on the grid of its series, once that is known.
    """

    where: str
    names: list[str]
    static: list[Static]
    counts: bool
    code: Codes
    time: Ints
    row: Ints | None
    values: NDArray[np.float64]
    known: NDArray[np.float32]
    past: NDArray[np.float32]
    step: Ints | None = None

    def __len__(self) -> int:
        return len(self.code)

    def at(self, picks: Any) -> "Rows":
        """Some of the rows."""
        return replace(self).take(picks)

    def take(self, picks: Any) -> "Rows":
        """Keep some of the rows, in this order; one column after the other, for they may be large."""
        if self.row is None:
            self.row = np.arange(1, len(self) + 1)
        for name in ("row", "code", "time", "values", "known", "past", "step"):
            column = getattr(self, name)
            setattr(self, name, None if column is None else column[picks])
        return self

    def number(self, i: int) -> int:
        """The row of the table that a row was, from 1."""
        return i + 1 if self.row is None else int(self.row[i])

    def shown(self, i: int) -> str:
        """The time of a row as a reader writes it."""
        return show_time(self.stamps[i])

    @property
    def stamps(self) -> NDArray[Any]:
        """The times as dates, or as the counts they are."""
        return self.time if self.counts else self.time.view("datetime64[us]")

    @property
    def again(self) -> NDArray[np.bool_]:
        """Whether each row but the first is of the same series as the row before."""
        return np.asarray(self.code[1:] == self.code[:-1])

    @property
    def begins(self) -> Ints:
        """The first row of each series, for rows in the order of series."""
        return np.flatnonzero(np.concatenate([[True], ~self.again]))


def blocks(count: int) -> Iterator[slice]:
    """All of so many rows, some at a time: what is worked out from a block takes little memory.

    >>> list(blocks(5))
    [slice(0, 5, None)]
    """
    for begin in range(0, count, _AT_ONCE):
        yield slice(begin, min(begin + _AT_ONCE, count))


def whole_series(begins: Ints, count: int) -> Iterator[tuple[slice, slice]]:
    """Rows in the order of series, some whole series at a time: which series, and which rows.

    >>> list(whole_series(np.array([0, 3]), 5))
    [(slice(0, 2, None), slice(0, 5, None))]
    """
    ends = np.append(begins[1:], count)
    first = 0
    while first < len(begins):
        last = max(first + 1, int(np.searchsorted(ends, begins[first] + _AT_ONCE, side="right")))
        yield slice(first, last), slice(int(begins[first]), int(ends[last - 1]))
        first = last


def show_time(time: Any) -> str:
    """A time without what is zero in it.

    >>> show_time(np.datetime64("2016-07-01T05:00:00.000000")), show_time(7)
    ('2016-07-01 05:00', '7')
    """
    if isinstance(time, np.datetime64):
        text = str(np.datetime_as_string(time, unit="auto")).replace("T", " ")
        return text + ":00" if len(text) == len("2016-07-01 05") else text
    return str(time)


def read_rows(table: pl.DataFrame, where: str, columns: Columns, frequency: Frequency | None, notes: list[str]) -> Rows:
    """The rows of a table in its own order; `notes` gets what there is to tell about its times.

    Raises DataError for a column that is missing or holds something else than its role needs.
    """
    counts = frequency.counts if frequency else None
    if columns.layout == "rows":
        return _row_each(table, where, columns, counts, notes)
    many = len(table)
    known, past = (_matrix(table, names, where, np.float32) for names in (columns.known, columns.past))
    row: Ints | None = None
    code, names = _codes(table, columns.series, columns.targets[0] if len(columns.targets) == 1 else "series", where)
    if columns.time is None:
        time, dated = _count(code), False
    else:
        stamps = _times(column_of(table, columns.time, where), where, counts)
        time, dated = stamps.values, not stamps.counts
        notes += [stamps.told] if stamps.told else []
    if columns.layout == "columns":
        names = [name for name in table.columns if name not in (columns.time, *columns.known, *columns.past)]
        values = _matrix(table, names, where).T.reshape(-1, 1)
        code, row = np.repeat(np.arange(len(names), dtype=np.int32), many), np.tile(np.arange(1, many + 1), len(names))
        time, known, past = np.tile(time, len(names)), np.tile(known, (len(names), 1)), np.tile(past, (len(names), 1))
        static: list[Static] = [()] * len(names)
    else:
        values = _matrix(table, columns.targets, where)
        static = _static(table, columns.static, code, names, where)
    return Rows(where, names, static, not dated, code, time, row, values, known, past)


def _row_each(table: pl.DataFrame, where: str, columns: Columns, counts: bool | None, notes: list[str]) -> Rows:
    """A row for each series: the values stand in the columns, which may be named by their times."""
    others = (columns.series, *columns.static)
    steps = [name for name in table.columns if name not in others]
    if not steps:
        raise DataError(f"{where} has a row for each series but no columns with values.")
    code, names = _codes(table, columns.series, "series", where)
    if len(names) < len(table):
        double = next(name for name, many in zip(names, np.bincount(code), strict=True) if many > 1)
        raise DataError(f"{where} has two rows for the series '{double}'. Remove or rename one.")
    values = _matrix(table, steps, where).reshape(-1, 1)
    header = pl.Series("header", steps)
    time, dated = np.arange(len(steps)), False
    if not counts and could_be_time(header):
        stamps = read_times(header, where)
        time, dated = stamps.values, True
    else:
        notes.append("the columns have no times, so they are counted")
    static = _static(table, columns.static, code, names, where)
    # shorter series end in empty cells; a series without any keeps its first so that it is not forgotten
    kept = ~np.isnan(values[:, 0])
    kept[:: len(steps)] = True
    (cells,) = np.nonzero(kept)
    code, time = (cells // len(steps)).astype(np.int32), time[cells % len(steps)]
    nothing = np.zeros((len(cells), 0), np.float32)
    return Rows(where, names, static, not dated, code, time, code + np.int64(1), values[cells], nothing, nothing)


def _codes(table: pl.DataFrame, series: str | None, only: str, where: str) -> tuple[Codes, list[str]]:
    """The number of each row's series, and the names in order of appearance."""
    if series is None:
        return np.zeros(len(table), np.int32), [only]
    column = column_of(table, series, where)
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(f"{where}, column '{series}', row {row}: the name of the series is missing. Write it in.")
    if isinstance(column.dtype, pl.Enum):
        numbers = column.to_physical()
        order = numbers.unique(maintain_order=True).to_numpy()
        place = np.zeros(len(column.dtype.categories), np.int32)
        place[order] = np.arange(len(order))
        return place[numbers.to_numpy()], column.dtype.categories.gather(order).to_list()
    texts = column.cast(pl.String).alias("name")
    names = texts.unique(maintain_order=True)
    numbered = pl.DataFrame({"name": names, "code": np.arange(len(names), dtype=np.int32)})
    codes = texts.to_frame().join(numbered, on="name", how="left", maintain_order="left")["code"]
    return codes.to_numpy(), names.to_list()


def _times(column: pl.Series, where: str, counts: bool | None) -> Stamps:
    """A column of times; of texts with numbers (Enum) each is read once."""
    if not isinstance(column.dtype, pl.Enum) or column.null_count():
        return read_times(column, where, counts)
    try:
        stamps = read_times(column.dtype.categories.alias(column.name), where, counts)
    except DataError:
        return read_times(column.cast(pl.String), where, counts)  # to name the row
    return replace(stamps, values=stamps.values[column.to_physical().to_numpy()])


def _count(code: Codes) -> Ints:
    """The place of each row among those of its series."""
    order = np.argsort(code, kind="stable")
    begins = np.cumsum(np.bincount(code)) - np.bincount(code)
    place = np.empty(len(code), np.int64)
    place[order] = np.arange(len(code)) - begins[code[order]]
    return place


def _matrix(
    table: pl.DataFrame, names: tuple[str, ...] | list[str], where: str, dtype: Any = np.float64
) -> NDArray[Any]:
    """Columns of numbers, (rows, columns). Raises DataError for text and infinities."""
    found = np.empty((len(table), len(names)), dtype)
    for i, name in enumerate(names):
        numbers = numbers_of(table, name, where)
        found[:, i] = numbers
        infinite = np.isinf(numbers)
        if infinite.any():
            row = int(infinite.argmax()) + 1
            raise DataError(
                f"{where}, column '{name}', row {row}: the value is infinite. Correct it, or leave the cell empty."
            )
    return found


def _static(table: pl.DataFrame, names: tuple[str, ...], code: Codes, series: list[str], where: str) -> list[Static]:
    """What is constant of each series. Raises DataError for a column that is not."""
    if not names:
        return [()] * len(series)
    first = np.full(len(series), -1)
    first[code[::-1]] = np.arange(len(code))[::-1]
    found: list[list[float] | list[str]] = []
    for name in names:
        column = column_of(table, name, where)
        if column.null_count():
            row = int(column.is_null().arg_max() or 0) + 1
            raise DataError(f"{where}, column '{name}', row {row}: a static value is missing. Write it in.")
        numbered = column.dtype == pl.Enum
        plain = column if numbered else column.cast(pl.Float64) if is_number(column) else column.cast(pl.String)
        keys = plain.to_physical() if numbered else plain
        other = (keys != keys[first[code]]).to_numpy()
        if other.any():
            i = int(other.argmax())
            raise DataError(
                f"{where}, row {i + 1}: static column '{name}' changes in series '{series[code[i]]}', from "
                f"{plain[int(first[code[i]])]!r} to {plain[i]!r}. Give it as known= or past= (--known, --past)."
            )
        found.append(plain[first].to_list())
    return list(zip(*found, strict=True))
