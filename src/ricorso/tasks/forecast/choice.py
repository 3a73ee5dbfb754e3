"""What is chosen from the data where the user has left it open, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ricorso.data.series import SeriesSet
from ricorso.errors import DataError, UsageError, did_you_mean
from ricorso.tasks.forecast.calibration import have_intervals
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.heads import DISTRIBUTIONS

_MANY_ZEROS = 0.2
_AT_ONCE = 1 << 20


def chosen(known: SeriesSet, config: ForecastConfig) -> tuple[ForecastConfig, list[str]]:
    """The config with everything chosen that was left open, and why, in sentences.

    Raises DataError when the series are too short for the horizon, or are no counts where the loss needs them.
    """
    choice = _Choice(known, config)
    choice.horizon()
    choice.model()
    choice.context()
    choice.size()
    choice.scaling()
    choice.calendar()
    return ForecastConfig.of(config.model_dump() | choice.update), choice.told


@dataclass
class _Choice:
    known: SeriesSet
    config: ForecastConfig
    update: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lengths = sorted(series.steps for series in self.known.series)
        self.middle = self.lengths[len(self.lengths) // 2]
        self.season = self.config.season or self.known.frequency.season
        self.update["season"] = self.season
        self.lowest = min(float(np.nanmin(series.values)) for series in self.known.series)

    def horizon(self) -> None:
        season = self.season
        self.steps = self.config.horizon or (season if season > 1 else 12)
        self.update["horizon"] = self.steps
        if self.config.horizon is None:
            self.told.append(f"horizon {self.steps}: {'one season' if season > 1 else 'no season is known'}")
        if self.lengths[-1] < 2 * self.steps + 1:
            raise DataError(
                f"The longest series has {self.lengths[-1]} steps; a horizon of {self.steps} needs at least "
                f"{2 * self.steps + 1}. Give more data or a smaller horizon."
            )

    def model(self) -> None:
        loss, model = self.config.loss, self.config.model
        counts = self._are_counts()
        if loss == "negative_binomial" and not counts:
            raise DataError("loss=negative_binomial needs counts: whole numbers of 0 and more. Choose student_t.")
        if model is None:
            direct = self.config.past or self.config.contexts or self.config.calibrate
            free = loss is None and not direct
            sparse = free and counts and self._zeros() > _MANY_ZEROS
            model = "autoregressive" if loss in DISTRIBUTIONS or sparse else "segments"
            if sparse:
                loss = "negative_binomial"
                self.told.append(
                    f"autoregressive with loss negative_binomial: counts, {self._zeros():.0%} of them zero"
                )
        loss = loss or ("quantile" if model == "segments" else "student_t")
        self.autoregressive = model == "autoregressive"
        difference = self.config.difference
        if difference is None:
            difference = not self.autoregressive
        self.update |= {"model": model, "loss": loss, "difference": difference}
        if self.config.calibrate is None:
            held_out = self.config.validation_fraction != 0
            self.update["calibrate"] = loss == "quantile" and held_out and have_intervals(self.config.quantiles)

    def context(self) -> None:
        config, frequency, season, horizon = self.config, self.known.frequency, self.season, self.steps
        context = max(config.contexts) if config.contexts else config.context
        if context is None and self.autoregressive:
            context = max(1, min(max(2 * horizon, season), self.middle - 2 * horizon))
            self.told.append(f"context {context}: two horizons; lags reach further back")
        elif context is None:
            fitting = [2 * s for s in frequency.seasons if 2 * s + 3 * horizon <= self.middle] or [season]
            wanted = max(max(fitting), 3 * season, 2 * horizon)
            context = max(1, min(wanted, self.middle - 2 * horizon))
            self.told.append(f"context {context}: the usual series has {self.middle} steps")
        self.update["context"] = context
        if self.autoregressive and config.lags is None:
            seasons = {season, *frequency.seasons} if config.season is None else {season}
            lags = tuple(sorted(lag for lag in seasons if 1 < lag <= max(self.middle - 2 * horizon, 1)))
            self.update["lags"] = lags
            self.told.append(
                f"lags {', '.join(map(str, lags))}: the seasons" if lags else "no lags: no season is known"
            )
        if not self.autoregressive and config.segment is None:
            divisors = [
                d for d in range(1, season + 1) if season % d == 0 and min(config.contexts or (context,)) // d >= 12
            ]
            segment = self.update["segment"] = max(divisors, default=1)
            self.told.append(f"segments of {segment}, so that the past is {-(-context // segment)} of them")

    def size(self) -> None:
        if self.config.hidden_size is not None:
            return
        least = min(self.update["context"], self.steps)
        windows = sum(max(0, length - self.steps - least) for length in self.lengths) * len(self.known.targets)
        hidden = self.update["hidden_size"] = 32 if windows < 2_000 else 64 if windows < 20_000 else 128
        self.told.append(f"hidden_size {hidden}: {windows:,} windows to learn from")

    def scaling(self) -> None:
        if self.config.scaling is None:
            scaling = self.update["scaling"] = "mean" if self.lowest >= 0 else "standard"
            self.told.append(f"scaling by {scaling}: {'no' if self.lowest >= 0 else 'some'} value is below zero")

    def calendar(self) -> None:
        every = self.known.frequency.calendar_names
        if self.config.calendar is None:
            repeated = self.update["calendar"] = self.known.frequency.repeated_cycles(self.lengths[-1])
            once = [name for name in every if name not in repeated]
            if once:
                self.told.append(f"calendar without {', '.join(once)}: no series goes through it twice")
            return
        for name in self.config.calendar:
            if name not in every:
                has = f"has {', '.join(every)}" if every else "has none"
                raise UsageError(
                    f"'{name}' is no cycle of the calendar for steps of {self.known.frequency.step}, which {has}."
                    f"{did_you_mean(name, every)}"
                )

    def _are_counts(self) -> bool:
        if self.lowest < 0:
            return False
        return all(bool((_seen(piece) % 1 == 0).all()) for piece in self._pieces())

    def _zeros(self) -> float:
        """The share of zeros among the values."""
        zeros = seen = 0
        for piece in self._pieces():
            zeros += int((piece == 0).sum())
            seen += int((~np.isnan(piece)).sum())
        return zeros / max(1, seen)

    def _pieces(self) -> Iterator[np.ndarray[Any, Any]]:
        """All values, not too many at once."""
        for series in self.known.series:
            for begin in range(0, series.steps, _AT_ONCE):
                yield series.values[begin : begin + _AT_ONCE]


def _seen(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = values[~np.isnan(values)]
    return found
