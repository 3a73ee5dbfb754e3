"""What the calendar says about the steps of windows over many series."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ricorso.data.flat import gathered
from ricorso.data.series import SeriesSet
from ricorso.data.windows import WindowBatch

# a table of so many steps takes less than 100 MB
_LONGEST = 1 << 22


class SeriesCalendar:
    """The calendar of each step of windows, from `before` steps before a series to `after` steps behind it.

    names: the cycles, of `Frequency.calendar_names`. Series on a common grid share one table over the time that they
    span together; where there is none, or it would be too long, the calendar is worked out for each batch.

    >>> from ricorso.data.series import read_series
    >>> from ricorso.data.windows import Windows
    >>> known = read_series({"day": ["2024-01-01", "2024-01-02", "2024-01-03"], "sold": [1, 2, 3]})
    >>> calendar = SeriesCalendar(known, ("day of week", "day of year"), before=2, after=1)
    >>> windows = Windows(known, context=2, horizon=1, batch_size=1, seed=0)
    >>> calendar.of(windows.at(0, 3)).shape
    (3, 1, 2)
    """

    def __init__(self, known: SeriesSet, names: Sequence[str], before: int, after: int) -> None:
        self._frequency, self._names = known.frequency, names
        self._table: NDArray[np.float32] | None = None
        if not names:
            return
        self._starts = np.array([series.start for series in known], "datetime64[us]")
        first = self._starts.min()
        place, exact = known.frequency.steps(first, self._starts)
        steps = int(max(at + series.steps for at, series in zip(place.tolist(), known, strict=True)))
        if exact.all() and before + steps + after <= _LONGEST:
            times = known.frequency.at(first, np.arange(-before, steps + after))
            self._table, self._place = known.frequency.calendar(times, names), place + before

    def of(self, batch: WindowBatch) -> NDArray[np.float32]:
        """The calendar of every step of the windows, (steps, windows, features)."""
        steps, count = batch.values.shape[:2]
        if not self._names:
            return np.zeros((steps, count, 0), np.float32)
        if self._table is not None:
            return gathered(self._table, self._place[batch.series] + batch.begin, steps).swapaxes(0, 1)
        times = self._frequency.at(self._starts[batch.series], batch.begin + np.arange(steps)[:, None])
        return self._frequency.calendar(times, self._names).reshape(steps, count, len(self._names))
