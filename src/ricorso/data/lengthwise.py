"""Batches of sequences of similar length, in another order in each epoch."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# how far lengths are shaken before sequences are sorted by them, so that neighbours change
_SHAKE = 0.2


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
