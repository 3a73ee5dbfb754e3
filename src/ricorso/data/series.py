"""Series of numbers over time: read from tables of any layout, put on the grid of their frequency."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.frequency import Frequency
from ricorso.data.grid import check_same_step, put_on_grid
from ricorso.data.order import Duplicates, in_order, merged
from ricorso.data.pieces import Pieces
from ricorso.data.roles import Columns, Layout, as_names, choose_columns
from ricorso.data.rows import read_rows
from ricorso.data.spread import Spread, spread
from ricorso.data.table import Source, read_table, source_name
from ricorso.errors import DataError, UsageError, did_you_mean

Names = str | Sequence[str]


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
    A large CSV or Parquet file is read in pieces and never held whole; guesses are made from its first rows then.

    Raises DataError, naming the row, for times that are missing, out of order, double or irregular, for text and
    infinities in columns of numbers, for series without values, and for series that differ in frequency.

    >>> rows = read_series({"name": ["a", "b"], "V1": [1, 4], "V2": [2, 5], "V3": [3, None]}, season=2)
    >>> rows.names, rows["b"].values[:, 0].tolist(), rows.frequency.season
    (('a', 'b'), [4.0, 5.0], 2)
    """
    where = source_name(source)
    guessed = frequency is None or (time is None and columns is None)
    grid = Frequency.parse(frequency) if isinstance(frequency, str) else frequency
    asked = Columns(time, series, as_names(targets), as_names(known), as_names(past), as_names(static))
    if columns is not None and (asked != Columns(None, None, ()) or wide is not None):
        raise UsageError("columns= says what every column is; give no other roles and no wide= with it.")
    table, columns, told = _read(source, where, asked, columns, wide)
    notes: list[str] = []
    rows = read_rows(table, where, columns, grid, notes)
    del table  # it may be large
    rows = in_order(rows, sort, duplicates, notes)
    if rows.counts and grid and not grid.counts:
        notes.append(f"there are no dates, so only the season of '{grid.name}' is used ({grid.season})")
        season, grid = season or grid.season, None
    rows, start, found = put_on_grid(rows, grid, notes)
    assert rows.step is not None
    rows = merged(rows, rows.step, duplicates, notes, f", both in one step of {found.step}")
    if grid is None:
        check_same_step(rows, found)
    made = tuple(_made(spread(rows, start, found, drop_empty, notes), found))
    if columns.time is not None and guessed:
        told = (f"time is '{columns.time}' ({found.adverb})", *told)
    elif columns.time is None and columns.layout == "long":
        told = ("there is no column of times, so rows are counted", *told)
    return SeriesSet(made, found.with_season(season or found.period), columns, (*told, *notes))


def _read(
    source: Source, where: str, asked: Columns, columns: Columns | None, wide: bool | Layout | None
) -> tuple[pl.DataFrame, Columns, tuple[str, ...]]:
    """The columns that are needed of a table, their roles, and what was guessed of them."""
    pieces = Pieces.of(source)
    table = pieces.first if pieces else read_table(source)
    told: tuple[str, ...] = ()
    if columns is None:
        columns, told = choose_columns(table, where, asked, wide)
    return (pieces.read(columns) if pieces else table), columns, told


def _made(found: Spread, frequency: Frequency) -> Iterator[Series]:
    for i in range(len(found.names)):
        start = int(found.starts[i]) if frequency.counts else found.starts[i]
        yield Series(found.names[i], start, found.values[i], found.known[i], found.past[i], found.static[i])
