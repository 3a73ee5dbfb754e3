"""Intervals that hold what they promise: quantiles stretched from their median by what held-out windows showed."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.tasks.forecast.heads import pinball, quantiles_between
from ricorso.tasks.forecast.metrics import coverage, intervals

# with fewer windows that do not overlap, what intervals hold is chance
FEWEST = 20
_FOLDS = 5
# a forecast without width cannot be stretched to any other
_NARROWEST = 1e-9
_WIDEST = 100.0
# by how much the quantile loss may be larger on what is left out: so much is chance
_WORSE = 0.01


def have_intervals(levels: Sequence[float]) -> bool:
    """Whether two levels are the ends of an interval.

    >>> have_intervals((0.1, 0.5, 0.9)), have_intervals((0.5,)), have_intervals((0.1, 0.5, 0.8))
    (True, False, False)
    """
    return bool(intervals(levels))


def stretched(quantiles: Tensor, factors: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Rising quantiles (..., levels), each as many times as far from the median as its factor says, (levels).

    One that would come nearer than its neighbour towards the median goes as far as that; so they still rise, and a
    median among the levels stays where it is.

    >>> learnt, factors = torch.tensor([1.0, 2.0, 4.0, 5.0]), torch.tensor([2.0, 1.0, 2.0, 1.0])
    >>> stretched(learnt, factors, (0.1, 0.5, 0.9, 0.95)).tolist()
    [0.0, 2.0, 6.0, 6.0]
    """
    centre = quantiles_between(quantiles, levels, (0.5,))
    distance = factors * (quantiles - centre)
    below = sum(level <= 0.5 for level in levels)
    low = distance[..., :below].flip(-1).cummin(-1).values.flip(-1)
    return centre + torch.cat([low, distance[..., below:].cummax(-1).values], -1)


def stretch_factors(quantiles: Tensor, target: Tensor, levels: tuple[float, ...]) -> Tensor:
    """How many times as far from the median quantiles must be for intervals to hold their share of values, (levels).

    quantiles: (windows, steps, levels), rising; target: (windows, steps), NaN where missing. Conformalised quantile
    regression (Romano et al. 2019, arXiv:1905.03222), with the distance from the median as the unit in which values are
    off, so that wide forecasts are stretched by more. Both ends of an interval have one factor; a level without its
    counterpart has that of the nearest interval.

    >>> narrow = torch.tensor([-1.0, 0.0, 1.0]).expand(1, 999, 3)
    >>> stretch_factors(narrow, torch.linspace(-5, 5, 999)[None], (0.1, 0.5, 0.9)).round(decimals=2)
    tensor([4.0100, 1.0000, 4.0100])
    """
    seen = ~target.isnan()
    rows, values = quantiles[seen].double(), target[seen].double()
    centre = quantiles_between(rows, levels, (0.5,))
    off, distance = values - centre[:, 0], rows - centre
    found, inside = [], torch.zeros_like(off, dtype=torch.bool)
    # from the median outwards: what one interval holds, `stretched` leaves in those around it
    for share, low, high in reversed(intervals(levels)):
        reach = torch.where(off < 0, -distance[:, low], distance[:, high]).clamp(min=_NARROWEST)
        times = (off.abs() / reach).masked_fill(inside, 0.0)
        # one more than there are, as the value to come is one of them
        rank = min(math.ceil((len(off) + 1) * share), len(off))
        factor = float(times.kthvalue(rank).values.clamp(max=_WIDEST))
        inside |= times <= factor
        found.append((share, factor))
    factors = [min(found, key=lambda one: abs(one[0] - abs(2 * level - 1)))[1] for level in levels]
    return quantiles.new_tensor(
        [1.0 if level == 0.5 else factor for level, factor in zip(levels, factors, strict=True)]
    )


def helpful_factors(
    quantiles: Tensor, target: Tensor, levels: tuple[float, ...], groups: NDArray[np.int64]
) -> Tensor | None:
    """Factors as `stretch_factors` finds them, if they help where they were not found; else None.

    groups: (windows,), rising numbers; windows that overlap or are neighbours have the same. Each fifth of the groups
    is stretched by factors from the others: the shares that intervals hold should come nearer to what they promise, and
    the quantile loss not rise. With few groups nothing can be said.
    """
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < FEWEST:
        return None
    fold = torch.from_numpy(place * _FOLDS // len(names))
    nearer = lower = 0.0
    for number in range(_FOLDS):
        own = fold == number
        seen = ~target[own].isnan()
        if not (bool(seen.any()) and bool((~target[~own].isnan()).any())):
            return None
        truth, before = target[own][seen], quantiles[own][seen]
        after = stretched(before, stretch_factors(quantiles[~own], target[~own], levels), levels)
        nearer += _misses(before, truth, levels) - _misses(after, truth, levels)
        lower += float(((1 + _WORSE) * pinball(before, truth, levels) - pinball(after, truth, levels)).sum())
    return stretch_factors(quantiles, target, levels) if nearer > 0 and lower > 0 else None


def _misses(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> float:
    """How far the shares that intervals hold are from what they promise."""
    held = coverage(target.double().numpy(), quantiles.double().numpy(), levels)
    return sum(abs(share - found) for share, found in held.items())


def told(factors: Tensor, levels: Sequence[float], windows: int) -> str:
    """What was done to the intervals, in words.

    >>> told(torch.tensor([1.25, 1.0, 1.25]), (0.1, 0.5, 0.9), 414)
    'intervals calibrated on 414 held-out windows: times as wide as learnt, that of 80% 1.25'
    """
    wider = [(share, float(factors[low])) for share, low, _ in reversed(intervals(levels))]
    each = ", ".join(f"that of {100 * share:.4g}% {factor:.3g}" for share, factor in wider)
    return f"intervals calibrated on {windows:,} held-out windows: times as wide as learnt, {each}"
