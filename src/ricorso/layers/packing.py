"""Padded batches to rows without padding and back: lengths, restarts inside sequences, torch's PackedSequence."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ricorso.engine.ragged import Grid, GridRows, sequence_of_row, step_of_row
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
        if not padded.requires_grad:
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
    sequence, begin, end = torch.arange(batch), torch.zeros(batch, dtype=torch.int64), known
    if reset is not None:
        sequence, begin, end = _between(_marks(reset, steps, batch, batch_first), known)
    pieces = end - begin
    order = torch.sort(pieces, descending=True, stable=True).indices
    place = torch.argsort(order)
    pieces, begin = pieces[order], begin[order]
    longest = int(pieces[0]) if len(pieces) else 0
    sizes = torch.searchsorted(-pieces, -torch.arange(longest))
    piece = sequence_of_row(sizes)
    step = step_of_row(sizes) + begin[piece]
    of_piece = sequence[order]
    at = of_piece[piece] * steps + step if batch_first else step * batch + of_piece[piece]
    first, last = (
        torch.searchsorted(sequence, torch.arange(batch)),
        torch.searchsorted(sequence, torch.arange(batch), right=True),
    )
    return Packing(
        sizes,
        Grid(at.to(device), (batch, steps) if batch_first else (steps, batch)),
        of_piece.to(device),
        place[first].to(device),
        place[last - 1].to(device),
        whole=len(sequence) == batch,
    )


def _checked(lengths: Tensor | Sequence[int] | None, steps: int, batch: int) -> Tensor:
    if lengths is None:
        return torch.full((batch,), steps)
    known = torch.as_tensor(lengths).detach().cpu()
    if known.is_floating_point() or known.is_complex() or known.dtype == torch.bool:
        raise ShapeError(f"`lengths` holds {known.dtype}; wanted whole numbers of steps.")
    if known.shape != (batch,):
        raise ShapeError(f"`lengths` has shape {tuple(known.shape)}; wanted one length for each of {batch} sequences.")
    known = known.long()
    for wrong, why in ((known < 0, "is negative"), (known > steps, f"is more than the {steps} steps of `input`")):
        if wrong.any():
            number = int(wrong.nonzero()[0])
            raise ShapeError(f"lengths[{number}] is {int(known[number])}, which {why}; lengths go from 0 to {steps}.")
    return known


def _marks(reset: Tensor, steps: int, batch: int, batch_first: bool) -> Tensor:
    """(batch, time)."""
    if reset.dtype != torch.bool:
        raise ShapeError(f"`reset` is {reset.dtype}; wanted booleans, true at the steps that start from new states.")
    wanted = (batch, steps) if batch_first else (steps, batch)
    if tuple(reset.shape) != wanted:
        raise ShapeError(f"`reset` has shape {tuple(reset.shape)}; wanted {wanted}, one mark for each step.")
    return (reset if batch_first else reset.t()).detach().cpu()


def _between(marks: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The pieces between restarts in order: their sequences, first steps, and steps after the last.

    A restart at step 0 leaves an empty piece before it, which carries the given states to nothing.
    """
    inside = marks & (torch.arange(marks.shape[1]) < lengths.unsqueeze(1))
    sequence, begin = inside.nonzero().unbind(1)
    sequence = torch.cat([torch.arange(len(lengths)), sequence])
    begin = torch.cat([torch.zeros_like(lengths), begin])
    order = torch.argsort(sequence, stable=True)
    sequence, begin = sequence[order], begin[order]
    following = torch.cat([begin[1:], begin.new_zeros(1)])
    last = torch.cat([sequence[1:] != sequence[:-1], sequence.new_ones(1, dtype=torch.bool)])
    return sequence, begin, torch.where(last, lengths[sequence], following)
