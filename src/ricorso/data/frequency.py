"""How far apart the steps of a series are, and what follows from it: the grid of times, seasons, lags, the calendar."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ricorso.data.calendar import CYCLES, MEAN_YEAR, MICROSECONDS, add_months, calendar, floor_month
from ricorso.errors import DataError, RunError, UsageError, did_you_mean

Unit = Literal["step", "microsecond", "business day", "month"]
Times = NDArray[Any]  # datetime64[us], or int64 where time is a plain count

_DAY, _WEEK, _YEAR = MICROSECONDS["day"], MICROSECONDS["week"], 365 * MICROSECONDS["day"]
_BUSINESS_YEAR = 260
_MONDAY = np.datetime64("1970-01-05", "us")


@dataclass(frozen=True)
class Frequency:
    """The step of a series: `count` times a unit. Months are counted by the calendar; steps are plain whole numbers.

    month_end: the times are the last days of months. period: a season to use in place of the usual one.

    >>> hourly = Frequency.parse("hour")
    >>> hourly.name, hourly.season, hourly.seasons, hourly.lags(limit=30)
    ('hour', 24, (24, 168), (1, 2, 3, 23, 24, 25))
    >>> Frequency.parse("month").times(np.datetime64("1949-11-30"), 4).astype("datetime64[D]").tolist()[-1]
    datetime.date(1950, 2, 28)
    """

    unit: Unit
    count: int = 1
    month_end: bool = False
    period: int | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or (self.period is not None and self.period < 1):
            raise UsageError(f"A frequency and its season must be 1 or more, got {self.count} and {self.period}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A frequency from words such as 'hour', '30 minutes', 'monthly', 'business day', 'month end', '15min', 'D'.

        Raises UsageError for words that name none.
        """
        match = re.fullmatch(r"\s*(?:every\s+)?(\d*)\s*(\D+?)\s*", text)
        count, word = (int(match[1] or 1), match[2]) if match else (1, text)
        known = _WORDS.get(word) or _WORDS.get(word.lower()) or _WORDS.get(re.sub(r"s?( end)?$", r"\1", word.lower()))
        if known is None or count < 1:
            raise UsageError(
                f"'{text}' is no frequency.{did_you_mean(word, [w for w in _WORDS if len(w) > 3])} "
                f"Write for example 'hour', '30 minutes', 'day', 'business day', 'week', 'month', 'year' or 'step'."
            )
        unit, size, month_end = known
        return cls(unit, count * size, month_end)

    @property
    def counts(self) -> bool:
        """Whether time is a plain whole number and no date."""
        return self.unit == "step"

    @property
    def name(self) -> str:
        """In words: 'hour', '30 minutes', 'month', 'month end', 'step'; `parse` gives the frequency back."""
        size, word = next((size, word) for size, word in _sizes(self.unit) if self.count % size == 0)
        many = self.count // size
        return (word if many == 1 else f"{many} {word}s") + (" end" if self.month_end else "")

    @property
    def step(self) -> str:
        """One step in words: '1 hour', '30 minutes'."""
        return self.name if self.name[0].isdigit() else f"1 {self.name}"

    @property
    def adverb(self) -> str:
        """How often, in words: 'hourly', 'every 30 minutes'."""
        return _ADVERBS.get(self.name, f"every {self.name}")

    @property
    def season(self) -> int:
        """The usual number of steps after which values repeat: a day of hours, a year of months."""
        return self.seasons[0]

    @cached_property
    def seasons(self) -> tuple[int, ...]:
        """Every sensible season, in steps, the usual one first."""
        found = _seasons(self.unit, self.count)
        if self.period is None:
            return found
        return (self.period, *(season for season in found if season > self.period))

    def with_season(self, period: int | None) -> Self:
        """The same frequency with another usual season."""
        return replace(self, period=period)

    def at(self, start: Any, steps: ArrayLike) -> Times:
        """The times so many steps after a start; both may be arrays.

        >>> Frequency("step", 10).at(5, [0, 3]).tolist()
        [5, 35]
        """
        ahead = np.asarray(steps, np.int64) * self.count
        if self.unit == "step":
            return np.asarray(start, np.int64) + ahead
        begin = np.asarray(start, "datetime64[us]")
        if self.unit == "microsecond":
            return np.asarray(begin + ahead.astype("timedelta64[us]"))
        if self.unit == "month":
            return add_months(begin, ahead, self.month_end)
        days = begin.astype("datetime64[D]")
        return np.asarray(np.busday_offset(days, ahead, roll="backward").astype("datetime64[us]") + (begin - days))

    def times(self, start: Any, count: int) -> Times:
        """`count` times from a start on."""
        return self.at(start, np.arange(count))

    def steps(self, start: Any, times: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Whole steps from a start to each time, rounded down, and whether the time is exactly there.

        With `month_end` every time belongs to the span of months that ends with the next of the grid.
        """
        if self.unit == "step":
            whole = (np.asarray(times, np.int64) - np.asarray(start, np.int64)) // self.count
            return whole, np.asarray(self.at(start, whole) == times)
        begin, then = np.asarray(start, "datetime64[us]"), np.asarray(times, "datetime64[us]")
        if self.unit == "microsecond":
            whole = (then - begin).astype(np.int64) // self.count
        elif self.unit == "month":
            months = then.astype("datetime64[M]").astype(np.int64) - begin.astype("datetime64[M]").astype(np.int64)
            if self.month_end:  # a span belongs to the day it ends with
                whole = -(-months // self.count)
                return whole, np.asarray(self.at(begin, whole) == then)
            whole = months // self.count
        else:
            whole = (
                np.asarray(np.busday_count(begin.astype("datetime64[D]"), then.astype("datetime64[D]"))) // self.count
            )
        there = self.at(begin, whole)
        whole = whole - (there > then)
        return whole, np.asarray(self.at(begin, whole) == then)

    def index(self, start: Any, times: ArrayLike) -> NDArray[np.int64]:
        """Steps from a start to each time. Raises DataError for a time that is not on the grid.

        >>> Frequency.parse("week").index("2024-01-01", ["2024-01-08", "2024-02-05"]).tolist()
        [1, 5]
        """
        whole, exact = self.steps(start, times)
        if not exact.all():
            wrong = np.asarray(times)[~exact].ravel()[0]
            raise DataError(f"{wrong} is not a whole number of steps ({self.name}) after {start}.")
        return whole

    def floor(self, times: ArrayLike) -> Times:
        """Each time rounded down to the natural grid: full hours, Mondays, first days of months, multiples.

        With `month_end` it becomes the last day of its span of months.
        """
        if self.unit == "step":
            return np.asarray(times, np.int64) // self.count * self.count
        then = np.asarray(times, "datetime64[us]")
        if self.unit == "microsecond":
            return _MONDAY + (then - _MONDAY).astype(np.int64) // self.count * np.timedelta64(self.count, "us")
        if self.unit == "month":
            return floor_month(then, self.count, self.month_end)
        return np.busday_offset(then.astype("datetime64[D]"), 0, roll="backward").astype("datetime64[us]")

    def lags(self, limit: int) -> tuple[int, ...]:
        """The steps back that help a model most, up to `limit`: the last three, and about one of each season.

        After DeepAR (Salinas et al. 2020, https://doi.org/10.1016/j.ijforecast.2019.07.001).
        """
        cycles = {*self.seasons, *([_YEAR // self.count] if self.unit == "microsecond" and self.count <= _WEEK else [])}
        found = {1, 2, 3, 2 * self.season} | {cycle + near for cycle in cycles for near in (-1, 0, 1)}
        return tuple(sorted(lag for lag in found if 1 <= lag <= limit))

    @cached_property
    def calendar_names(self) -> tuple[str, ...]:
        """What `calendar` gives, in order; nothing for years and plain steps."""
        if self.unit == "step":
            return ()
        if self.unit == "month":
            return () if self.count % 12 == 0 else ("month of year",)
        size = _DAY if self.unit == "business day" else self.count
        if size >= _WEEK:
            return ("week of year",)
        clock = (("second of minute", "minute"), ("minute of hour", "hour"), ("hour of day", "day"))
        names = [name for name, cycle in clock if size < MICROSECONDS[cycle]]
        return (*names, "day of week", "day of month", "day of year")

    def repeated_cycles(self, steps: int) -> tuple[str, ...]:
        """Those of `calendar_names` that come twice in so many steps: what comes once cannot be told from a trend.

        >>> Frequency.parse("hour").repeated_cycles(24 * 365)
        ('hour of day', 'day of week', 'day of month')
        """
        length = {"month": MEAN_YEAR // 12, "business day": _WEEK // 5}.get(self.unit, 1) * self.count
        return tuple(name for name in self.calendar_names if 2 * CYCLES[name] <= length * steps)

    def calendar(self, times: ArrayLike, names: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Where each time stands in cycles by name, all of `calendar_names` if not given: (times, names), -0.5 to 0.5.

        >>> Frequency.parse("day").calendar(["2024-01-01", "2024-12-31"]).tolist()
        [[-0.5, -0.5, -0.5], [-0.3333333432674408, 0.5, 0.5]]
        """
        names = self.calendar_names if names is None else names
        if not names:
            return np.zeros((np.size(times), 0), np.float32)
        return calendar(np.asarray(times, "datetime64[us]").ravel(), names)

    def to_json(self) -> dict[str, Any]:
        """The frequency as data."""
        return {"unit": self.unit, "count": self.count, "month_end": self.month_end, "period": self.period}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The frequency from its data. Raises RunError when the data do not describe one."""
        unit, count, month_end, period = (data.get(key) for key in ("unit", "count", "month_end", "period"))
        whole = all(type(number) is int and number > 0 for number in (count, 1 if period is None else period))
        if unit not in ("step", "microsecond", "business day", "month") or not whole or type(month_end) is not bool:
            raise RunError("The frequency of the series does not hold together; the run folder is damaged.")
        return cls(unit, int(count or 0), month_end, period)


def _sizes(unit: Unit) -> list[tuple[int, str]]:
    if unit == "microsecond":
        return [(size, word) for word, size in reversed(MICROSECONDS.items())]
    return [(12, "year"), (3, "quarter"), (1, "month")] if unit == "month" else [(1, unit)]


def _seasons(unit: Unit, count: int) -> tuple[int, ...]:
    if unit == "step":
        return (1,)
    if unit == "month":
        return (12 // count if 12 % count == 0 else 1,)
    if unit == "business day":
        week = [5 // count] if 5 % count == 0 and count < 5 else []
        return (*week, max(_BUSINESS_YEAR // count, 1))
    second, minute, hour = (MICROSECONDS[word] for word in ("second", "minute", "hour"))
    if count >= _DAY:
        week = [_WEEK // count] if _WEEK % count == 0 and count < _WEEK else []
        return (*week, max(_YEAR // count, 1))
    cycles = (second, minute) if count < second else (hour, _DAY) if count < minute else (_DAY, _WEEK)
    return tuple(cycle // count for cycle in cycles if cycle % count == 0) or (1,)


_WORDS: dict[str, tuple[Unit, int, bool]] = {
    **{word: ("microsecond", size, False) for word, size in MICROSECONDS.items()},
    "step": ("step", 1, False),
    "business day": ("business day", 1, False),
    "month": ("month", 1, False),
    "quarter": ("month", 3, False),
    "year": ("month", 12, False),
    "month end": ("month", 1, True),
    "quarter end": ("month", 3, True),
    "year end": ("month", 12, True),
}
_ADVERBS = {
    "step": "plain steps",
    "hour": "hourly",
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "quarter": "quarterly",
    "year": "yearly",
}
_WORDS |= {adverb: _WORDS[word] for word, adverb in _ADVERBS.items()} | {"annual": _WORDS["year"]}
# the short names of pandas; a lone m is left out, for it may be a month or a minute
_SHORT = {
    "microsecond": "us", "millisecond": "ms", "second": "s S sec", "minute": "min T", "hour": "h H", "day": "d D",
    "business day": "b B", "week": "w W", "month": "M MS", "quarter": "q Q QS", "year": "y Y A YS AS",
    "month end": "ME", "quarter end": "QE", "year end": "YE",
}  # fmt: skip
_WORDS |= {short: _WORDS[word] for word, shorts in _SHORT.items() for short in shorts.split()}
