"""A network that goes on from its own outputs, beside what it was to follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ricorso.bundle import write_file
from ricorso.pages.page import charting, filled, numbers, page


@dataclass(frozen=True)
class FreeRun:
    """One series: what was, the next values predicted from it, and the values that a network made from its own.

    original: (steps). predicted: the values before the free run, (steps of its own), each made from what stands before
    it. free: the last values, (free steps). times: of the original; left out, steps are counted from 0.
    """

    name: str
    original: NDArray[np.float64]
    predicted: NDArray[np.float64]
    free: NDArray[np.float64]
    times: NDArray[Any] | None = None

    @property
    def begin(self) -> int:
        """The step at which the network is left to itself."""
        return len(self.original) - len(self.free)

    @property
    def error(self) -> float:
        """The root of the mean squared error of the predicted next values."""
        return _root(self.predicted - self.original[self.begin - len(self.predicted) : self.begin])

    @property
    def free_error(self) -> float:
        """The root of the mean squared error of the values made from the network's own."""
        return _root(self.free - self.original[self.begin :])


def free_run_charts(runs: Sequence[FreeRun]) -> str:
    """A chart for each run as a part of a page; it draws them with the `charting()` of the page around it."""
    places = "".join(
        f'<div class="chart"><h4>{escape(one.name)}</h4><div id="free-{n}" role="img" '
        f'aria-label="{escape(one.name)}: original, next value predicted, running free"></div></div>'
        for n, one in enumerate(runs)
    )
    data = numbers("free-runs", [_drawn(one) for one in runs])
    return filled(files("ricorso.insight") / "free_run.html", places=places, data=data)


def save_free_runs(path: str | Path, title: str, runs: Sequence[FreeRun]) -> Path:
    """Write a page with a chart for each run; it opens without a network. Raises OSError."""
    body = f"<h1>{escape(title)}</h1>\n{charting()}\n{free_run_charts(runs)}"
    write_file(Path(path), page(title, body).encode())
    return Path(path)


def phase_shift(found: ArrayLike, wave: ArrayLike, period: int) -> float:
    """By how many steps the last period of one runs behind that of the other.

    >>> steps = np.arange(20)
    >>> round(phase_shift(np.sin(2 * np.pi * (steps - 3) / 10), np.sin(2 * np.pi * steps / 10), 10), 6)
    3.0
    """
    turn = np.exp(-2j * np.pi * np.arange(period) / period)
    between = np.angle((np.asarray(found)[-period:] @ turn) / (np.asarray(wave)[-period:] @ turn))
    return float(-between * period / (2 * np.pi))


def _drawn(one: FreeRun) -> dict[str, Any]:
    times = list(range(len(one.original))) if one.times is None else [str(time) for time in one.times]
    begin = one.begin
    return {
        "original": {"x": times, "y": _plain(one.original)},
        "predicted": {"x": times[begin - len(one.predicted) : begin], "y": _plain(one.predicted)},
        "free": {"x": times[begin:], "y": _plain(one.free)},
    }


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]


def _root(error: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.nanmean(np.square(error))))
