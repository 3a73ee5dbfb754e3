"""From series to what the forecast task trains and measures on."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.data.series import Series, SeriesSet
from ricorso.data.series_calendar import SeriesCalendar
from ricorso.data.windows import WindowBatch, Windows
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.inputs import Encoding, ForecastBatch

_MOST_WINDOWS = 50_000
_VALIDATION_WINDOWS = 1_000


@dataclass(frozen=True)
class ForecastData:
    """Series, the windows to train on, and those to validate on, which lie behind: numbers of series and origins."""

    known: SeriesSet
    train: Windows
    windows: Windows
    validation: tuple[NDArray[np.int64], NDArray[np.int64]] | None


class Batches:
    """Windows as the model takes them: every target is a window of its own, covariates as `encoding` has them."""

    def __init__(self, known: SeriesSet, windows: Windows, encoding: Encoding, config: ForecastConfig) -> None:
        self._windows, self._encoding = windows, encoding
        self._calendar = SeriesCalendar(known, config.calendar or (), windows.context, windows.horizon)
        self._numbers, self._codes = encoding.constants(known.series, known.columns.static)

    def at(self, numbers: NDArray[np.int64], origins: NDArray[np.int64]) -> ForecastBatch:
        """Windows of series by number whose horizon begins at the given steps."""
        return self.of(self._windows.at(numbers, origins))

    def of(self, batch: WindowBatch) -> ForecastBatch:
        """Windows that were cut."""
        targets, context = batch.values.shape[2], batch.context
        features = np.concatenate([self._calendar.of(batch), self._encoding.known.apply(batch.known)], -1)
        values = torch.from_numpy(np.ascontiguousarray(batch.values.transpose(1, 2, 0))).flatten(0, 1)
        constants = (torch.from_numpy(part[batch.series]) for part in (self._numbers, self._codes))
        return ForecastBatch(
            values[:, :context],
            values[:, context:],
            _windows_first(features, targets),
            _windows_first(self._encoding.past.apply(batch.past), targets),
            *self._encoding.of_targets(*constants),
        )


def _windows_first(values: NDArray[np.float32], targets: int) -> Tensor:
    """(steps, windows, columns) as (windows * targets, steps, columns)."""
    found = torch.from_numpy(np.ascontiguousarray(values.swapaxes(0, 1)))
    return found if targets == 1 else found.repeat_interleave(targets, dim=0)


def prepare(known: SeriesSet, config: ForecastConfig) -> ForecastData:
    """Windows to train on and, behind them, windows to validate on. config: with everything chosen.

    Raises DataError when no series is long enough.
    """
    assert config.horizon is not None
    history = config.history
    held_out = _held_out(known, config)
    shorter = tuple(_without_end(series, count) for series, count in zip(known.series, held_out, strict=True))
    minimum = min(history, max(config.horizon, 2))
    wanted = config.windows_per_epoch or _MOST_WINDOWS
    train = Windows(
        replace(known, series=shorter), history, config.horizon, config.batch_size, config.seed,
        per_epoch=wanted, minimum_context=minimum,
    )  # fmt: skip
    windows = Windows(known, history, config.horizon, config.batch_size, config.seed, minimum_context=minimum)
    if not any(held_out):
        return ForecastData(known, train, windows, None)
    return ForecastData(known, train, windows, _validation(windows, known, held_out))


def _validation(windows: Windows, known: SeriesSet, held_out: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows whose horizon lies in what was held out, evenly apart; about `_VALIDATION_WINDOWS` of them."""
    ends, horizon = np.array(held_out), windows.horizon
    places = int((ends[ends > 0] - horizon + 1).sum())
    stride = max(1, min(horizon, places // _VALIDATION_WINDOWS))
    numbers, origins = windows.rolling(int((ends.max() - horizon) // stride + 1), stride)
    first = np.array([series.steps for series in known.series]) - ends
    inside = origins >= first[numbers]
    return numbers[inside], origins[inside]


def _held_out(known: SeriesSet, config: ForecastConfig) -> list[int]:
    """How many steps at the end of each series are kept for validation; none where too little would be left."""
    assert config.horizon is not None
    found = []
    for series in known.series:
        share = config.validation_fraction
        count = config.horizon if share is None else round(series.steps * share)
        count = max(count, config.horizon) if count else 0
        found.append(count if series.steps - count >= 3 * config.horizon else 0)
    return found


def _without_end(series: Series, count: int) -> Series:
    return replace(series, values=series.values[: series.steps - count]) if count else series


def fingerprint(known: SeriesSet, path: str | None) -> dict[str, Any]:
    """By what the data are recognised again."""
    digest = hashlib.sha256()
    for series in known.series:
        digest.update(series.name.encode())
        digest.update(np.ascontiguousarray(series.values).data)
    return {
        "path": path,
        "series": len(known.series),
        "steps": sum(series.steps for series in known.series),
        "sha256": digest.hexdigest(),
        "columns": known.columns.to_json(),
        "frequency": known.frequency.to_json(),
    }
