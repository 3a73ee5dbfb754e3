"""From series to what the forecast task trains and measures on, and what is chosen from them."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.data.frequency import Frequency
from ricorso.data.series import Series, SeriesSet
from ricorso.data.windows import WindowBatch, Windows
from ricorso.errors import DataError
from ricorso.tasks.forecast.config import ForecastConfig

_MOST_WINDOWS = 50_000
_VALIDATION_WINDOWS = 1_000


@dataclass(frozen=True)
class ForecastBatch:
    """Windows, one target each. past (windows, context) and future (windows, horizon) with NaN where missing.

    features: known numbers of each step, (windows, context + horizon, features).
    """

    past: Tensor
    future: Tensor
    features: Tensor


@dataclass(frozen=True)
class ForecastData:
    """Series, the windows to train on, and those to validate on, which lie behind: numbers of series and origins."""

    known: SeriesSet
    train: Windows
    windows: Windows
    validation: tuple[NDArray[np.int64], NDArray[np.int64]] | None

    @cached_property
    def calendar(self) -> "Calendar":
        return Calendar(self.known, self.train.context, self.train.horizon)


class Calendar:
    """What the times of all series say, from `before` steps before each to `after` steps behind it."""

    def __init__(self, known: SeriesSet, before: int, after: int) -> None:
        frequency, self.before = known.frequency, before
        self.features = len(frequency.calendar_names)
        rows = [frequency.calendar(frequency.at(s.start, np.arange(-before, s.steps + after))) for s in known.series]
        self._flat = np.concatenate(rows) if self.features else np.zeros((0, 0), np.float32)
        self._begin = np.cumsum([0, *(len(row) for row in rows)])

    def of(self, batch: WindowBatch) -> NDArray[np.float32]:
        """(steps, windows, features)."""
        steps, count = batch.values.shape[:2]
        if not self.features:
            return np.zeros((steps, count, 0), np.float32)
        first = self._begin[batch.series] + batch.begin + self.before
        found: NDArray[np.float32] = self._flat[first + np.arange(steps)[:, None]]
        return found


def tensors(batch: WindowBatch, calendar: Calendar, context: int) -> ForecastBatch:
    """Windows as the model takes them: every target is a window of its own."""
    steps, count, targets = batch.values.shape
    features = np.concatenate([calendar.of(batch), batch.known], -1)
    features = np.broadcast_to(features[:, :, None], (steps, count, targets, features.shape[-1]))
    values = torch.from_numpy(np.ascontiguousarray(batch.values.reshape(steps, -1).T))
    known = torch.from_numpy(np.array(features.reshape(steps, count * targets, -1).swapaxes(0, 1), order="C"))
    return ForecastBatch(values[:, :context], values[:, context:], known.nan_to_num(0.0))


def prepare(known: SeriesSet, config: ForecastConfig) -> ForecastData:
    """Windows to train on and, behind them, windows to validate on. config: with everything chosen.

    Raises DataError when no series is long enough.
    """
    assert config.context is not None
    assert config.horizon is not None
    held_out = _held_out(known, config)
    shorter = tuple(_without_end(series, count) for series, count in zip(known.series, held_out, strict=True))
    minimum = min(config.context, max(config.horizon, 2))
    wanted = config.windows_per_epoch or _MOST_WINDOWS
    train = Windows(
        replace(known, series=shorter), config.context, config.horizon, config.batch_size, config.seed,
        per_epoch=wanted, minimum_context=minimum,
    )  # fmt: skip
    windows = Windows(known, config.context, config.horizon, config.batch_size, config.seed, minimum_context=minimum)
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


def chosen(known: SeriesSet, config: ForecastConfig) -> tuple[ForecastConfig, list[str]]:
    """The config with everything chosen that was left open, and why, in sentences.

    Raises DataError when the series are too short for the horizon.
    """
    frequency: Frequency = known.frequency
    lengths = sorted(series.steps for series in known.series)
    middle = lengths[len(lengths) // 2]
    update: dict[str, Any] = {}
    told = []
    season = config.season or frequency.season
    if config.season is None:
        update["season"] = season
    horizon = config.horizon
    if horizon is None:
        horizon = update["horizon"] = season if season > 1 else 12
        told.append(f"horizon {horizon}: {'one season' if season > 1 else 'no season is known'}")
    if lengths[-1] < 2 * horizon + 1:
        raise DataError(
            f"The longest series has {lengths[-1]} steps; a horizon of {horizon} needs at least {2 * horizon + 1}. "
            f"Give more data or a smaller horizon."
        )
    context = config.context
    if context is None:
        fitting = [2 * s for s in frequency.seasons if 2 * s + 3 * horizon <= middle] or [season]
        wanted = max(max(fitting), 3 * season, 2 * horizon)
        context = update["context"] = max(1, min(wanted, middle - 2 * horizon))
        told.append(f"context {context}: the usual series has {middle} steps")
    if config.segment is None:
        divisors = [d for d in range(1, season + 1) if season % d == 0 and context // d >= 12]
        segment = update["segment"] = max(divisors, default=1)
        told.append(f"segments of {segment}, so that the past is {-(-context // segment)} of them")
    if config.hidden_size is None:
        windows = sum(max(0, length - horizon - min(context, horizon)) for length in lengths) * len(known.targets)
        hidden = update["hidden_size"] = 32 if windows < 2_000 else 64 if windows < 20_000 else 128
        told.append(f"hidden_size {hidden}: {windows:,} windows to learn from")
    if config.scaling is None:
        positive = all(bool((series.values[~np.isnan(series.values)] >= 0).all()) for series in known.series)
        update["scaling"] = "mean" if positive else "standard"
        told.append(f"scaling by {update['scaling']}: {'no' if positive else 'some'} value is below zero")
    return config.model_copy(update=update), told


def fingerprint(known: SeriesSet, path: str | None) -> dict[str, Any]:
    """By what the data are recognised again."""
    digest = hashlib.sha256()
    for series in known.series:
        digest.update(series.name.encode())
        digest.update(np.ascontiguousarray(series.values).tobytes())
    return {
        "path": path,
        "series": len(known.series),
        "steps": sum(series.steps for series in known.series),
        "sha256": digest.hexdigest(),
        "columns": known.columns.to_json(),
        "frequency": known.frequency.to_json(),
    }
