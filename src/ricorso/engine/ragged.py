"""Batches of sequences that end at different steps, packed without gaps.

The rows of step 0 come first, then those of step 1, and so on, as in torch's PackedSequence; within a step sequences
stand in one order, longer ones first, so that those of a later step are the first of those before.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """Where rows stand in a padded batch.

    places: of each row, with both leading dimensions of the padded batch counted as one; leading: these two; step: from
    the place of a row to that of the next step of its sequence.
    """

    places: Tensor
    leading: tuple[int, int]
    step: int

    def rows(self, padded: Tensor) -> Tensor:
        """The rows that are there, from a tensor with the leading dimensions of the padded batch."""
        return padded.flatten(0, 1).index_select(0, self.places)

    def padded(self, rows: Tensor) -> Tensor:
        """Rows in their places, zero elsewhere."""
        found = rows.new_zeros(self.leading[0] * self.leading[1], *rows.shape[1:]).index_copy_(0, self.places, rows)
        return found.view(*self.leading, *rows.shape[1:])


class GridRows(torch.autograd.Function):
    """`Grid.rows` with a gradient that is copied, not added up: no place comes twice."""

    @staticmethod
    def forward(ctx, padded, grid):  # type: ignore[no-untyped-def]
        # A separate `setup_context` would have torch inspect the signature at every call.
        ctx.grid = grid
        return grid.rows(padded)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return ctx.grid.padded(gradient), None


@lru_cache(maxsize=256)
def even_offsets(steps: int, batch: int) -> Tensor:
    """Where the rows of each step begin if all sequences have `steps` steps, and where the last step ends."""
    return torch.arange(0, (steps + 1) * batch, batch or 1)[: steps + 1] if batch else torch.zeros(steps + 1).long()


# Most of what follows is about as many numbers as there are rows, for which NumPy takes a fraction of torch's time.
def _offsets(sizes: Numbers) -> Numbers:
    found = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=found[1:])
    return found


def offsets_of(sizes: Tensor) -> Tensor:
    """Where the rows of each step begin, and where the last step ends, (steps + 1); sizes: sequences at each step."""
    return torch.from_numpy(_offsets(sizes.numpy()))


def lengths_of(sizes: Tensor, batch: int) -> Tensor:
    """The steps of each sequence, (batch)."""
    return torch.from_numpy(np.searchsorted(-sizes.numpy(), -np.arange(batch)))


def sizes_of(lengths: Numbers) -> Numbers:
    """How many sequences there are at each step; lengths: their steps, in any order."""
    longest = int(lengths.max(initial=0))
    found: Numbers = len(lengths) - np.cumsum(np.bincount(lengths, minlength=longest + 1))[:longest]
    return found


def sequence_of_row(sizes: Tensor) -> Tensor:
    """Which sequence each row belongs to, (rows)."""
    counts = sizes.numpy()
    offsets = _offsets(counts)
    return torch.from_numpy(np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts))


def step_of_row(sizes: Tensor) -> Tensor:
    """Which step each row belongs to, (rows)."""
    return torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes.numpy()))


def last_rows(sizes: Tensor, batch: int, reverse: bool) -> Tensor:
    """The row of the last step in the order of computation, for each of the first sequences, which have any steps."""
    counts = sizes.numpy()
    running = np.arange(counts[0] if len(counts) else 0)
    if not reverse:
        running += _offsets(counts)[lengths_of(sizes, batch).numpy()[: len(running)] - 1]
    return torch.from_numpy(running)


def rows_before(sizes: Tensor, starts: Tensor, reverse: bool, grid: Grid | None = None) -> Tensor:
    """For each row that of the step before in the order of computation, 0 for those where sequences start. (rows)

    starts: rows where sequences start, `last_rows` in the other direction. grid: places there instead of packed rows.
    """
    counts, sign = sizes.numpy(), 1 if reverse else -1
    if grid is not None:
        before = grid.places.numpy() + sign * grid.step
    else:
        distance = counts if reverse else np.append(0, counts)[: len(counts)]
        before = np.arange(counts.sum()) + sign * np.repeat(distance, counts)
    before[starts.numpy()] = 0
    return torch.from_numpy(before)


def states_before(rows: slice, before: Tensor, starts: Tensor, states: Tensor, initial: Tensor) -> Tensor:
    """What some rows started from, (rows, size). before, starts: of all rows, as for `rows_before`.

    states: (all rows, size), after each step; initial: (batch, size).
    """
    own = starts.numpy() - rows.start
    sequences = np.flatnonzero((own >= 0) & (own < rows.stop - rows.start))
    chosen, places, numbers = (
        numbers.to(states.device)
        for numbers in (before[rows], torch.from_numpy(own[sequences]), torch.from_numpy(sequences))
    )
    return states.index_select(0, chosen).index_copy_(0, places, initial.index_select(0, numbers))


def padded_rows(sizes: Tensor, batch: int) -> Tensor:
    """Where each row stands in a full grid of (steps, batch) rows."""
    return step_of_row(sizes) * batch + sequence_of_row(sizes)
