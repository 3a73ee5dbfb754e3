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


def before_each_row(
    states: Tensor, initial: Tensor, sizes: Tensor, reverse: bool, piece: slice = slice(None)
) -> Tensor:
    """What each row started from, (rows, size): the row of the step before in the order of computation, or the start.

    states: (rows, size), after each step; initial: (batch, size). piece: the rows that are wanted.
    """
    sequence, step = sequence_of_row(sizes)[piece], _step_of_row(sizes)[piece]
    if reverse:
        starts = step + 1 == lengths_of(sizes, len(initial))[sequence]
        before = step + 1
    else:
        starts = step == 0
        before = step - 1
    rows = torch.where(starts, 0, offsets_of(sizes)[before] + sequence).to(states.device)
    found = states.index_select(0, rows)
    at_start = starts.nonzero().squeeze(1)
    return found.index_copy_(0, at_start.to(states.device), initial[sequence[at_start].to(states.device)])


def _step_of_row(sizes: Tensor) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(sizes)), sizes, output_size=int(sizes.sum()))


def padded_rows(sizes: Tensor, batch: int) -> Tensor:
    """Where each row stands in a full grid of (steps, batch) rows."""
    return _step_of_row(sizes) * batch + sequence_of_row(sizes)
