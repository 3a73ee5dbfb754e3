"""How everything is timed: the sides in turn in one process, medians with their quartiles."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Seconds a run: median and the quartiles around it."""

    median: float
    low: float
    high: float
    runs: int

    def as_json(self) -> dict[str, float]:
        return {"median_s": self.median, "low_quartile_s": self.low, "high_quartile_s": self.high, "runs": self.runs}

    def shared(self, parts: int) -> "Timing":
        """Seconds for one of the `parts` that each run consists of."""
        return Timing(self.median / parts, self.low / parts, self.high / parts, self.runs)


def timing(values: Sequence[float]) -> Timing:
    """The median of several runs and the quartiles around it; of two values at least.

    >>> timing([3.0, 1.0, 2.0])
    Timing(median=2.0, low=1.0, high=3.0, runs=3)
    """
    low, _, high = statistics.quantiles(values, n=4)
    return Timing(statistics.median(values), low, high, len(values))


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios: twice as fast and half as fast make 1.

    >>> geometric_mean([2.0, 0.5])
    1.0
    """
    return statistics.geometric_mean(values)


def alternate(
    sides: Mapping[str, Callable[[], Any]],
    seconds: float = 2.0,
    least: int = 5,
    turn: float = 0.05,
    between: Callable[[], None] | None = None,
) -> dict[str, Timing]:
    """Run the sides in turn for about `seconds` in all, each at least `least` times, after warming each up.

    A side runs for `turn` seconds at a time, so that it is met as it would be in a loop of its own; the first short
    run of a turn is not counted, because threads of the side before may still be spinning and caches hold its data.
    between: called when a turn ends.
    """
    for run in sides.values():
        run()
        run()
        if between:
            between()
    times: dict[str, list[float]] = {name: [] for name in sides}
    turn = min(turn, seconds / (2 * len(sides)))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < least:
        for name, run in sides.items():
            _take_turn(run, times[name], turn)
            if between:
                between()
    return {name: timing(values) for name, values in times.items()}


def _take_turn(run: Callable[[], Any], times: list[float], turn: float) -> None:
    if not times or times[-1] < turn:
        run()
    start = time.perf_counter()
    end = start + turn
    while True:
        run()
        now = time.perf_counter()
        times.append(now - start)
        if now >= end:
            return
        start = now
