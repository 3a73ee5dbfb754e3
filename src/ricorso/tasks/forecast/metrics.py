"""How far forecasts are from what came, and whether their intervals hold what they promise."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Seen(Protocol):
    """A forecast beside what came: history (steps before), truth (horizon), quantiles (horizon, levels)."""

    @property
    def history(self) -> Values: ...
    @property
    def truth(self) -> Values: ...
    @property
    def quantiles(self) -> Values: ...


def seasonal_naive(history: Values, season: int, horizon: int) -> Values:
    """The last season again and again; its missing values are looked for one season earlier each time.

    >>> seasonal_naive(np.array([1.0, 2.0, 3.0, 4.0]), 2, 3).tolist()
    [3.0, 4.0, 3.0]
    """
    found = np.full(season, np.nan)
    for back in range(1, len(history) // season + 1):
        end = len(history) - (back - 1) * season
        found = np.where(np.isnan(found), history[end - season : end], found)
        if not np.isnan(found).any():
            break
    if np.isnan(found).any():
        known = history[~np.isnan(history)]
        found = np.where(np.isnan(found), known[-1] if len(known) else np.nan, found)
    return np.resize(found, horizon)


def step_error(history: Values, season: int) -> float:
    """The mean size of the change over a season within a history: what MASE is measured in."""
    lag = season if len(history) > season else 1
    changes = np.abs(history[lag:] - history[:-lag])
    return float(np.nanmean(changes)) if np.isfinite(changes).any() else float("nan")


def measures(hindsights: Sequence[Seen], levels: Sequence[float], season: int, horizon: int) -> dict[str, Any]:
    """The figures of forecasts beside what came, and those of the seasonal naive method and of the last value there."""
    truth, histories = [one.truth for one in hindsights], [one.history for one in hindsights]

    def naive(period: int) -> dict[str, float]:
        points = [seasonal_naive(history, period, horizon)[:, None] for history in histories]
        return figures(truth, points, [0.5], histories, season)

    return {
        **figures(truth, [one.quantiles for one in hindsights], levels, histories, season),
        "seasonal_naive": naive(season),
        "naive": naive(1),
        "series": len(hindsights),
        "season": season,
        "horizon": horizon,
    }


def middle(levels: Sequence[float]) -> int:
    """The place of the level that is nearest to a half: that of the point forecast."""
    return int(np.argmin([abs(level - 0.5) for level in levels]))


def intervals(levels: Sequence[float]) -> list[tuple[float, int, int]]:
    """The intervals that levels make: the share each should hold and the places of its ends, the widest first.

    >>> intervals([0.1, 0.25, 0.5, 0.9])
    [(0.8, 0, 3)]
    """
    found = []
    for low, level in enumerate(levels):
        high = int(np.argmin([abs(other - (1 - level)) for other in levels]))
        if level < 0.5 and abs(levels[high] + level - 1) < 1e-9:
            found.append((round(1 - 2 * level, 9), low, high))
    return sorted(found, reverse=True)


def coverage(truth: Values, quantiles: Values, levels: Sequence[float]) -> dict[float, float]:
    """For each interval, by the share that it should hold, the share of the values that it holds.

    truth: (values), NaN where missing; quantiles: (values, levels).
    """
    seen = ~np.isnan(truth)
    return {
        share: float(((truth >= quantiles[:, low]) & (truth <= quantiles[:, high]))[seen].mean())
        for share, low, high in intervals(levels)
    }


def scaled_errors(hindsights: Sequence[Seen], points: Sequence[Values], season: int) -> Values:
    """Forecast less truth, in mean changes over a season of each history, (series, horizon); NaN where there is none.

    points: the forecast of each, (horizon).
    """
    rows = []
    for one, point in zip(hindsights, points, strict=True):
        scale = step_error(one.history, season)
        rows.append((point - one.truth) / (scale if scale > 0 else np.nan))
    return np.stack(rows)


def figures(
    truth: Sequence[Values], quantiles: Sequence[Values], levels: Sequence[float], histories: Sequence[Values],
    season: int,
) -> dict[str, float]:  # fmt: skip
    """Measures over series; each truth (horizon), its quantiles (horizon, levels) and its history before.

    mae, rmse, smape (percent, M4's definition), mase (Hyndman & Koehler 2006; the mean over series), wql (the quantile
    losses of all levels over the sum of sizes), coverage_80 and coverage_95 where the levels have them.
    """
    y, q = np.concatenate(list(truth)), np.concatenate(list(quantiles))
    points = [own[:, middle(levels)] for own in quantiles]
    point = np.concatenate(points)
    seen = ~np.isnan(y)
    error = np.abs(point - y)[seen]
    found = {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "smape": _smape(truth, points),
        "mase": _mase(truth, points, histories, season),
    }
    sizes = np.abs(y[seen]).sum()
    if len(levels) > 1 and sizes:
        losses = [2 * np.maximum(level * (y - q[:, n]), (level - 1) * (y - q[:, n])) for n, level in enumerate(levels)]
        found["wql"] = float(np.mean([loss[seen].sum() / sizes for loss in losses]))
    held = coverage(y, q, levels)
    return found | {f"coverage_{width}": held[width / 100] for width in (80, 95) if width / 100 in held}


def _smape(truth: Sequence[Values], points: Sequence[Values]) -> float:
    found = []
    for t, point in zip(truth, points, strict=True):
        size = np.abs(t) + np.abs(point)
        each = np.where(size > 0, 200 * np.abs(t - point) / np.where(size > 0, size, 1), 0.0)[~np.isnan(t)]
        found += [float(each.mean())] if len(each) else []
    return float(np.mean(found)) if found else float("nan")


def _mase(truth: Sequence[Values], points: Sequence[Values], histories: Sequence[Values], season: int) -> float:
    found = []
    for t, point, history in zip(truth, points, histories, strict=True):
        scale = step_error(history, season)
        if scale > 0 and not np.isnan(t).all():
            found.append(float(np.nanmean(np.abs(t - point))) / scale)
    return float(np.mean(found)) if found else float("nan")
