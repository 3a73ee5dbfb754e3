"""Arithmetic with dates: months that are counted by the calendar, and where a time stands in its day, week and year."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[Any]  # datetime64[us]

MICROSECONDS = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}

MEAN_YEAR = 31_556_952_000_000  # 365.2425 days


def add_months(start: Times, months: NDArray[np.int64], month_end: bool = False) -> Times:
    """So many months later, on the same day or the last of a month that is too short (always the last: `month_end`).

    >>> add_months(np.array("2023-12-31", "datetime64[us]"), np.array([2])).astype("datetime64[D]").tolist()
    [datetime.date(2024, 2, 29)]
    """
    days, begin = start.astype("datetime64[D]"), start.astype("datetime64[M]")
    then = begin + months.astype("timedelta64[M]")
    last = (then + 1).astype("datetime64[D]") - then.astype("datetime64[D]") - 1
    day = last if month_end else np.minimum(days - begin.astype("datetime64[D]"), last)
    return np.asarray((then.astype("datetime64[D]") + day).astype("datetime64[us]") + (start - days))


def floor_month(times: Times, count: int = 1, month_end: bool = False) -> Times:
    """The first day (with `month_end` the last) of each time's span of `count` months, counted from January 1970."""
    months = times.astype("datetime64[M]").astype(np.int64) // count * count + (count - 1 if month_end else 0)
    first = months.astype("datetime64[M]").astype("datetime64[us]")
    return add_months(first, np.zeros_like(months), month_end)


def is_month_end(times: Times) -> NDArray[np.bool_]:
    """Whether each time is on the last day of its month."""
    days = times.astype("datetime64[D]")
    return np.asarray((days + 1).astype("datetime64[M]") != days.astype("datetime64[M]"))


def day_of_week(times: Times) -> NDArray[np.int64]:
    """0 for Monday to 6 for Sunday."""
    days = times.astype("datetime64[D]").astype(np.int64)
    return (days + 3) % 7  # 1 January 1970 was a Thursday


def _clock(unit: str, cycle: str) -> Callable[[Times], NDArray[np.float64]]:
    size, many = MICROSECONDS[unit], MICROSECONDS[cycle] // MICROSECONDS[unit]
    return lambda times: times.astype(np.int64) // size % many / (many - 1) - 0.5


def _day_in(span: str) -> Callable[[Times], NDArray[np.int64]]:
    def day(times: Times) -> NDArray[np.int64]:
        days = times.astype("datetime64[D]")
        return np.asarray(days - days.astype(f"datetime64[{span}]").astype("datetime64[D]")).astype(np.int64)

    return day


def _week_of_year(times: Times) -> NDArray[np.int64]:
    # a week of ISO 8601 belongs to the year of its Thursday
    thursday = times.astype("datetime64[D]") + (3 - day_of_week(times)).astype("timedelta64[D]")
    return _day_in("Y")(thursday) // 7


# How long each cycle of `calendar` takes, in microseconds, on average.
CYCLES = {
    "second of minute": MICROSECONDS["minute"],
    "minute of hour": MICROSECONDS["hour"],
    "hour of day": MICROSECONDS["day"],
    "day of week": MICROSECONDS["week"],
    "day of month": MEAN_YEAR // 12,
    "day of year": MEAN_YEAR,
    "week of year": MEAN_YEAR,
    "month of year": MEAN_YEAR,
}


def calendar(times: Times, names: Sequence[str]) -> NDArray[np.float32]:
    """Where times stand in cycles by name: (times, names), from -0.5 to 0.5.

    >>> calendar(np.array(["2024-01-01T23"], "datetime64[us]"), ["day of week", "hour of day"]).tolist()
    [[-0.5, 0.5]]
    """
    found = np.empty((len(times), len(names)), np.float32)
    if not len(times):
        return found
    days = times.astype("datetime64[D]")
    first = days.min()
    span = int((days.max() - first).astype(np.int64)) + 1
    place: NDArray[np.int64] | slice = slice(None)
    if span < len(times):  # cheaper to work out each day once
        place = (days - first).astype(np.int64)
        days = first + np.arange(span)
    dates = days.astype("datetime64[us]")
    for column, name in enumerate(names):
        found[:, column] = _OF_CLOCK[name](times) if name in _OF_CLOCK else _OF_DATE[name](dates)[place]
    return found


_OF_CLOCK: dict[str, Callable[[Times], NDArray[np.float64]]] = {
    "second of minute": _clock("second", "minute"),
    "minute of hour": _clock("minute", "hour"),
    "hour of day": _clock("hour", "day"),
}
_OF_DATE: dict[str, Callable[[Times], NDArray[np.float64]]] = {
    "day of week": lambda times: day_of_week(times) / 6 - 0.5,
    "day of month": lambda times: _day_in("M")(times) / 30 - 0.5,
    "day of year": lambda times: _day_in("Y")(times) / 365 - 0.5,
    "week of year": lambda times: _week_of_year(times) / 52 - 0.5,
    "month of year": lambda times: times.astype("datetime64[M]").astype(np.int64) % 12 / 11 - 0.5,
}
