"""Long streams of symbols, cut into batches that follow one another."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import DataError

_STEPS_AT_ONCE = 16


@dataclass(frozen=True)
class Streams:
    """A text cut into `batch_size` contiguous streams, read side by side, `sequence_length` symbols a step.

    Row b of one batch goes on where row b of the batch before it ended, so a model's state can be carried over
    within an epoch. The text is read as a ring from another starting point in each epoch, so that every symbol gets
    its turn and no cut is always in the same place. A text too short for `batch_size` streams gets fewer.
    A batch is a pure function of (seed, epoch, step).

    Raises DataError for a text shorter than one sequence and the symbol that follows it.

    >>> streams = Streams(np.arange(20), batch_size=2, sequence_length=5, seed=0)
    >>> streams.steps_per_epoch, streams.batch(epoch=0, step=0)[0].shape
    (2, (5, 2))
    """

    ids: NDArray[np.integer]
    batch_size: int
    sequence_length: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.ids) <= self.sequence_length:
            raise DataError(
                f"The training text has {len(self.ids)} symbols, but sequence_length={self.sequence_length} needs at "
                f"least {self.sequence_length + 1}. Use a longer text or a smaller sequence_length."
            )
        object.__setattr__(self, "batch_size", min(self.batch_size, len(self.ids) // self.sequence_length))

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch; the same for each."""
        return len(self.ids) // self.batch_size // self.sequence_length

    def batch(self, epoch: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Inputs and targets, (sequence_length, batch) each; the targets are the inputs one symbol later."""
        block, place = divmod(step, _STEPS_AT_ONCE)
        begin, end = place * self.sequence_length, (place + 1) * self.sequence_length
        symbols = self._block(epoch, block)
        return symbols[begin:end], symbols[begin + 1 : end + 1]

    def place(self, epoch: int, step: int) -> str:
        """Where in the text the streams of a batch begin, in words."""
        starts = [f"{start:,}" for start in self._starts(epoch, step)[:3]]
        more = ", ..." if self.batch_size > len(starts) else ""
        return f"{self.sequence_length} symbols each from number {', '.join(starts)}{more}"

    def _starts(self, epoch: int, step: int) -> NDArray[np.int64]:
        symbols = len(self.ids)
        starts = (
            _offset(self.seed, epoch, symbols)
            + step * self.sequence_length
            + symbols // self.batch_size * np.arange(self.batch_size)
        )
        return starts % symbols

    def _block(self, epoch: int, block: int) -> NDArray[np.int64]:
        """The symbols of several steps and the one after them, (time, batch)."""
        # between two steps of a kernel little of Python is still in the caches: rarely is cheaper than little
        if self._kept_block.get("place") != (epoch, block):
            length = _STEPS_AT_ONCE * self.sequence_length + 1
            places = self._starts(epoch, block * _STEPS_AT_ONCE) + np.arange(length)[:, None]
            self._kept_block.update(place=(epoch, block), symbols=self.ids.take(places, mode="wrap").astype(np.int64))
        symbols: NDArray[np.int64] = self._kept_block["symbols"]
        return symbols

    @cached_property
    def _kept_block(self) -> dict[str, Any]:
        return {}


@lru_cache(maxsize=64)
def _offset(seed: int, epoch: int, symbols: int) -> int:
    """Where an epoch begins to read."""
    return int(np.random.default_rng((seed, epoch)).integers(symbols))
