"""Columns of times in the ways people write them: ISO, months, quarters, years, epoch seconds, plain counts."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.errors import DataError

_SAMPLE = 200
# what polars reads, and what has to stand behind the text to make it a whole date
_DATES = (
    ("%Y-%m-%d", ""), ("%Y/%m/%d", ""), ("%Y.%m.%d", ""), ("%d.%m.%Y", ""), ("%m/%d/%Y", ""), ("%d/%m/%Y", ""),
    ("%d-%m-%Y", ""), ("%Y%m%d", ""), ("%Y-%m-%d", "-01"), ("%Y/%m/%d", "/01"), ("%Y-%m-%d", "-01-01"),
    ("%b %Y %d", " 01"), ("%B %Y %d", " 01"), ("%d %b %Y", ""), ("%d %B %Y", ""),
)  # fmt: skip
_CLOCKS = ("", " %H:%M:%S%.f", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
_OFFSET = r"(:\d\d(?:\.\d+)?)\s*(Z|[+-]\d\d:?\d\d)$"
_QUARTER = r"^(?:(\d{4})[- ]?Q([1-4])|Q([1-4])[- ]?(\d{4}))$"
_EPOCHS = ((1e8, 1e10, 1_000_000, "seconds"), (1e11, 1e13, 1_000, "milliseconds"), (1e14, 1e16, 1, "microseconds"))
_NANOSECONDS = (1e17, 9.3e18)
_YEARS = (1600, 2200)


@dataclass(frozen=True)
class Stamps:
    """Times as whole numbers: microseconds since 1970, or plain counts; `told` says what was made of them."""

    values: NDArray[np.int64]
    counts: bool
    told: str = ""


def read_times(column: pl.Series, where: str, counts: bool | None = None) -> Stamps:
    """A column of times. counts: whether whole numbers are plain counts (True) or dates (False); guessed when None.

    Raises DataError with the row of the first value that is missing or no time, for time zones that differ, and for
    dates whose day and month cannot be told apart.

    >>> read_times(pl.Series("month", ["1949-01", "1949-02"]), "the table").values.astype("datetime64[us]").tolist()[1]
    datetime.datetime(1949, 2, 1, 0, 0)
    >>> read_times(pl.Series("t", [0, 1, 2]), "the table").counts
    True
    """
    place = f"{where}, column '{column.name}'"
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(f"{place}, row {row}: the time is missing. Write it in, or remove the row.")
    if column.dtype in (pl.String, pl.Categorical):
        return _from_text(column.cast(pl.String), place)
    if column.dtype.is_integer():
        return _from_numbers(column.cast(pl.Int64).to_numpy(), place, counts)
    if column.dtype.is_float():
        return _from_fractions(column.to_numpy().astype(np.float64), place, counts)
    if isinstance(column.dtype, pl.Datetime):
        zone = column.dtype.time_zone
        told = f"its times are of the zone {zone}, read as UTC" if zone not in (None, "UTC") else ""
        plain = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else column
        return Stamps(_microseconds(plain), False, told)
    if column.dtype == pl.Date:
        return Stamps(_microseconds(column), False)
    raise DataError(f"{place} holds {column.dtype}; times, dates or whole numbers were expected.")


def could_be_time(column: pl.Series) -> bool:
    """Whether most of the values of a column (the first ones) are dates; whole numbers never are by themselves.

    >>> could_be_time(pl.Series(["Jan 1949", "Feb 1949"])), could_be_time(pl.Series(["H1", "H2"]))
    (True, False)
    """
    if column.dtype in (pl.Date, pl.Datetime):
        return True
    if column.dtype != pl.String:
        return False
    sample = _normal(column.drop_nulls().head(_SAMPLE))
    return len(sample) > 0 and _best_format(sample)[1] * 10 >= len(sample) * 9


def could_count(column: pl.Series) -> bool:
    """Whether a column of numbers may be times: whole numbers, or seconds since 1970 with fractions.

    >>> could_count(pl.Series([1.0, 2.0])), could_count(pl.Series([0.5, 2.0]))
    (True, False)
    """
    if not column.dtype.is_float():
        return column.dtype.is_integer()
    least, most = _EPOCHS[0][:2]
    values = column.drop_nulls().to_numpy()
    return len(values) > 0 and bool(
        (np.floor(values) == values).all() or (least <= values.min() and values.max() < most)
    )


def _microseconds(column: pl.Series) -> NDArray[np.int64]:
    return column.cast(pl.Datetime("us")).to_physical().to_numpy().astype(np.int64)


def _normal(texts: pl.Series) -> pl.Series:
    """Without blanks around and zones behind, a blank between date and time, quarters as their first day."""
    plain = texts.str.strip_chars().str.replace(_OFFSET, "$1").str.replace(r"^(\S{8,10})T(\d\d:)", "$1 $2")
    if plain.str.contains(_QUARTER).any():
        frame = plain.to_frame("text").with_columns(
            year=pl.coalesce(pl.col("text").str.extract(_QUARTER, 1), pl.col("text").str.extract(_QUARTER, 4)),
            quarter=pl.coalesce(pl.col("text").str.extract(_QUARTER, 2), pl.col("text").str.extract(_QUARTER, 3)),
        )
        month = (pl.col("quarter").cast(pl.Int64) * 3 - 2).cast(pl.String).str.zfill(2)
        plain = frame.select(pl.concat_str(pl.col("year"), pl.lit("-"), month).fill_null(pl.col("text")))["year"]
    return plain


def _parse(texts: pl.Series, date: str, rest: str, clock: str) -> pl.Series:
    found = (texts + rest if rest else texts).str.to_datetime(date + clock, strict=False, time_unit="us")
    # names such as 12-5 are no dates of the year 12
    return found.set(found.dt.year() < 1000, None)


def _best_format(sample: pl.Series) -> tuple[tuple[str, str, str], int]:
    """The way of writing that most of a sample follows, and how many do."""
    best, most = (_DATES[0][0], "", ""), 0
    timed = bool(sample.str.contains(":").any())
    for clock in _CLOCKS[1:] if timed else _CLOCKS[:1]:
        for date, rest in _DATES:
            if rest and clock:
                continue
            read = len(sample) - _parse(sample, date, rest, clock).null_count()
            if read > most:
                best, most = (date, rest, clock), read
            if most == len(sample):
                return best, most
    return best, most


def _from_text(texts: pl.Series, place: str) -> Stamps:
    # many series share their times, and reading them takes long
    different = texts.unique(maintain_order=True)
    shift, told = _zone(different, texts, place)
    plain = _normal(different)
    (date, rest, clock), most = _best_format(plain.head(_SAMPLE))
    found = _parse(plain, date, rest, clock)
    other = {"%m/%d/%Y": "%d/%m/%Y"}.get(date)
    if other:
        swapped = _parse(plain, other, rest, clock)
        if not found.null_count() and not swapped.null_count() and not (found == swapped).all():
            raise DataError(
                f"{place}: in '{texts[0]}' the day cannot be told from the month, as no number is above 12. "
                f"Write the dates as 2024-12-31."
            )
        found = found if found.null_count() <= swapped.null_count() else swapped
    if found.null_count():
        wrong = different[int(found.is_null().arg_max() or 0)]
        like = f" Other rows are written like '{different.filter(found.is_not_null())[0]}'." if most else ""
        raise DataError(
            f"{place}, row {_row(texts, wrong)}: '{wrong}' is not a time.{like} "
            f"Write times as 2024-12-31, 2024-12-31 23:59:00, 2024-12 or 2024."
        )
    values = _microseconds(found) - shift
    if len(different) < len(texts):
        numbered = pl.DataFrame({"text": different, "time": values})
        every = texts.alias("text").to_frame().join(numbered, on="text", how="left", maintain_order="left")
        values = every["time"].to_numpy()
    return Stamps(values, False, told)


def _row(texts: pl.Series, text: str) -> int:
    return int((texts == text).arg_max() or 0) + 1


def _zone(different: pl.Series, texts: pl.Series, place: str) -> tuple[int, str]:
    """What to take off in microseconds to get UTC, and what to tell."""
    found = different.str.strip_chars().str.extract(_OFFSET, 2).fill_null("")
    zones = found.unique(maintain_order=True)
    if len(zones) > 1:
        rows = [_row(texts, different[int((found == zone).arg_max() or 0)]) for zone in zones[:2]]
        raise DataError(
            f"{place}: time zones are mixed, {zones[0] or 'none'} in row {rows[0]} and {zones[1] or 'none'} in row "
            f"{rows[1]}. Write all times in one zone, best UTC."
        )
    zone = str(zones[0])
    digits = zone.replace("Z", "+00:00").replace(":", "")
    if not digits:
        return 0, ""
    minutes = int(digits[1:3]) * 60 + int(digits[3:5])
    told = f"its times are {zone} from UTC, read as UTC" if minutes else ""
    return (-minutes if digits[0] == "-" else minutes) * 60_000_000, told


def _from_fractions(values: NDArray[np.float64], place: str, counts: bool | None) -> Stamps:
    fractions = ~np.isfinite(values) | (np.floor(values) != values)
    if not fractions.any():
        return _from_numbers(values.astype(np.int64), place, counts)
    low, high, size, name = _EPOCHS[0]
    if counts is not True and low <= values.min() and values.max() < high:
        return Stamps(np.round(values * size).astype(np.int64), False, f"its numbers are {name} since 1970")
    row = int(fractions.argmax())
    raise DataError(
        f"{place}, row {row + 1}: {values[row]} is no whole number. Count time in whole steps or use dates."
    )


def _from_numbers(values: NDArray[np.int64], place: str, counts: bool | None) -> Stamps:
    dates = None if counts is True else _dates_in(values)
    if dates:
        return dates
    if counts is False:
        raise DataError(
            f"{place} holds whole numbers such as {values[0]}, where dates were expected. "
            f"Leave frequency= out and pass season=, or give dates."
        )
    return Stamps(values, True)


def _dates_in(values: NDArray[np.int64]) -> Stamps | None:
    """Whole numbers as dates if all of them can be: years, 194901, 19490131, or time since 1970."""
    low, high = int(values.min()), int(values.max())
    for least, most, size, name in _EPOCHS:
        if least <= low and high < most:
            return Stamps(values * size, False, f"its numbers are {name} since 1970")
    if _NANOSECONDS[0] <= low and high < _NANOSECONDS[1]:
        return Stamps(values // 1000, False, "its numbers are nanoseconds since 1970")
    for digits, shape in ((1, "years"), (100, "years and months"), (10_000, "years, months and days")):
        if _YEARS[0] * digits <= low and high < _YEARS[1] * digits:
            months = values // (digits // 100) % 100 if digits > 1 else np.ones_like(values)
            days = values % 100 if digits == 10_000 else np.ones_like(values)
            first = ((values // digits - 1970) * 12 + months - 1).astype("datetime64[M]")
            day = first.astype("datetime64[D]") + (days - 1).astype("timedelta64[D]")
            # the 31st of a month of 30 days lands in the next month
            if ((months >= 1) & (months <= 12) & (days >= 1) & (day.astype("datetime64[M]") == first)).all():
                return Stamps(day.astype("datetime64[us]").astype(np.int64), False, f"its numbers are {shape}")
    return None
