"""Which column of a table of series is what: time, series, targets, covariates; by option, else by guess."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import polars as pl

from ricorso.data.table import column_of, listed
from ricorso.data.timestamp import could_be_time, could_count
from ricorso.errors import DataError, RunError, UsageError

Layout = Literal["long", "columns", "rows"]

VALUE = "value"
_TIME_NAMES = re.compile(
    r"t|ts|ds|datum|year|step|index|period|tick|epoch|unix|(.*[ _])?(time|date|timestamp|datetime)"
)
_SERIES_NAMES = re.compile(
    r"((series|unique|item|store|product|sensor|device|user|group|entity)_?)?(id|name|key|code)|"
    r"series|item|store|product|sensor|device|group|entity|sku|ticker|symbol|station|region"
)


@dataclass(frozen=True)
class Columns:
    """The roles of a table's columns.

    layout: "long" is a row per time and series; "columns" a column per series; "rows" a row per series. In the last
    two the one target is called "value".
    """

    time: str | None
    series: str | None
    targets: tuple[str, ...]
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    layout: Layout = "long"

    def to_json(self) -> dict[str, Any]:
        """The roles as data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The roles from their data. Raises RunError when the data do not describe any."""
        one, many = [data.get(key) for key in ("time", "series")], [data.get(key) for key in _LISTS]
        right = all(value is None or isinstance(value, str) for value in one)
        right &= all(isinstance(value, list) and all(isinstance(name, str) for name in value) for value in many)
        if not right or data.get("layout") not in ("long", "columns", "rows"):
            raise RunError("The column roles of the series do not hold together; the run folder is damaged.")
        lists = {key: tuple(value or ()) for key, value in zip(_LISTS, many, strict=True)}
        return cls(time=one[0], series=one[1], layout=data["layout"], **lists)


_LISTS = ("targets", "known", "past", "static")


def as_names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def choose_columns(
    table: pl.DataFrame, where: str, asked: Columns, wide: bool | Layout | None
) -> tuple[Columns, tuple[str, ...]]:
    """The roles of a table's columns, with what was guessed in sentences. Empty roles of `asked` are guessed.

    Raises DataError for a column that is not there or a role that cannot be guessed, UsageError for roles that
    contradict one another.
    """
    covariates = (*asked.known, *asked.past, *asked.static)
    given = [name for name in (asked.time, asked.series, *asked.targets, *covariates) if name is not None]
    for name in given:
        column_of(table, name, where)
        if given.count(name) > 1:
            raise UsageError(
                f"Column '{name}' cannot have two roles. Give it as one of time, series, targets, known ..."
            )
    if wide not in (None, True, False, "long", "columns", "rows"):
        raise UsageError(f"wide must be True, False, 'columns' or 'rows', got {wide!r}.")
    time = asked.time or _guess_time(table, given)
    layout = _layout(table, asked, wide, time, given)
    if layout == "long":
        return _long(table, where, asked, time)
    if asked.targets:
        raise UsageError("In a wide table every column or row is a series; targets cannot be chosen. Remove columns.")
    if layout == "columns":
        if asked.series or asked.static:
            raise UsageError("A table with a column for each series has no column for series and static values.")
        return Columns(time, None, (VALUE,), asked.known, asked.past, layout=layout), ()
    if asked.known or asked.past or asked.time:
        raise UsageError("A table with a row for each series has no columns for time, known and past values.")
    series = asked.series or next((name for name in table.columns if name not in given), None)
    told = () if asked.series else (f"each row is a series named by '{series}'",)
    return Columns(None, series, (VALUE,), static=asked.static, layout=layout), told


def is_number(column: pl.Series) -> bool:
    """Whether a column holds numbers; one without any value may."""
    return column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)


def _long(table: pl.DataFrame, where: str, asked: Columns, time: str | None) -> tuple[Columns, tuple[str, ...]]:
    told = []
    taken = {time, asked.series, *asked.known, *asked.past, *asked.static, *asked.targets}
    series = asked.series
    if series is None:
        series = _guess_series(table, [name for name in table.columns if name not in taken], where)
        if series:
            told.append(f"each value of '{series}' is a series")
    taken.add(series)
    rest = [name for name in table.columns if name not in taken]
    targets = asked.targets
    counters = [name for name in rest if not targets and _counts_rows(table[name])]
    if counters and any(is_number(table[name]) for name in rest if name not in counters):
        told.append(f"{listed(counters)} only counts the rows and is not used")
        rest = [name for name in rest if name not in counters]
    if not targets:
        targets = tuple(name for name in rest if is_number(table[name]))
        if not targets:
            texts = [name for name in rest if table[name].dtype == pl.String]
            hint = f" '{texts[0]}' holds text such as {_example(table[texts[0]])!r}." if texts else ""
            raise DataError(f"{where} has no column of numbers to forecast.{hint} Name one with targets=.")
        rest = [name for name in rest if name not in targets]
        many = len(targets) > 1
        told.append(f"{'targets are' if many else 'the target is'} {listed(targets)}")
    if rest:
        told.append(f"{listed(rest)} {'is' if len(rest) == 1 else 'are'} not used")
    return Columns(time, series, targets, asked.known, asked.past, asked.static), tuple(told)


def _counts_rows(column: pl.Series) -> bool:
    """Whether a column is the index that programs write in front of a table."""
    if (
        column.name.lower() not in ("column_1", "index", "unnamed: 0", "row", "rownames")
        or not column.dtype.is_integer()
    ):
        return False
    return column.null_count() == 0 and bool((column.diff().drop_nulls() == 1).all())


def _guess_time(table: pl.DataFrame, given: Sequence[str]) -> str | None:
    free = [column for column in table if column.name not in given]
    named = [column for column in free if _TIME_NAMES.fullmatch(column.name.strip().lower())]
    dates = [column.name for column in (*named, *free) if could_be_time(column)]
    counts = [column.name for column in named if could_count(column)]
    return next(iter(dates + counts), None)


def _guess_series(table: pl.DataFrame, free: Sequence[str], where: str) -> str | None:
    texts = [name for name in free if table[name].dtype in (pl.String, pl.Categorical, pl.Enum)]
    named = [
        name for name in free if _SERIES_NAMES.fullmatch(name.strip().lower()) and not table[name].dtype.is_float()
    ]
    found = [name for name in named if name in texts] or named
    # a text that is different in most rows is a remark
    found = found or [name for name in texts if table[name].n_unique() * 2 <= len(table)]
    if len(found) > 1:
        raise DataError(
            f"{where} has several columns that may name the series: {listed(found)}. "
            f"Say which with series=, and give the others as static= or remove them."
        )
    return found[0] if found else None


def _layout(
    table: pl.DataFrame, asked: Columns, wide: bool | Layout | None, time: str | None, given: Sequence[str]
) -> Layout:
    if wide is False:
        return "long"
    if isinstance(wide, str):
        return wide
    if wide:
        return "columns" if time else "rows"
    free = [name for name in table.columns if name not in given]
    if time or asked.targets or len(free) < 3:
        return "long"
    first, rest = table[asked.series or free[0]], free if asked.series else free[1:]
    one_row_each = first.dtype == pl.String and first.n_unique() == len(first)
    return "rows" if one_row_each and all(is_number(table[name]) for name in rest) else "long"


def _example(texts: pl.Series) -> str:
    numbers = texts.str.strip_chars().cast(pl.Float64, strict=False)
    found = texts.filter(numbers.is_null() & texts.is_not_null())
    return str(found[0]) if len(found) else ""
