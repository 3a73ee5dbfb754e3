"""What one layer in one direction is computed from, and what a run leaves."""

from dataclasses import dataclass, fields, replace
from math import prod

import torch
from torch import Tensor

from ricorso.engine.ragged import even_offsets, last_rows, offsets_of

# What kernels compute in, and keep all states but the output in, by what tensors are stored in.
COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}


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
    `initial` in order.
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
    def rows(self) -> int:
        """Steps of all sequences together."""
        return prod(self.leading)

    @property
    def offsets(self) -> Tensor:
        """Where the rows of each step begin, and where the last step ends, (steps + 1)."""
        return even_offsets(self.steps, self.batch) if self.sizes is None else offsets_of(self.sizes)

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        return tuple(getattr(self, name) for name in TENSORS)

    def with_tensors(self, tensors: tuple[Tensor | None, ...]) -> "Call":
        """The same run on other tensors, in the order of `tensors`."""
        return Call(*tensors, self.reverse, self.seed, self.first_step, self.sizes)  # type: ignore[arg-type, call-arg]

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


TENSORS = tuple(field.name for field in fields(Call) if field.name not in ("reverse", "seed", "first_step", "sizes"))


@dataclass(frozen=True)
class Saved:
    """What a forward run leaves for the backward run.

    output: (time, batch, hidden); others: (states - 1, time, batch, hidden); columns: (time, batch, input gates *
    hidden), the leaves that see the input; extras: (time, batch, other leaves * hidden); rows for (time, batch) in a
    ragged batch.
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
        finals = call.initial.clone(memory_format=torch.contiguous_format)
        running, rows = last_rows(call.sizes, call.batch, call.reverse)
        finals[:1, running] = self.output[rows]
        finals[1:, running] = self.others[:, rows].to(call.dtype)
        return finals


Gradients = tuple[Tensor | None, ...]
