"""Padded batches to rows without padding and back: lengths, restarts inside sequences, torch's PackedSequence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ricorso.engine.eager import eager
from ricorso.engine.ragged import Grid, GridRows, Numbers, sequence_of_row, sizes_of, step_of_row
from ricorso.errors import ShapeError


@dataclass(frozen=True)
class Packing:
    """Which steps of a batch are computed, and in which order.

    What is computed are pieces of sequences, longer ones first: whole sequences, or what lies between restarts.
    sizes: pieces at each step, (steps), on the CPU. grid: where the rows stand in the padded batch, or None when they
    came packed. sequence: the sequence of each piece. begins, ends:
    for each sequence its first and its last piece. whole: whether every piece is a whole sequence.
    """

    sizes: Tensor
    grid: Grid | None
    sequence: Tensor
    begins: Tensor
    ends: Tensor
    whole: bool

    def rows(self, padded: Tensor) -> Tensor:
        """The rows that are computed, from a tensor with the two leading dimensions of the padded batch."""
        if self.grid is None:
            return padded
        if not padded.requires_grad or not eager(padded):
            return self.grid.rows(padded)
        found: Tensor = GridRows.apply(padded, self.grid)  # type: ignore[no-untyped-call]
        return found

    def of_each_row(self, pieces: Tensor) -> Tensor:
        """What belongs to a piece for each of its rows, (rows, ...)."""
        return pieces.index_select(0, sequence_of_row(self.sizes).to(pieces.device))

    def initial(self, given: Tensor, fresh: Tensor, reverse: bool) -> Tensor:
        """States before each piece, (states, pieces, size).

        given: (states, batch, size), before the sequences; fresh: (states, 1 or batch, size), after a restart.
        """
        chosen = given.index_select(1, self.sequence)
        if self.whole:
            return chosen
        first = torch.zeros(chosen.shape[1], 1, dtype=torch.bool, device=given.device)
        first[self.ends if reverse else self.begins] = True
        return torch.where(first, chosen, fresh if fresh.shape[1] == 1 else fresh.index_select(1, self.sequence))

    def finals(self, states: Tensor, reverse: bool) -> Tensor:
        """Of the states after each piece, (states, pieces, size), those after the sequences, (states, batch, size)."""
        return states.index_select(1, self.begins if reverse else self.ends)


def from_packed(packed: PackedSequence) -> Packing:
    """How a PackedSequence is computed: as it stands. Raises ShapeError for one whose parts do not fit together."""
    _check_packed(packed)
    count = int(packed.batch_sizes[0])
    every = torch.arange(count, device=packed.data.device)
    order = every if packed.sorted_indices is None else packed.sorted_indices
    back = every if packed.unsorted_indices is None else packed.unsorted_indices
    return Packing(packed.batch_sizes, None, order, back, back, whole=True)


# What it asks for is known only when the sizes are.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _check_packed(packed: PackedSequence) -> None:
    """Kernels read and write where the sizes say, and anybody can make a PackedSequence."""
    sizes, rows = packed.batch_sizes.tolist(), len(packed.data)
    if not sizes or sizes[-1] < 0 or sizes != sorted(sizes, reverse=True) or sum(sizes) != rows:
        raise ShapeError(
            f"The PackedSequence has {rows} rows, and its batch_sizes are {sum(sizes)} in all; wanted at least one "
            f"size, sizes that never grow and are not negative, and as many rows as they are in all."
        )
    for name in ("sorted_indices", "unsorted_indices"):
        order = getattr(packed, name)
        if order is not None and order.shape != (sizes[0],):
            raise ShapeError(
                f"`{name}` of the PackedSequence has shape {tuple(order.shape)}; wanted one for each of {sizes[0]} "
                f"sequences."
            )


def from_lengths(
    lengths: Tensor | Sequence[int] | None, reset: Tensor | None, steps: int, batch: int, batch_first: bool,
    device: torch.device,
) -> Packing:  # fmt: skip
    """How a padded batch is computed whose sequences have `lengths` steps, restarting where `reset` says so.

    reset: (time, batch), or (batch, time) with batch_first. Raises ShapeError for lengths or marks that do not fit.
    """
    known = _checked(lengths, steps, batch)
    if reset is None:
        pieces, whole = known, True
        of_piece = np.argsort(-pieces, kind="stable")
        begins = ends = _inverse(of_piece)
    else:
        sequence, begin, end = _between(_marks(reset, steps, batch, batch_first), known)
        pieces, whole = end - begin, len(sequence) == batch
        order = np.argsort(-pieces, kind="stable")
        of_piece, place, each = sequence[order], _inverse(order), np.arange(batch)
        begins, ends = place[np.searchsorted(sequence, each)], place[np.searchsorted(sequence, each, "right") - 1]
    sizes = torch.from_numpy(sizes_of(pieces))
    piece, step = sequence_of_row(sizes).numpy(), step_of_row(sizes).numpy()
    if reset is not None:
        step = step + begin[order][piece]
    at = of_piece[piece] * steps + step if batch_first else step * batch + of_piece[piece]

    def moved(numbers: Numbers) -> Tensor:
        return torch.from_numpy(numbers).to(device)

    return Packing(
        sizes,
        Grid(moved(at), (batch, steps), 1) if batch_first else Grid(moved(at), (steps, batch), batch),
        moved(of_piece),
        moved(begins),
        moved(ends),
        whole,
    )


def _inverse(order: Numbers) -> Numbers:
    found = np.empty_like(order)
    found[order] = np.arange(len(order))
    return found


def _checked(lengths: Tensor | Sequence[int] | None, steps: int, batch: int) -> Numbers:
    if lengths is None:
        return np.full(batch, steps)
    given = lengths.detach() if isinstance(lengths, Tensor) else torch.as_tensor(lengths)
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise ShapeError(f"`lengths` holds {given.dtype}; wanted whole numbers of steps.")
    if given.shape != (batch,):
        raise ShapeError(f"`lengths` has shape {tuple(given.shape)}; wanted one length for each of {batch} sequences.")
    known: Numbers = given.cpu().numpy().astype(np.int64, copy=False)
    if not 0 <= known.min(initial=0) <= known.max(initial=0) <= steps:
        number = int(((known < 0) | (known > steps)).argmax())
        why = "is negative" if known[number] < 0 else f"is more than the {steps} steps of `input`"
        raise ShapeError(f"lengths[{number}] is {known[number]}, which {why}; lengths go from 0 to {steps}.")
    return known


def _marks(reset: Tensor, steps: int, batch: int, batch_first: bool) -> NDArray[np.bool_]:
    """(batch, time)."""
    if reset.dtype != torch.bool:
        raise ShapeError(f"`reset` is {reset.dtype}; wanted booleans, true at the steps that start from new states.")
    wanted = (batch, steps) if batch_first else (steps, batch)
    if tuple(reset.shape) != wanted:
        raise ShapeError(f"`reset` has shape {tuple(reset.shape)}; wanted {wanted}, one mark for each step.")
    marks: NDArray[np.bool_] = (reset if batch_first else reset.t()).detach().cpu().numpy()
    return marks


def _between(marks: NDArray[np.bool_], lengths: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The pieces between restarts in order: their sequences, first steps, and steps after the last.

    A restart at step 0 leaves an empty piece before it, which carries the given states to nothing.
    """
    inside = marks & (np.arange(marks.shape[1]) < lengths[:, None])
    sequence, begin = np.nonzero(inside)
    sequence = np.concatenate([np.arange(len(lengths)), sequence])
    begin = np.concatenate([np.zeros_like(lengths), begin])
    order = np.argsort(sequence, kind="stable")
    sequence, begin = sequence[order], begin[order]
    following = np.append(begin[1:], 0)
    last = np.append(sequence[1:] != sequence[:-1], True)
    return sequence, begin, np.where(last, lengths[sequence], following)
