"""What one layer in one direction is computed from, and what a run leaves."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

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

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        return tuple(getattr(self, name) for name in TENSORS)

    def with_tensors(self, tensors: tuple[Tensor | None, ...]) -> "Call":
        """The same run on other tensors, in the order of `tensors`."""
        return Call(*tensors, self.reverse, self.seed, self.first_step)  # type: ignore[arg-type, call-arg]

    @property
    def heads(self) -> int:
        """Number of blocks of the recurrent matrices."""
        return 1 if self.weight_hh is None else self.initial.shape[2] // self.weight_hh.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.initial.dtype


TENSORS = tuple(field.name for field in fields(Call) if field.name not in ("reverse", "seed", "first_step"))


@dataclass(frozen=True)
class Saved:
    """What a forward run leaves for the backward run.

    output: (time, batch, hidden); others: (states - 1, time, batch, hidden); columns: (time, batch, input gates *
    hidden), the leaves that see the input; extras: (time, batch, other leaves * hidden).
    """

    output: Tensor
    others: Tensor
    columns: Tensor
    extras: Tensor


Gradients = tuple[Tensor | None, ...]
