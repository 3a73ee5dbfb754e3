"""Anomalies: how surprising every value of a series is, seen from the forecast that was made one step before it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.frequency import Frequency
from ricorso.data.series import SeriesSet
from ricorso.errors import UsageError

if TYPE_CHECKING:
    from ricorso.tasks.forecast.task import Forecaster

Values = NDArray[np.float64]
Time = str | int | date | np.datetime64

FALSE_ALARM_EVERY = 10_000
WINDOW = 10

# what surprises more than one step in ten is the tail; its size is learnt
_TAIL = math.log(10.0)
# so many steps that went as forecast are believed before any was seen
_BELIEVED = 100.0
# an anomaly counts as no rarer than this among the usual steps, or it would make the next one look usual
_MOST = math.log(10_000.0)
# the heaviest shape of a tail that moments can tell
_HEAVIEST = 0.45
# numbers of a forecast that are held at once
_NUMBERS_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class StepForecasts:
    """Forecasts of one step of a series each, made from what stands before it.

    steps: which steps, (count,); quantiles: (count, targets, levels), NaN where nothing stands before. context: how
    many steps before are read where there are so many.
    """

    steps: NDArray[np.int64]
    quantiles: Values
    context: int


def anomalies(
    forecaster: "Forecaster", data: Any = None, *, false_alarm_every: float = FALSE_ALARM_EVERY, window: int = WINDOW,
    since: Time | None = None, usual_until: Time | None = None,
) -> pl.DataFrame:  # fmt: skip
    """A row for every step of every series and target: what came, what was expected, and how unusual that is.

    Columns: series, time, target, value; expected (the median forecast from the steps before), low and high (its
    outermost quantiles); probability (of a value at least as far out, under that forecast); score, the number of zeros
    of the share of usual steps that are as surprising, alone or with the values just before: 3 is one in a thousand;
    anomaly, whether the score reaches that of one false alarm in `false_alarm_every` steps.

    A score uses nothing that comes after its step. What is usual is learnt from the steps before; the more there are,
    the better. Missing values have no score, nor have the first steps, before which no whole context stands.

    window: how many values are taken together. since: the first step with a score; earlier ones only serve the
    forecasts. usual_until: from here on what is usual is no longer learnt.

    Raises UsageError for a forecaster without an interval and for options that cannot be used, DataError for data that
    cannot be read.

    >>> times = [f"2024-01-{1 + t // 24:02d} {t % 24:02d}:00" for t in range(96)]
    >>> table = {"when": times, "load": [float(5 + t % 2) for t in range(95)] + [9.0]}
    >>> from ricorso.tasks.forecast.task import Forecaster
    >>> small = {"context": 8, "segment": 4, "hidden_size": 8, "epochs": 8, "learning_rate": 0.01, "threads": 1}
    >>> frame = anomalies(Forecaster(horizon=2, **small).fit(pl.DataFrame(table)[:80]), table, false_alarm_every=1000)
    >>> frame.columns[-4:], len(frame), frame["score"].arg_max()
    (['high', 'probability', 'score', 'anomaly'], 96, 95)
    """
    known = forecaster._series(data)
    levels = tuple(forecaster.levels)
    if not levels[0] < 0.5 < levels[-1]:
        raise UsageError(
            "Anomalies are told by the intervals of forecasts, and this Forecaster has none. "
            "Train one with another loss than mae and mse, and quantiles on both sides of 0.5."
        )
    if not (math.isfinite(false_alarm_every) and false_alarm_every > 1):
        raise UsageError(f"false_alarm_every must be more than 1 step, got {false_alarm_every}.")
    if window < 1:
        raise UsageError(f"window must be 1 value or more, got {window}.")
    first, last = (
        _as_time(time, known.frequency, name) for time, name in ((since, "since"), (usual_until, "usual_until"))
    )
    parts = []
    for number, forecasts in enumerate(step_forecasts(forecaster, known)):
        series = known.series[number]
        times = known.times(number)
        shown = np.full(len(times), True) if first is None else times >= first
        learnt = shown if last is None else shown & (times < last)
        # a forecast from less than the past it was made for is not to be trusted
        early = np.arange(series.steps) < forecasts.context
        for target, name in enumerate(known.targets):
            quantiles = np.full((series.steps, len(levels)), np.nan)
            quantiles[forecasts.steps] = forecasts.quantiles[:, target]
            values = series.values[:, target]
            chance = np.where(early, np.nan, log_probability(levels, quantiles, values))
            score = np.full(len(values), np.nan)
            score[shown] = scores(chance[shown], window, learnt[shown])
            parts.append(
                pl.DataFrame(
                    {
                        "series": np.full(int(shown.sum()), series.name),
                        "time": times[shown],
                        "target": np.full(int(shown.sum()), name),
                        "value": values[shown],
                        "expected": _median(levels, quantiles)[shown],
                        "low": quantiles[shown, 0],
                        "high": quantiles[shown, -1],
                        "probability": np.exp(chance[shown]),
                        "score": score[shown],
                    }
                )
            )
    threshold = math.log10(false_alarm_every)
    return pl.concat(parts).fill_nan(None).with_columns((pl.col("score") >= threshold).alias("anomaly"))


def step_forecasts(forecaster: "Forecaster", known: SeriesSet) -> list[StepForecasts]:
    """For each series the forecast of every step that has as much before it as the first steps in training had."""
    windows = forecaster._windows(known)
    context, horizon = windows.context, windows.horizon
    least = min(context, max(horizon, 2))
    levels, targets = len(forecaster.levels), len(known.targets)
    numbers = np.repeat(np.arange(len(known)), [max(series.steps - least, 0) for series in known])
    steps = np.concatenate([np.arange(least, max(series.steps, least)) for series in known])
    piece = max(1, _NUMBERS_AT_ONCE // (levels * targets * horizon))
    found = np.empty((len(steps), targets, levels))
    for begin in range(0, len(steps), piece):
        part = slice(begin, begin + piece)
        found[part] = forecaster._quantiles(known, windows, numbers[part], steps[part], steps=1)[:, :, 0]
    ends = np.searchsorted(numbers, np.arange(len(known)), side="right")
    forecasts = []
    for series, own, quantiles in zip(known, np.split(steps, ends[:-1]), np.split(found, ends[:-1]), strict=True):
        seen = np.cumsum(np.concatenate([np.zeros((1, targets), int), ~np.isnan(series.values)]), axis=0)
        nothing = seen[own] == seen[np.maximum(own - context, 0)]
        forecasts.append(StepForecasts(own, np.where(nothing[:, :, None], np.nan, quantiles), context))
    return forecasts


def log_probability(levels: Sequence[float], quantiles: Values, values: Values) -> Values:
    """The natural logarithm of the two-sided probability of values at least as far out as these, NaN where missing.

    quantiles: (steps, levels), rising. Between them the distribution is linear; beyond the outermost it falls off
    exponentially, with the scale at which it would have come down to them from the median.

    >>> log_probability([0.1, 0.5, 0.9], np.array([[-1.0, 0.0, 1.0]] * 4), np.array([0.0, 0.5, 1.0, 2.0])).round(3)
    array([ 0.   , -0.511, -1.609, -3.219])
    """
    rows = ~np.isnan(values) & ~np.isnan(quantiles).any(axis=1)
    q, y, at = quantiles[rows], values[rows], np.asarray(levels)
    below = _log_below(at, q, y, _median(levels, q))
    above = _log_below(1 - at[::-1], -q[:, ::-1], -y, -_median(levels, q))
    found = np.full(len(values), np.nan)
    found[rows] = np.minimum(np.minimum(below, above) + math.log(2), 0.0)
    return found


def scores(chance: Values, window: int, learnt: NDArray[np.bool_] | None = None) -> Values:
    """How rare each step is among the usual ones before it: -log10 of a share; NaN stays NaN.

    chance: (steps,), natural logarithms of probabilities. Each is taken alone and together with those before it, up to
    `window` of them, by Fisher's method (1932); both are compared with what the steps before showed, so that a model
    that is too sure of itself, or errors that come in bursts, raise few alarms. What is seldom is extrapolated by a
    generalised Pareto tail over a threshold (as in SPOT, Siffer et al. 2017, https://doi.org/10.1145/3097983.3098144),
    here by its moments, so that each step costs the same. That a short mean is compared with its long run is after the
    anomaly likelihood of Ahmad et al. (2017, https://doi.org/10.1016/j.neucom.2017.04.070).

    learnt: which steps teach what is usual; all, when not given.

    >>> calm = np.log(np.random.default_rng(0).random(2000))
    >>> found = scores(np.append(calm, np.log(1e-6)), window=1)
    >>> bool(np.mean(found[:-1] >= 2) < 0.015), bool(found[-1] > 5)
    (True, True)
    """
    rows = ~np.isnan(chance)
    surprise = -chance[rows]
    teaches = np.full(len(surprise), True) if learnt is None else learnt[rows]
    found = np.full(len(chance), np.nan)
    rare = _rarity(surprise, teaches)
    if window > 1:
        # two looks at one step are twice the occasion for a false alarm
        rare = np.maximum(np.maximum(rare, _rarity(_together(surprise, window), teaches)) - math.log(2), 0.0)
    found[rows] = rare / math.log(10)
    return found


def _together(surprise: Values, window: int) -> Values:
    """-log of the probability that the surprises of `window` steps add up to so much, by Fisher's method."""
    total = np.concatenate([[0.0], np.cumsum(surprise)])
    place = np.arange(1, len(surprise) + 1)
    count = np.minimum(place, window)
    total = np.maximum(total[place] - total[place - count], 0.0)
    with np.errstate(divide="ignore"):
        log_total = np.log(total)
    # the upper tail of a gamma distribution of whole order `count`: a Poisson sum
    term = np.zeros(len(surprise))
    tail = term.copy()
    for order in range(1, window):
        term = term + log_total - math.log(order)
        tail = np.where(order < count, np.logaddexp(tail, term), tail)
    return np.asarray(np.maximum(total - tail, 0.0))


def _rarity(surprise: Values, teaches: NDArray[np.bool_]) -> Values:
    """-log of the share of usual steps, among those before each, that surprise at least as much."""
    believed = _BELIEVED * math.exp(-_TAIL)
    excess = np.where(teaches, np.clip(surprise, _TAIL, _MOST) - _TAIL, 0.0)
    beyond = _before((teaches & (surprise > _TAIL)).astype(np.float64)) + believed
    share = -np.log(beyond / (_before(teaches.astype(np.float64)) + _BELIEVED))
    # the excess of believed steps is exponential, as it is when probabilities are right: mean 1, mean square 2
    mean = (_before(excess) + believed) / beyond
    variance = (_before(excess**2) + 2 * believed) / beyond - mean**2
    shape = np.clip((1 - mean**2 / np.maximum(variance, 1e-9)) / 2, 1e-6, _HEAVIEST)
    tail = np.log1p(shape * np.maximum(surprise - _TAIL, 0.0) / (mean * (1 - shape))) / shape
    return np.asarray(np.where(surprise <= _TAIL, surprise / _TAIL * share, share + tail))


def _before(values: Values) -> Values:
    return np.cumsum(values) - values


def _log_below(levels: Values, quantiles: Values, values: Values, median: Values) -> Values:
    """The logarithm of the probability of at most these values."""
    rows, count = np.arange(len(values)), (quantiles <= values[:, None]).sum(axis=1)
    low, high = np.clip(count - 1, 0, None), np.clip(count, None, len(levels) - 1)
    left, right = quantiles[rows, low], quantiles[rows, high]
    wide = np.where(right > left, right - left, 1.0)
    share = np.clip((values - left) / wide, 0.0, 1.0)
    inside = levels[low] + (levels[high] - levels[low]) * share
    down = _scale(median - quantiles[:, 0], levels[0], median)
    up = _scale(quantiles[:, -1] - median, 1 - levels[-1], median)
    beneath = math.log(levels[0]) - (quantiles[:, 0] - values) / down
    beyond = np.log1p(-(1 - levels[-1]) * np.exp(-np.maximum(values - quantiles[:, -1], 0.0) / up))
    return np.where(count == 0, beneath, np.where(count == len(levels), beyond, np.log(inside)))


def _scale(distance: Values, level: float, median: Values) -> Values:
    # a forecast without any width is sure only as far as its numbers are exact
    return np.maximum(distance / math.log(0.5 / level), 1e-6 * np.abs(median) + 1e-12)


def _median(levels: Sequence[float], quantiles: Values) -> Values:
    high = int(np.searchsorted(levels, 0.5))
    share = (0.5 - levels[high - 1]) / (levels[high] - levels[high - 1])
    found: Values = (1 - share) * quantiles[:, high - 1] + share * quantiles[:, high]
    return found


def _as_time(time: Time | None, frequency: Frequency, name: str) -> Any:
    if time is None:
        return None
    try:
        if frequency.counts:
            return int(str(time))
        moment = datetime.fromisoformat(str(time))
    except ValueError as error:
        wanted = "a whole number" if frequency.counts else "a time such as 2024-05-31 or 2024-05-31T14:30"
        raise UsageError(f"{name} must be {wanted}, got {time!r}.") from error
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment, "us")
