"""How much each setting mattered in a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

METHOD = (
    "Trials are ranked by loss (pruned ones share the last rank). Each setting is cut into at most four groups of "
    "about equal size; its share is epsilon squared (Kelley 1935), the part of the variance of the ranks that lies "
    "between the groups, less what chance alone would give. Shares overlap where settings were tried together, and "
    "settings that matter only together are not seen."
)
FEWEST_TRIALS = 8
_MOST_GROUPS = 4
_FEWEST_IN_GROUP = 3


@dataclass(frozen=True)
class Importance:
    """The share of each setting, largest first; empty where there were too few trials to say."""

    shares: Mapping[str, float]
    trials: int


def importance(settings: Sequence[Mapping[str, Any]], losses: Sequence[float | None]) -> Importance:
    """The shares of the settings of trials with these losses; a loss of None is behind all others.

    >>> found = importance([{"a": n % 4, "b": n % 3} for n in range(12)], [float(n % 4) for n in range(12)])
    >>> {name: round(share, 2) for name, share in found.shares.items()}
    {'a': 1.0, 'b': 0.0}
    """
    if len(settings) < FEWEST_TRIALS:
        return Importance({}, len(settings))
    worst = max((loss for loss in losses if loss is not None), default=0.0) + 1
    ranks = _ranks([worst if loss is None else loss for loss in losses])
    shares = {name: _share([chosen[name] for chosen in settings], ranks) for name in settings[0]}
    return Importance(dict(sorted(shares.items(), key=lambda item: -item[1])), len(settings))


def _share(values: Sequence[Any], ranks: Sequence[float]) -> float:
    labels = _labels(values)
    groups = [[rank for rank, own in zip(ranks, labels, strict=True) if own == label] for label in set(labels)]
    mean = fmean(ranks)
    total = sum((rank - mean) ** 2 for rank in ranks)
    within = sum((rank - fmean(group)) ** 2 for group in groups for rank in group)
    free = len(ranks) - len(groups)
    if total == 0 or free < 1 or len(groups) < 2:
        return 0.0
    return max(0.0, (total - within - (len(groups) - 1) * within / free) / total)


def _labels(values: Sequence[Any]) -> list[int]:
    """The group of each value: a value of its own where there are few, otherwise a stretch of the sorted numbers."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) <= _MOST_GROUPS or any(isinstance(value, str | None) for value in distinct):
        return [distinct.index(value) for value in values]
    count = max(2, min(_MOST_GROUPS, len(values) // _FEWEST_IN_GROUP))
    ordered = sorted(values)
    edges = [ordered[place * len(ordered) // count] for place in range(1, count)]
    return [sum(value >= edge for edge in edges) for value in values]


def _ranks(numbers: Sequence[float]) -> list[float]:
    """Ranks from 1; equal numbers share the mean of theirs."""
    return [
        sum(other < number for other in numbers) + (sum(other == number for other in numbers) + 1) / 2
        for number in numbers
    ]
