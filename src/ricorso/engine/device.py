"""Which kernels run on the device of a call: compiled ones on a CPU, Triton's on a GPU."""

from typing import Protocol

from torch import Tensor

from ricorso.engine import fast, gpu
from ricorso.engine.call import Call
from ricorso.engine.fast import Gradients, Saved
from ricorso.equations.cell import Cell


class Engine(Protocol):
    """A forward and a backward run, as in `fast`."""

    def forward(self, cell: Cell, call: Call, output: Tensor | None = None) -> tuple[Tensor, Tensor, Saved]: ...

    def backward(
        self,
        cell: Cell,
        call: Call,
        saved: Saved,
        output_gradient: Tensor,
        final_gradient: Tensor | None,
        needs_input: bool,
        overwrite: bool = False,
    ) -> Gradients: ...


def engine_for(call: Call) -> Engine:
    """The engine for the device that the states of a call are on."""
    return gpu if call.initial.is_cuda else fast
