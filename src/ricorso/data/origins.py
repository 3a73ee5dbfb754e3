"""Where the horizon of a window may begin in each of many series."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Origins:
    """The admissible origins of many series in order, as runs of origins that lie `step` steps apart.

    series, first, many: (runs,), the series of each run, its first origin and how many it has. What is kept grows
    with the gaps in the series and not with their length.

    >>> origins = Origins.of(np.array([9]), np.zeros(9, bool), context=4, horizon=2, least=3)
    >>> origins.count, origins.at(np.array([0, 4]))[1].tolist()
    (5, [3, 7])
    """

    series: Ints
    first: Ints
    many: Ints
    step: int = 1

    @classmethod
    def of(
        cls, lengths: Ints, unseen: NDArray[np.bool_], context: int, horizon: int, least: int, step: int = 1
    ) -> Self:
        """Origins with `least` steps before and a horizon behind them, and a value in the context and in the horizon.

        unseen: whether each step of the series, one after the other, is without a value. step: how far origins are
        apart, counted from the last of each series.
        """
        last = lengths - horizon
        series, low, high = _blocked(lengths, unseen, context, horizon)
        everyone = np.arange(len(lengths))
        # an origin may lie between the start and the first block, between two blocks, or behind the last
        begins, ends = np.concatenate([everyone, series]), np.concatenate([series, everyone])
        order, other = np.argsort(begins, kind="stable"), np.argsort(ends, kind="stable")
        number = begins[order]
        from_, to = (
            np.concatenate([np.full_like(lengths, least), high + 1])[order],
            np.concatenate([low - 1, last])[other],
        )
        from_ = np.maximum(from_, least)
        from_ += (last[number] - from_) % step
        many = (np.minimum(to, last[number]) - from_) // step + 1
        kept = many > 0
        return cls(number[kept], from_[kept], many[kept], step)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def at(self, places: Ints) -> tuple[Ints, Ints]:
        """The series and the origin of some of them, by their places in order."""
        run = np.searchsorted(self._ends, places, side="right")
        return self.series[run], self.first[run] + self.step * (places - (self._ends - self.many)[run])

    @cached_property
    def spans(self) -> tuple[Ints, Ints]:
        """Where the origins of each series that has some begin, and how many they are."""
        first = np.flatnonzero(np.diff(self.series, prepend=-1))
        return (self._ends - self.many)[first], np.add.reduceat(self.many, first)

    @cached_property
    def _ends(self) -> Ints:
        return np.cumsum(self.many)


def _blocked(lengths: Ints, unseen: NDArray[np.bool_], context: int, horizon: int) -> tuple[Ints, Ints, Ints]:
    """Where a gap leaves no value in the context or the horizon: series, first and last such origin, in order."""
    ends = np.cumsum(lengths)
    begins = ends - lengths
    edge = np.empty(len(unseen) + 1, bool)
    edge[:-1], edge[-1] = unseen, False
    edge[1:] ^= unseen
    edges = np.flatnonzero(edge)  # where gaps begin and end, in turn, as if the series were one
    borders = np.unique(begins[(begins > 0) & (begins < len(unseen))])
    cut = borders[unseen[borders] & unseen[borders - 1]]
    edges = np.sort(np.concatenate([edges, cut, cut]))
    start, end = edges[::2], edges[1::2]
    series = np.searchsorted(begins, start, side="right") - 1
    start, end = start - begins[series], end - begins[series]
    kept = (end - start >= min(context, horizon)) | (start == 0)
    series, start, end = series[kept], start[kept], end[kept]
    # a context is cut off at the start of the series, so a gap there need not be as long
    after = np.where(start == 0, 0, start + context)
    low, high = np.stack([start, after], 1), np.stack([end - horizon, end], 1)
    real = high >= low
    return np.repeat(series, 2).reshape(-1, 2)[real], low[real], high[real]
