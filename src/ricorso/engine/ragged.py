"""Batches of sequences that end at different steps, packed without gaps.

The rows of step 0 come first, then those of step 1, and so on, as in torch's PackedSequence; within a step sequences
stand in one order, longer ones first, so that those of a later step are the first of those before.
"""

from functools import lru_cache

import torch
from torch import Tensor


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


def sequence_of_row(sizes: Tensor) -> Tensor:
    """Which sequence each row belongs to, (rows)."""
    count = int(sizes.sum())
    return torch.arange(count) - torch.repeat_interleave(offsets_of(sizes)[:-1], sizes, output_size=count)


def last_rows(sizes: Tensor, batch: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """The sequences with at least one step, and for each the row of its last step in the order of computation."""
    lengths = lengths_of(sizes, batch)
    running = torch.arange(int(sizes[0]) if len(sizes) else 0)
    return running, running if reverse else offsets_of(sizes)[lengths[running] - 1] + running


def rows_before(sizes: Tensor, batch: int, reverse: bool) -> Tensor:
    """For each row that of the step before in the order of computation; where sequence n starts, -1 - n. (rows)"""
    sequence, step = sequence_of_row(sizes), step_of_row(sizes)
    starts = step + 1 == lengths_of(sizes, batch)[sequence] if reverse else step == 0
    before = offsets_of(sizes)[step + 1 if reverse else step - 1] + sequence
    return torch.where(starts, -1 - sequence, before)


def states_before(before: Tensor, states: Tensor, initial: Tensor) -> Tensor:
    """What rows started from, (rows, size). before: of these rows as `rows_before` says.

    states: (all rows, size), after each step; initial: (batch, size).
    """
    before = before.to(states.device)
    found = states.index_select(0, before.clamp(min=0))
    at_start = (before < 0).nonzero().squeeze(1)
    return found.index_copy_(0, at_start, initial[-1 - before[at_start]])


def step_of_row(sizes: Tensor) -> Tensor:
    """Which step each row belongs to, (rows)."""
    return torch.repeat_interleave(torch.arange(len(sizes)), sizes, output_size=int(sizes.sum()))


def padded_rows(sizes: Tensor, batch: int) -> Tensor:
    """Where each row stands in a full grid of (steps, batch) rows."""
    return step_of_row(sizes) * batch + sequence_of_row(sizes)
