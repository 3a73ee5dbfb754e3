"""Which kernels run on the device of a call: compiled ones on a CPU, Triton's on a GPU."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

from torch import Tensor

from ricorso.engine import gpu
from ricorso.engine.call import Call, Gradients, Saved
from ricorso.equations.cell import Cell


class Engine(Protocol):
    """Runs as in `fast`."""

    def forward(self, cell: Cell, call: Call, output: Tensor | None = None) -> tuple[Tensor, Tensor, Saved]: ...

    def infer(self, cell: Cell, call: Call) -> tuple[Tensor, Tensor]: ...

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
    return gpu if call.initial.is_cuda else _compiled()


@cache
def _compiled() -> Engine:
    """Imported when it is needed, because llvmlite may be missing."""
    from ricorso.engine import fast

    return fast


InferStack = Callable[[Cell, Tensor, Sequence[Sequence[tuple[Tensor | None, ...]]]], tuple[Tensor, list[Tensor]]]


@cache
def stack_inference() -> InferStack:
    """`inference.infer_stack`, imported when it is needed for the same reason."""
    from ricorso.engine.inference import infer_stack

    return infer_stack
