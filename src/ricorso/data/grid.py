"""The frequency of rows of series, and where they lie on its grid."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.data.calendar import MICROSECONDS, day_of_week, is_month_end
from ricorso.data.frequency import Frequency
from ricorso.data.rows import Ints, Rows, blocks, whole_series
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
    steps, between = _steps(rows, start, grid)
    if between:
        start = grid.floor(start)
        steps, between = _steps(rows, start, grid)
        notes.append(f"times between steps of {grid.step}, rounded down: {between:,}")
    return replace(rows, step=steps), start, grid


def _steps(rows: Rows, start: NDArray[Any], grid: Frequency) -> tuple[Ints, int]:
    """The step of each row on the grid of its series, and how many times lie between two steps."""
    found, between = np.empty(len(rows), np.int64), 0
    for part in blocks(len(rows)):
        found[part], exact = grid.steps(start[rows.code[part]], rows.stamps[part])
        between += int((~exact).sum())
    return found, between


def find_frequency(rows: Rows) -> Frequency:
    """The frequency of rows in order. Raises DataError for times without one, and for series that differ in it."""
    begins = rows.begins
    if len(begins) == len(rows):
        if rows.counts:
            return Frequency("step")
        raise DataError(
            f"{rows.where}: no series has two times to tell how far apart they are. Pass frequency=, such as 'hour'."
        )
    found = _pooled(rows.time, begins, rows.counts)
    if found:
        return found
    kinds: dict[Frequency, str] = {}
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(rows)], strict=True):
        if end - begin > 1:
            own = _pooled(rows.time[begin:end], np.zeros(1, np.int64), rows.counts)
            if own is None:
                raise _irregular(rows.at(slice(begin, end)))
            kinds.setdefault(own, rows.names[rows.code[begin]])
    if len(kinds) > 1:
        raise _mixed(rows.where, *list(kinds.items())[:2])
    return next(iter(kinds))


def check_same_step(rows: Rows, frequency: Frequency) -> None:
    """Raise DataError for a series that keeps a longer step than the others all along."""
    found = [_own_steps(rows.at(part)) for _, part in whole_series(rows.begins, len(rows))]
    series, low, high, many = np.concatenate(found, axis=1)
    other = np.flatnonzero((low == high) & (low > 1) & (many >= _PROOF))
    if len(other) and (low == 1).any():
        longer = replace(frequency, count=frequency.count * int(low[other[0]]))
        usual = rows.names[series[(low == 1).argmax()]]
        raise _mixed(rows.where, (frequency, usual), (longer, rows.names[series[other[0]]]))


def _own_steps(rows: Rows) -> Ints:
    """Of each series of several rows its number, the least and the most steps between rows, and how often it steps."""
    assert rows.step is not None
    same = rows.again
    if not same.any():
        return np.zeros((4, 0), np.int64)
    between, code = np.diff(rows.step)[same], rows.code[1:][same]
    begins = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
    low, high = np.minimum.reduceat(between, begins), np.maximum.reduceat(between, begins)
    return np.stack([code[begins].astype(np.int64), low, high, np.diff(np.append(begins, len(between)))])


def _mixed(where: str, one: tuple[Frequency, str], other: tuple[Frequency, str]) -> DataError:
    return DataError(
        f"{where}: series differ in how far apart their times are: '{one[1]}' is {one[0].adverb}, '{other[1]}' is "
        f"{other[0].adverb}. Keep each in a table of its own, or pass frequency= (--frequency) to put all on one grid."
    )


def _irregular(rows: Rows) -> DataError:
    between = np.diff(rows.time)
    values, many = _distances(rows.time, np.zeros(1, np.int64))
    step = int(values[many.argmax()])
    tried = Frequency("step" if rows.counts else "microsecond", step)
    i = int((between % step != 0).argmax())
    return DataError(
        f"{rows.where}: the times of series '{rows.names[rows.code[i]]}' are on no regular grid. Most often the next "
        f"is {tried.step} later ({int((between == step).sum()):,} of {len(between):,} times), but row "
        f"{rows.number(i + 1)} ({rows.shown(i + 1)}) is not a multiple of that after row {rows.number(i)} "
        f"({rows.shown(i)}). Pass frequency='{tried.name}' or a longer one (--frequency) to put them on a grid, and "
        f"duplicates= for times that then fall together."
    )


def _distances(times: Ints, begins: Ints) -> tuple[Ints, Ints]:
    """How far the times of each series are apart: each distance there is, from small to large, and how often."""
    values, many = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for part in blocks(len(times) - 1):
        between = times[part.start + 1 : part.stop + 1] - times[part]
        first, last = np.searchsorted(begins, [part.start + 1, part.stop + 1])
        more, often = np.unique(np.delete(between, begins[first:last] - 1 - part.start), return_counts=True)
        values, place = np.unique(np.concatenate([values, more]), return_inverse=True)
        counted = np.concatenate([many, often])
        many = np.zeros(len(values), np.int64)
        np.add.at(many, place, counted)
    return values, many


def _pooled(time: Ints, begins: Ints, counts: bool) -> Frequency | None:
    """The frequency of times in order, taken together; None when there is no common one."""
    values, many = _distances(time, begins)
    if not len(values):
        return None
    if not counts and values[0] >= 28 * _DAY:
        found = _monthly(time.view("datetime64[us]"), begins)
        if found:
            return found
    step = _step(values, many)
    if step is None:
        return None
    if counts:
        return Frequency("step", step)
    # over two weekends, and on neither of them a value
    weeks = time.max() - time.min() >= 9 * _DAY and (values == 3 * _DAY).any()
    if step == _DAY and weeks and _all(lambda part: day_of_week(time[part].view("datetime64[us]")) < 5, len(time)):
        return Frequency("business day")
    return Frequency("microsecond", step)


def _step(values: Ints, many: Ints) -> int | None:
    """The size of a step that all distances are multiples of: the most common one, or a smaller one seen often."""
    for i in (int(many.argmax()), 0):
        if not (values % values[i]).any() and many[i] * _ACCIDENT >= many.sum():
            return int(values[i])
    return None


def _monthly(stamps: NDArray[Any], begins: Ints) -> Frequency | None:
    months = stamps.astype("datetime64[M]").astype(np.int64)
    if not (step := _step(*_distances(months, begins))):
        return None

    def fits(frequency: Frequency, part: slice) -> NDArray[np.bool_]:
        series = np.searchsorted(begins, np.arange(part.start, part.stop), side="right") - 1
        return frequency.steps(stamps[begins[series]], stamps[part])[1]

    def day(part: slice) -> NDArray[Any]:
        return np.asarray(stamps[part] - stamps[part].astype("datetime64[M]").astype("datetime64[us]"))

    first = day(slice(0, 1))
    last_days = _all(lambda part: is_month_end(stamps[part]), len(stamps))
    # the last days of months: a start in February would hide it
    hidden = last_days and not _all(lambda part: day(part) == first, len(stamps))
    for found in (Frequency("month", step), Frequency("month", step, month_end=True)):
        if (found.month_end or not hidden) and _all(lambda part: fits(found, part), len(stamps)):  # noqa: B023
            return found
    return None


def _all(holds: Callable[[slice], NDArray[np.bool_]], count: int) -> bool:
    """Whether something holds for all of so many rows."""
    return all(bool(holds(part).all()) for part in blocks(count))
