"""Batches of sequences that end at different steps, packed without gaps.

The rows of step 0 come first, then those of step 1, and so on, as in torch's PackedSequence; within a step sequences
stand in one order, longer ones first, so that those of a later step are the first of those before.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Where rows stand in a padded batch.

    places: of each row, with both leading dimensions of the padded batch counted as one; leading: these two.
    """

    places: Tensor
    leading: tuple[int, int]

    def rows(self, padded: Tensor) -> Tensor:
        """The rows that are there, from a tensor with the leading dimensions of the padded batch."""
        return padded.flatten(0, 1).index_select(0, self.places)

    def padded(self, rows: Tensor) -> Tensor:
        """Rows in their places, zero elsewhere."""
        found = rows.new_zeros(self.leading[0] * self.leading[1], *rows.shape[1:]).index_copy(0, self.places, rows)
        return found.view(*self.leading, *rows.shape[1:])


class GridRows(torch.autograd.Function):
    """`Grid.rows` with a gradient that is copied, not added up: no place comes twice."""

    generate_vmap_rule = True

    @staticmethod
    def forward(padded, grid):  # type: ignore[no-untyped-def]
        return grid.rows(padded)

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        ctx.grid = inputs[1]

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return ctx.grid.padded(gradient), None


@lru_cache(maxsize=256)
def even_offsets(steps: int, batch: int) -> Tensor:
    """Where the rows of each step begin if all sequences have `steps` steps, and where the last step ends."""
    return torch.arange(0, (steps + 1) * batch, batch or 1)[: steps + 1] if batch else torch.zeros(steps + 1).long()


def offsets_of(sizes: Tensor) -> Tensor:
    """Where the rows of each step begin, and where the last step ends, (steps + 1); sizes: sequences at each step."""
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])


def lengths_of(sizes: Tensor, batch: int) -> Tensor:
    """The steps of each sequence, (batch)."""
    return torch.searchsorted(-sizes, -torch.arange(batch))


# numpy repeats small integers several times faster than torch
def _for_each_row(of_step: "np.ndarray[tuple[int], np.dtype[np.int64]]", sizes: Tensor) -> Tensor:
    return torch.from_numpy(np.repeat(of_step, sizes.numpy()))


def sequence_of_row(sizes: Tensor) -> Tensor:
    """Which sequence each row belongs to, (rows)."""
    begin = _for_each_row(offsets_of(sizes)[:-1].numpy(), sizes)
    return torch.arange(len(begin)) - begin


def step_of_row(sizes: Tensor) -> Tensor:
    """Which step each row belongs to, (rows)."""
    return _for_each_row(np.arange(len(sizes)), sizes)


def last_rows(sizes: Tensor, batch: int, reverse: bool) -> Tensor:
    """The row of the last step in the order of computation, for each of the first sequences, which have any steps."""
    running = torch.arange(int(sizes[0]) if len(sizes) else 0)
    return running if reverse else offsets_of(sizes)[lengths_of(sizes, batch)[: len(running)] - 1] + running


def rows_before(sizes: Tensor, reverse: bool) -> Tensor:
    """For each row that of the step before in the order of computation; where sequence n starts, -1 - n. (rows)"""
    if not len(sizes):
        return sizes.new_zeros(0)
    if not reverse:
        distance = _for_each_row(np.concatenate([[0], sizes.numpy()[:-1]]), sizes)
        before = torch.arange(len(distance)) - distance
        before[: int(sizes[0])] = -1 - torch.arange(int(sizes[0]))
        return before
    sequence = sequence_of_row(sizes)
    goes_on = sequence < _for_each_row(np.concatenate([sizes.numpy()[1:], [0]]), sizes)
    return torch.where(goes_on, torch.arange(len(sequence)) + _for_each_row(sizes.numpy(), sizes), -1 - sequence)


def states_before(before: Tensor, states: Tensor, initial: Tensor) -> Tensor:
    """What rows started from, (rows, size). before: of these rows as `rows_before` says.

    states: (all rows, size), after each step; initial: (batch, size).
    """
    before = before.to(states.device)
    found = states.index_select(0, before.clamp(min=0))
    at_start = (before < 0).nonzero().squeeze(1)
    return found.index_copy_(0, at_start, initial.index_select(0, -1 - before[at_start]))


def padded_rows(sizes: Tensor, batch: int) -> Tensor:
    """Where each row stands in a full grid of (steps, batch) rows."""
    return step_of_row(sizes) * batch + sequence_of_row(sizes)
