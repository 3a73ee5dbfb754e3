"""How far forecasts are from what came, and whether their intervals hold what they promise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def seasonal_naive(history: Values, season: int, horizon: int) -> Values:
    """The last season again and again; its missing values are looked for one season earlier each time.

    >>> seasonal_naive(np.array([1.0, 2.0, 3.0, 4.0]), 2, 3).tolist()
    [3.0, 4.0, 3.0]
    """
    found = np.full(season, np.nan)
    for back in range(1, len(history) // season + 1):
        end = len(history) - (back - 1) * season
        found = np.where(np.isnan(found), history[end - season : end], found)
    if np.isnan(found).any():
        known = history[~np.isnan(history)]
        found = np.where(np.isnan(found), known[-1] if len(known) else np.nan, found)
    return np.resize(found, horizon)


def step_error(history: Values, season: int) -> float:
    """The mean size of the change over a season within a history: what MASE is measured in."""
    lag = season if len(history) > season else 1
    changes = np.abs(history[lag:] - history[:-lag])
    return float(np.nanmean(changes)) if np.isfinite(changes).any() else float("nan")


def figures(
    truth: Sequence[Values], quantiles: Sequence[Values], levels: Sequence[float], histories: Sequence[Values],
    season: int,
) -> dict[str, float]:  # fmt: skip
    """Measures over series; each truth (horizon), its quantiles (horizon, levels) and its history before.

    mae, rmse, smape (percent, M4's definition), mase (Hyndman & Koehler 2006; the mean over series), wql (the quantile
    losses of all levels over the sum of sizes), coverage_80 and coverage_95 where the levels have them.
    """
    y, q = np.concatenate(list(truth)), np.concatenate(list(quantiles))
    middle = [_nearest(levels, 0.5)]
    point = q[:, middle[0]]
    seen = ~np.isnan(y)
    error = np.abs(point - y)[seen]
    found = {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "smape": _mean_over(truth, quantiles, lambda t, p: _smape(t, p[:, middle[0]])),
        "mase": _mase(truth, [own[:, middle[0]] for own in quantiles], histories, season),
    }
    sizes = np.abs(y[seen]).sum()
    if len(levels) > 1 and sizes:
        losses = [2 * np.maximum(level * (y - q[:, n]), (level - 1) * (y - q[:, n])) for n, level in enumerate(levels)]
        found["wql"] = float(np.mean([loss[seen].sum() / sizes for loss in losses]))
    for width in (80, 95):
        low, high = (1 - width / 100) / 2, (1 + width / 100) / 2
        ends = [n for n, level in enumerate(levels) if abs(level - low) < 1e-9 or abs(level - high) < 1e-9]
        if len(ends) == 2:
            inside = (y >= q[:, ends[0]]) & (y <= q[:, ends[1]])
            found[f"coverage_{width}"] = float(inside[seen].mean())
    return found


def _nearest(levels: Sequence[float], wanted: float) -> int:
    return int(np.argmin([abs(level - wanted) for level in levels]))


def _smape(truth: Values, point: Values) -> float:
    size = np.abs(truth) + np.abs(point)
    each = np.where(size > 0, 200 * np.abs(truth - point) / np.where(size > 0, size, 1), 0.0)
    return float(np.nanmean(np.where(np.isnan(truth), np.nan, each)))


def _mean_over(truth, quantiles, measure) -> float:  # type: ignore[no-untyped-def]
    each = [measure(t, p) for t, p in zip(truth, quantiles, strict=True) if not np.isnan(t).all()]
    return float(np.mean(each)) if each else float("nan")


def _mase(truth: Sequence[Values], points: Sequence[Values], histories: Sequence[Values], season: int) -> float:
    found = []
    for t, point, history in zip(truth, points, histories, strict=True):
        scale = step_error(history, season)
        if scale > 0 and not np.isnan(t).all():
            found.append(float(np.nanmean(np.abs(t - point))) / scale)
    return float(np.mean(found)) if found else float("nan")
