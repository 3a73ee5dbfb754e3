"""Batches of sequences of similar length, in another order in each epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# how far lengths are shaken before sequences are sorted by them, so that neighbours change
_SHAKE = 0.2
# padded sequences may be so many times longer than they are, or have so many steps together
_WASTE, _FEW_STEPS = 4, 1 << 16


def even_groups(lengths: Ints) -> list[Ints]:
    """The places of a batch's sequences in groups of similar length, where one group would be nearly all padding.

    >>> even_groups(np.array([9, 7, 8])), even_groups(np.array([9, 200_000, 8, 9, 8]))
    ([array([0, 1, 2])], [array([1]), array([0, 2, 3, 4])])
    """
    longest = lengths.max()
    padded = longest * len(lengths)
    if padded <= max(_WASTE * lengths.sum(), _FEW_STEPS):
        return [np.arange(len(lengths))]
    level = np.floor(np.log(longest / np.maximum(lengths, 1)) / np.log(_WASTE))
    return [np.flatnonzero(level == one) for one in np.unique(level)]


def within(lengths: Ints, most_steps: int, most: int | None = None) -> Iterator[Ints]:
    """The numbers of sequences, the shortest first: so many together that they have `most_steps` steps when padded.

    most: of sequences together. A sequence that is longer is alone.

    >>> [numbers.tolist() for numbers in within(np.array([5, 1, 9, 2]), most_steps=10)]
    [[1, 3], [0], [2]]
    """
    order = np.argsort(lengths, kind="stable")
    begin = 0
    while begin < len(order):
        shortest = max(1, int(lengths[order[begin]]))
        ahead = order[begin : begin + min(most_steps // shortest + 1, most or len(order))]
        padded = lengths[ahead] * np.arange(1, len(ahead) + 1)
        count = max(1, int(np.searchsorted(padded, most_steps, side="right")))
        yield ahead[:count]
        begin += count


@dataclass(frozen=True, eq=False)
class Lengthwise:
    """Which sequences, of the given lengths, are side by side in a batch; a pure function of (seed, epoch, number).

    An epoch is every sequence once, the batches in random order; one that is not full is filled up from the others.

    >>> batches = Lengthwise(np.array([5, 1, 9, 2, 8]), batch_size=2, seed=0)
    >>> batches.batches_per_epoch, sorted({*np.concatenate([batches.batch(0, n) for n in range(3)]).tolist()})
    (3, [0, 1, 2, 3, 4])
    """

    lengths: Ints
    batch_size: int
    seed: int

    @property
    def examples(self) -> int:
        """How many sequences are in a batch."""
        return min(self.batch_size, len(self.lengths))

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.lengths) // self.examples)

    def batch(self, epoch: int, number: int) -> Ints:
        """The numbers of the sequences in a batch."""
        numbers: Ints = self._order(epoch)[number]
        return numbers

    def _order(self, epoch: int) -> Ints:
        if epoch not in self._kept:
            self._kept.clear()
            random = np.random.default_rng((self.seed, epoch))
            shaken = np.log(np.maximum(self.lengths, 1)) + random.normal(0, _SHAKE, len(self.lengths))
            order = np.argsort(shaken, kind="stable")
            missing = self.batches_per_epoch * self.examples - len(order)
            order = np.concatenate([order, random.choice(order, missing, replace=False)])
            self._kept[epoch] = order.reshape(-1, self.examples)[random.permutation(self.batches_per_epoch)]
        return self._kept[epoch]

    @cached_property
    def _kept(self) -> dict[int, Ints]:
        return {}
