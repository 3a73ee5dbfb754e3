"""Whether the intervals of forecasts hold as much of what came as they promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ricorso.tasks.forecast.metrics import Values, coverage, intervals, middle

# a difference is told when it is beyond two standard errors of independent values, and beyond this
_LEAST = 0.02
_FEW = 50


@dataclass(frozen=True)
class Calibration:
    """html: what is said of the intervals. points: for each the share it should hold and the one it holds."""

    html: str
    points: list[tuple[float, float]]


def calibration(
    truth: Values, quantiles: Values, levels: Sequence[float], stretch: Sequence[float] = ()
) -> Calibration:
    """Calibration of intervals; truth (values), NaN where missing, and quantiles (values, levels).

    stretch: how many times as far from the median as learnt each quantile was put, where that was done.
    """
    held, count = coverage(truth, quantiles, levels), int((~np.isnan(truth)).sum())
    if not held:
        return Calibration("<p>These forecasts have no intervals; loss quantile gives them.</p>", [])
    above = float((truth > quantiles[:, middle(levels)])[~np.isnan(truth)].mean())
    text = (
        f'<p class="verdict">{judgement(held, count)}</p>'
        f"<p>{above:.0%} of what came lies above the middle of its forecast. On the line, an interval holds just what "
        "it promises; below it is too narrow, above too wide. Values that follow one another err alike, so that few "
        f"series say less than the number of values makes believe.{stretched(levels, stretch)}</p>"
        '<div class="wider"><div class="chart square"><h4>Share that intervals hold, by the share they promise</h4>'
        '<div id="held" role="img" aria-label="Observed share by nominal share of each interval"></div></div></div>'
    )
    return Calibration(text, sorted(held.items()))


def judgement(held: Mapping[float, float], count: int) -> str:
    """Whether intervals are too narrow or too wide, from the shares that they hold of `count` values.

    >>> judgement({0.95: 0.81, 0.8: 0.6}, 1000)
    'The intervals are too narrow: that of 80% holds 60% of what came, that of 95% holds 81%.'
    """
    told = {share: found for share, found in sorted(held.items()) if abs(found - share) > _tolerance(share, count)}
    narrow, wide = {s: f for s, f in told.items() if f < s}, {s: f for s, f in told.items() if f > s}
    if not told:
        if count < _FEW:
            return f"{count} values are too few to judge the intervals by: {_shown(held)}."
        return f"The intervals hold what they promise: {_shown(held)}."
    if narrow and wide:
        return f"Some intervals are too narrow: {_shown(narrow)}. Others are too wide: {_shown(wide)}."
    side = "narrow" if narrow else "wide"
    if len(told) < len(held):
        return f"Some intervals are too {side}: {_shown(told)}. The others hold what they promise."
    return f"The intervals are too {side}: {_shown(told)}."


def stretched(levels: Sequence[float], stretch: Sequence[float]) -> str:
    """What calibration did to intervals, in words; nothing where they are as they were learnt.

    >>> stretched((0.1, 0.5, 0.9), (1.25, 1.0, 1.25))[:85]
    ' After training they were calibrated on held-out windows: that of 80% is 1.25 times a'
    """
    if all(factor == 1 for factor in stretch):
        return ""
    each = [f"that of {100 * share:.4g}% is {stretch[low]:.3g}" for share, low, _ in reversed(intervals(levels))]
    return (
        f" After training they were calibrated on held-out windows: {', '.join(each)} times as wide as learnt. Where "
        "those are the windows shown here, that is why they hold what they promise; others are the test."
    )


def _tolerance(share: float, count: int) -> float:
    return max(_LEAST, 2 * sqrt(share * (1 - share) / count)) if count else 1.0


def _shown(held: Mapping[float, float]) -> str:
    parts = [f"that of {100 * share:.4g}% holds {found:.0%}" for share, found in sorted(held.items())]
    return ", ".join([f"{parts[0]} of what came", *parts[1:]])
