"""Series of numbers over time: read from tables of any layout, put on the grid of their frequency."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.data.frequency import Frequency
from ricorso.data.grid import check_same_step, put_on_grid
from ricorso.data.order import Duplicates, in_order, merged
from ricorso.data.roles import Columns, Layout, as_names, choose_columns
from ricorso.data.rows import Ints, Rows, read_rows, show_time
from ricorso.data.table import Source, listed, read_table, source_name
from ricorso.errors import DataError, UsageError, did_you_mean

Names = str | Sequence[str]

# a grid may have so many times as many steps as there are rows, or so many steps
_SPARSEST, _ALWAYS_FINE = 100, 1_000_000


@dataclass(frozen=True, eq=False)
class Series:
    """One series on the grid of its frequency.

    values: (steps, targets), NaN where missing. known: (steps + ahead, known covariates), which may reach beyond the
    values. past: (steps, past covariates). static: what is constant. start: the time of step 0, a whole number where
    time is a plain count.
    """

    name: str
    start: np.datetime64 | int
    values: NDArray[np.float64]
    known: NDArray[np.float32]
    past: NDArray[np.float32]
    static: tuple[float | str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def steps(self) -> int:
        """How many steps the values have."""
        return len(self.values)

    @property
    def known_ahead(self) -> int:
        """How many steps the known covariates reach beyond the values; 0 without any."""
        return max(len(self.known) - len(self.values), 0) if self.known.shape[1] else 0


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series of one frequency with the same targets and covariates; `told` is what was guessed while reading them.

    >>> table = {"month": ["1949-01", "1949-02", "1949-04"], "passengers": [112, 118, 129]}
    >>> series = read_series(table)
    >>> series.frequency.name, series["passengers"].values[:, 0].tolist(), series.told[0]
    ('month', [112.0, 118.0, nan, 129.0], "time is 'month' (monthly)")
    """

    series: tuple[Series, ...]
    frequency: Frequency
    columns: Columns
    told: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series)

    def __getitem__(self, which: str | int) -> Series:
        """A series by name or number. Raises DataError for a name that is not there."""
        if not isinstance(which, str):
            return self.series[which]
        if which not in self._numbers:
            raise DataError(f"There is no series '{which}'.{did_you_mean(which, self._numbers)}")
        return self.series[self._numbers[which]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the series, in order."""
        return tuple(self._numbers)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets."""
        return self.columns.targets

    @property
    def steps(self) -> int:
        """How many steps all series have together."""
        return sum(map(len, self.series))

    def times(self, which: str | int, ahead: int = 0) -> NDArray[Any]:
        """The times of a series and of so many steps after its end."""
        series = self[which]
        return self.frequency.times(series.start, len(series) + ahead)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {series.name: number for number, series in enumerate(self.series)}


def read_series(
    source: Source,
    *,
    time: str | None = None,
    series: str | None = None,
    targets: Names | None = None,
    known: Names = (),
    past: Names = (),
    static: Names = (),
    frequency: Frequency | str | None = None,
    wide: bool | Layout | None = None,
    season: int | None = None,
    sort: bool = False,
    duplicates: Duplicates = "error",
    drop_empty: bool = False,
    columns: Columns | None = None,
) -> SeriesSet:
    """Series from a table: a row for each time and series, a column for each series, or a row for each series.

    time, series, targets, known, past, static: the columns of each role; what is not given is guessed and told.
    known covariates are known in the future, past ones are not, static ones never change in a series.
    columns: the roles of series read before, so that new data are read the same way; nothing is guessed then.
    frequency: such as 'hour' or '30 minutes'; found from the times when not given, else times are rounded down to it.
    Without a column of times the rows are counted, and a frequency only lends its season.
    wide: True or 'columns' for a column for each series, 'rows' for a row for each series, False for neither.
    season: the steps after which values repeat, in place of the usual number for the frequency.
    sort: sort times that are not in order. duplicates: 'mean', 'first' or 'last' of rows for one time.
    drop_empty: leave out series without any value. Missing values stay missing (NaN); a series begins and ends with
    a step that has a value.

    Raises DataError, naming the row, for times that are missing, out of order, double or irregular, for text and
    infinities in columns of numbers, for series without values, and for series that differ in frequency.

    >>> rows = read_series({"name": ["a", "b"], "V1": [1, 4], "V2": [2, 5], "V3": [3, None]}, season=2)
    >>> rows.names, rows["b"].values[:, 0].tolist(), rows.frequency.season
    (('a', 'b'), [4.0, 5.0], 2)
    """
    where, table = source_name(source), read_table(source)
    guessed = frequency is None or (time is None and columns is None)
    grid = Frequency.parse(frequency) if isinstance(frequency, str) else frequency
    asked = Columns(time, series, as_names(targets), as_names(known), as_names(past), as_names(static))
    if columns is None:
        columns, told = choose_columns(table, where, asked, wide)
    elif asked != Columns(None, None, ()) or wide is not None:
        raise UsageError("columns= says what every column is; give no other roles and no wide= with it.")
    else:
        told = ()
    notes: list[str] = []
    rows = in_order(read_rows(table, where, columns, grid, notes), sort, duplicates, notes)
    if rows.counts and grid and not grid.counts:
        notes.append(f"there are no dates, so only the season of '{grid.name}' is used ({grid.season})")
        season, grid = season or grid.season, None
    rows, start, found = put_on_grid(rows, grid, notes)
    rows = merged(rows, rows.step, duplicates, notes, f", both in one step of {found.step}")
    if grid is None:
        check_same_step(rows, found)
    made = _cut(rows, start, found, drop_empty, notes)
    if columns.time is not None and guessed:
        told = (f"time is '{columns.time}' ({found.adverb})", *told)
    elif columns.time is None and columns.layout == "long":
        told = ("there is no column of times, so rows are counted", *told)
    return SeriesSet(tuple(made), found.with_season(season or found.period), columns, (*told, *notes))


def _cut(rows: Rows, start: NDArray[Any], grid: Frequency, drop_empty: bool, notes: list[str]) -> list[Series]:
    """Each series from its first to its last value, gaps made explicit; known covariates to the end of the rows."""
    begins, many = rows.begins, len(rows)
    seen = ~np.isnan(rows.values).all(axis=1)
    number = np.arange(many)
    last = np.maximum.reduceat(np.where(seen, number, -1), begins)
    empty = last < 0
    if empty.any():
        gone = listed([rows.names[i] for i in rows.code[begins[empty]].tolist()])
        if not drop_empty or empty.all():
            advice = "Check the targets" if empty.all() else "Pass drop_empty=True (--drop-empty) to leave them out"
            raise DataError(f"{rows.where}: there is no value at all in series {gone}. {advice}.")
        notes.append(f"left out for having no value at all: {gone}")
    first = np.minimum.reduceat(np.where(seen, number, many), begins)
    low = np.where(empty, 0, rows.step[np.minimum(first, many - 1)])
    high = np.where(empty, -1, rows.step[last])
    ends = np.append(begins[1:], many) - 1
    far = np.where(empty, -1, rows.step[ends]) if rows.known.shape[1] else high
    if (total := int((far - low + 1).sum())) > max(_SPARSEST * many, _ALWAYS_FINE):
        raise DataError(
            f"{rows.where}: {many:,} rows would be spread over {total:,} steps of {grid.step}, nearly all empty. "
            f"Pass a longer frequency= (--frequency), or check the times: the first is {show_time(start.min())}, "
            f"the last {show_time(rows.stamps.max())}."
        )
    series = np.cumsum(np.concatenate([[0], ~rows.again]))
    after, before = rows.step - low[series], high[series] - rows.step
    inside = (after >= 0) & (before >= 0)
    _tell_cut(rows, after, before, empty[series], notes)
    ahead = (after >= 0) & (rows.step <= far[series])
    values = _spread(rows.values, inside, series, after, high - low + 1)
    pasts = _spread(rows.past, inside, series, after, high - low + 1)
    futures = _spread(rows.known, ahead, series, after, far - low + 1)
    begun = grid.at(start, low)
    codes = rows.code[begins].tolist()
    names = [rows.names[code] for code in codes]
    _tell_values(values, [name for name, none in zip(names, empty.tolist(), strict=True) if not none], notes)
    if gaps := sum(int(np.isnan(part).sum()) for part in futures):
        notes.append(f"missing values of known covariates: {gaps:,}")
    return [
        Series(names[i], int(begun[i]) if grid.counts else begun[i], values[i], futures[i], pasts[i], rows.static[code])
        for i, code in enumerate(codes)
        if not empty[i]
    ]


def _spread(
    rows: NDArray[Any], kept: NDArray[np.bool_], series: Ints, place: Ints, lengths: Ints
) -> list[NDArray[Any]]:
    """Rows on the grid of their series, NaN between; one view of a common array for each series."""
    ends = np.cumsum(lengths)
    flat = np.full((int(ends[-1]), rows.shape[1]), np.nan, rows.dtype)
    flat[(ends - lengths)[series[kept]] + place[kept]] = rows[kept]
    return [flat[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]


def _tell_cut(rows: Rows, after: Ints, before: Ints, empty: NDArray[np.bool_], notes: list[str]) -> None:
    early, late = int(((after < 0) & ~empty).sum()), int(((before < 0) & ~empty).sum())
    if early:
        notes.append(f"rows before the first value of their series, left out: {early:,}")
    if late and rows.known.shape[1]:
        notes.append(f"rows after the last value of their series, for their known covariates: {late:,}")
    elif late:
        notes.append(f"rows after the last value of their series, left out: {late:,}")


def _tell_values(values: list[NDArray[np.float64]], names: list[str], notes: list[str]) -> None:
    whole = [part for part in values if len(part)]
    flat = np.concatenate(whole)
    missing = np.isnan(flat)
    if missing.any():
        notes.append(f"missing values: {int(missing.sum()):,} of {flat.size:,}")
    begins = np.cumsum([0, *map(len, whole[:-1])])
    same = (np.fmin.reduceat(flat, begins) == np.fmax.reduceat(flat, begins)).any(axis=1)
    if same.any():
        notes.append(f"constant series: {listed(names[i] for i in np.flatnonzero(same).tolist())}")
