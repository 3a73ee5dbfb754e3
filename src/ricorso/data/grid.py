"""The frequency of rows of series, and where they lie on its grid."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.data.calendar import MICROSECONDS, day_of_week, is_month_end
from ricorso.data.frequency import Frequency
from ricorso.data.rows import Ints, Rows
from ricorso.errors import DataError, UsageError

_DAY = MICROSECONDS["day"]
# how many steps of the same size prove that a series has a step of its own
_PROOF = 4
# fewer than one step in so many of a smaller size is an accident, not the frequency
_ACCIDENT = 10


def put_on_grid(rows: Rows, frequency: Frequency | None, notes: list[str]) -> tuple[Rows, NDArray[Any], Frequency]:
    """Rows in order with the step of each, the time of step 0 of each series, and the frequency.

    Without a frequency it is found; times between the steps of a given one are rounded down.
    Raises DataError for times that fit no grid, UsageError for a frequency of another kind than the times.
    """
    if frequency is not None and rows.counts != frequency.counts:
        has, needs = ("whole numbers", "dates") if rows.counts else ("dates", "whole numbers")
        raise UsageError(f"The times of {rows.where} are {has}, but frequency='{frequency.name}' needs {needs}.")
    grid = frequency or find_frequency(rows)
    start = rows.stamps[rows.begins]
    number = np.cumsum(np.concatenate([[0], ~rows.again]))
    steps, exact = grid.steps(start[number], rows.stamps)
    if not exact.all():
        start = grid.floor(start)
        steps, exact = grid.steps(start[number], rows.stamps)
        notes.append(f"times between steps of {grid.step}, rounded down: {int((~exact).sum()):,}")
    return replace(rows, step=steps), start, grid


def find_frequency(rows: Rows) -> Frequency:
    """The frequency of rows in order. Raises DataError for times without one, and for series that differ in it."""
    same = rows.again
    if not same.any() and rows.counts:
        return Frequency("step")
    if not same.any():
        raise DataError(
            f"{rows.where}: no series has two times to tell how far apart they are. Pass frequency=, such as 'hour'."
        )
    found = _pooled(rows.time, same, rows.counts)
    if found:
        return found
    ends = np.flatnonzero(np.concatenate([~same, [True]])) + 1
    kinds: dict[Frequency, str] = {}
    for begin, end in zip(np.concatenate([[0], ends[:-1]]).tolist(), ends.tolist(), strict=True):
        if end - begin > 1:
            own = _pooled(rows.time[begin:end], same[begin : end - 1], rows.counts)
            if own is None:
                raise _irregular(rows.at(slice(begin, end)))
            kinds.setdefault(own, rows.names[rows.code[begin]])
    if len(kinds) > 1:
        raise _mixed(rows.where, *list(kinds.items())[:2])
    return next(iter(kinds))


def check_same_step(rows: Rows, frequency: Frequency) -> None:
    """Raise DataError for a series that keeps a longer step than the others all along."""
    same = rows.again
    if not same.any():
        return
    between = np.diff(rows.step)[same]
    if (between == 1).all():
        return
    code = rows.code[1:][same]
    begins = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
    low, high = np.minimum.reduceat(between, begins), np.maximum.reduceat(between, begins)
    many = np.diff(np.append(begins, len(between))) >= _PROOF
    other = np.flatnonzero((low == high) & (low > 1) & many)
    if len(other) and (low == 1).any():
        longer = replace(frequency, count=frequency.count * int(low[other[0]]))
        usual = rows.names[code[begins[(low == 1).argmax()]]]
        raise _mixed(rows.where, (frequency, usual), (longer, rows.names[code[begins[other[0]]]]))


def _mixed(where: str, one: tuple[Frequency, str], other: tuple[Frequency, str]) -> DataError:
    return DataError(
        f"{where}: series differ in how far apart their times are: '{one[1]}' is {one[0].adverb}, '{other[1]}' is "
        f"{other[0].adverb}. Keep each in a table of its own, or pass frequency= (--frequency) to put all on one grid."
    )


def _irregular(rows: Rows) -> DataError:
    between = np.diff(rows.time)
    step = _common(between)
    tried = Frequency("step" if rows.counts else "microsecond", step)
    i = int((between % step != 0).argmax())
    return DataError(
        f"{rows.where}: the times of series '{rows.names[rows.code[i]]}' are on no regular grid. Most often the next "
        f"is {tried.step} later ({int((between == step).sum()):,} of {len(between):,} times), but row "
        f"{rows.row[i + 1]} ({rows.shown(i + 1)}) is not a multiple of that after row {rows.row[i]} ({rows.shown(i)}). "
        f"Pass frequency='{tried.name}' or a longer one (--frequency) to put them on a grid, and duplicates= for "
        f"times that then fall together."
    )


def _common(between: Ints) -> int:
    values, counts = np.unique(between, return_counts=True)
    return int(values[counts.argmax()])


def _pooled(time: Ints, same: NDArray[np.bool_], counts: bool) -> Frequency | None:
    """The frequency of times in order, taken together; None when there is no common one."""
    if not same.any():
        return None
    between = np.diff(time)[same]
    if counts:
        step = _step(between)
        return Frequency("step", step) if step else None
    if between.min() >= 28 * _DAY:
        found = _monthly(time, same)
        if found:
            return found
    step = _step(between)
    if step is None:
        return None
    # over two weekends, and on neither of them a value
    weeks = time.max() - time.min() >= 9 * _DAY and (between == 3 * _DAY).any()
    if step == _DAY and weeks and (day_of_week(time.astype("datetime64[us]")) < 5).all():
        return Frequency("business day")
    return Frequency("microsecond", step)


def _step(between: Ints) -> int | None:
    """The size of a step that all distances are multiples of: the most common one, or a smaller one seen often."""
    if between.min() == between.max():
        return int(between[0])
    values, counts = np.unique(between, return_counts=True)
    for i in (int(counts.argmax()), 0):
        if not (values % values[i]).any() and counts[i] * _ACCIDENT >= len(between):
            return int(values[i])
    return None


def _monthly(time: Ints, same: NDArray[np.bool_]) -> Frequency | None:
    stamps = time.astype("datetime64[us]")
    months = stamps.astype("datetime64[M]")
    step = _step(np.diff(months.astype(np.int64))[same].astype(np.int64))
    if step is None:
        return None
    day = stamps - months.astype("datetime64[us]")
    start = np.concatenate([[True], ~same])
    first = stamps[np.maximum.accumulate(np.where(start, np.arange(len(time)), 0))]
    for month_end in (False, True):
        found = Frequency("month", step, month_end)
        if not month_end and is_month_end(stamps).all() and (day != day[0]).any():
            continue  # the last days of months: a start in February would hide it
        if found.steps(first, stamps)[1].all():
            return found
    return None
