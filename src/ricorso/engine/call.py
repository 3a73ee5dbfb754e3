"""What one layer in one direction is computed from, and what a run leaves."""

from dataclasses import dataclass, fields, replace
from math import prod

import torch
from torch import Tensor

from ricorso.engine.ragged import Grid, even_offsets, last_rows, offsets_of

# What kernels compute in, and keep all states but the output in, by what tensors are stored in.
COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}

# What compiled kernels take, by the names they have there.
DTYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True)
class Call:
    """The tensors and numbers of one run over a sequence.

    inputs: (time, batch, input_size), or (time, batch) token ids.
    weight_ih: (input gates * hidden_size, input_size); weight_hh: (product gates * hidden_size, hidden_size / heads),
    None for a cell without products; bias_ih, bias_hh: one row of each, or None.
    parameters: (parameters, hidden_size) of the cell as `transform.folded` leaves it; signals: (signals, time, batch).
    initial: (states, batch, hidden_size). seed, first_step: where the random numbers of the sequence begin.
    sizes: how many sequences there are at each step, never more than at the step before, (steps); then (time, batch)
    is one dimension above, the rows of all steps as `engine.ragged` packs them, and the sequences are those of
    `initial` in order. grid: where outputs are to stand in a padded batch; without it they are packed as well.
    """

    inputs: Tensor
    weight_ih: Tensor | None
    weight_hh: Tensor | None
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    parameters: Tensor | None
    signals: Tensor | None
    initial: Tensor
    reverse: bool = False
    seed: int = 0
    first_step: int = 0
    sizes: Tensor | None = None
    grid: Grid | None = None

    @property
    def steps(self) -> int:
        return self.inputs.shape[0] if self.sizes is None else len(self.sizes)

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return self.initial.shape[1]

    @property
    def leading(self) -> tuple[int, ...]:
        """(time, batch), or (rows) of a ragged batch."""
        return tuple(self.inputs.shape[: 2 if self.sizes is None else 1])

    @property
    def output_leading(self) -> tuple[int, ...]:
        """The same of the outputs."""
        return self.leading if self.grid is None else self.grid.leading

    @property
    def rows(self) -> int:
        """Steps of all sequences together."""
        return prod(self.leading)

    @property
    def mean_batch(self) -> int:
        """Sequences at a step, on average."""
        return -(-self.rows // self.steps)

    @property
    def offsets(self) -> Tensor:
        """Where the rows of each step begin, and where the last step ends, (steps + 1)."""
        return even_offsets(self.steps, self.batch) if self.sizes is None else offsets_of(self.sizes)

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        return tuple(getattr(self, name) for name in TENSORS)

    def with_tensors(self, tensors: tuple[Tensor | None, ...]) -> "Call":
        """The same run on other tensors, in the order of `tensors`."""
        return replace(self, **dict(zip(TENSORS, tensors, strict=True)))  # type: ignore[arg-type]

    def part(self, piece: slice, initial: Tensor) -> "Call":
        """The same run over the steps `piece` alone, from other states."""
        rows, sizes = piece, None
        if self.sizes is not None:
            begin, end = self.offsets[piece.start], self.offsets[piece.stop]
            rows, sizes = slice(int(begin), int(end)), self.sizes[piece]
        signals = None if self.signals is None else self.signals[:, rows]
        first_step = self.first_step + piece.start
        return replace(
            self, inputs=self.inputs[rows], signals=signals, initial=initial, first_step=first_step, sizes=sizes
        )

    @property
    def heads(self) -> int:
        """Number of blocks of the recurrent matrices."""
        return 1 if self.weight_hh is None else self.initial.shape[2] // self.weight_hh.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.initial.dtype


_OPTIONS = ("reverse", "seed", "first_step", "sizes", "grid")
TENSORS = tuple(field.name for field in fields(Call) if field.name not in _OPTIONS)


@dataclass(frozen=True)
class Saved:
    """What a forward run leaves for the backward run.

    output: (time, batch, hidden); others: (states - 1, time, batch, hidden); columns: (time, batch, input gates *
    hidden), the leaves that see the input; extras: (time, batch, other leaves * hidden); rows for (time, batch) in a
    ragged batch. Outputs with a grid are (time, batch, hidden) or (batch, time, hidden), zero behind the ends.
    """

    output: Tensor
    others: Tensor
    columns: Tensor
    extras: Tensor

    def finals(self, call: Call) -> Tensor:
        """The states after the last step of each sequence, (states, batch, hidden)."""
        if call.sizes is None:
            last = 0 if call.reverse else call.steps - 1
            return torch.cat([self.output[last].unsqueeze(0), self.others[:, last].to(call.dtype)])
        rows = last_rows(call.sizes, call.batch, call.reverse)
        places = rows if call.grid is None else call.grid.places[rows]
        found = self.output.flatten(0, -2).index_select(0, places).unsqueeze(0)
        if len(self.others):
            found = torch.cat([found, self.others.index_select(1, rows).to(call.dtype)])
        return found if len(rows) == call.batch else torch.cat([found, call.initial[:, len(rows) :]], 1)


Gradients = tuple[Tensor | None, ...]
