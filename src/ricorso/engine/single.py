"""One step of a cell at a call, as decoders take it that are written as a loop.

Products read the weights from where they are, one kernel does the rest of the step. The gradients of the weights are
made once for all steps that one backward pass walks through, as products of everything those steps left.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ricorso.engine import naive
from ricorso.engine.call import Call
from ricorso.engine.eager import eager
from ricorso.engine.products import summed_outer
from ricorso.equations.cell import Cell
from ricorso.equations.given import has_plain_products, spans
from ricorso.kernels import available

if TYPE_CHECKING:
    from ricorso.engine.single_kernels import Kernels

Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
# With more rows packing the weights pays, which kernels for sequences do.
MOST_ROWS = 128


def takes(cell: Cell) -> bool:
    """Whether steps of this cell can run here, on some tensors."""
    return has_plain_products(cell) and len(cell.states) <= 2 and not available.unavailable()


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether a step runs here for a cell of which `takes` is true. x: (batch, input_size)."""
    return (
        eager(x)
        and weight.is_cpu
        and weight.dtype in (torch.float32, torch.float64)
        and x.dtype == weight.dtype
        and 0 < x.shape[0] <= MOST_ROWS
    )


@cache
def _kernels_for(cell: Cell, dtype: torch.dtype, hidden: int) -> "Kernels":
    """Imported when they are needed, because llvmlite may be missing."""
    from ricorso.engine.single_kernels import Kernels

    return Kernels(cell, dtype, hidden)


def step(cell: Cell, x: Tensor, states: tuple[Tensor, ...], weights: Weights, shared: "Shared") -> tuple[Tensor, ...]:
    """New states, (batch, hidden_size) each. x: (batch, input_size); shared: what the steps of a layer share."""
    if torch.is_grad_enabled():
        asked = [t.requires_grad for t in (x, *states, *weights) if t is not None]
        if any(asked):
            found: tuple[Tensor, ...] = _Step.apply(cell, shared.meeting(weights), x, *weights, *states)  # type: ignore[no-untyped-call]
            return found
    return _forward(cell, x, states, weights)[0]


def _forward(cell: Cell, x: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[tuple[Tensor, ...], Tensor]:
    kernels = _kernels_for(cell, x.dtype, states[0].shape[1])
    plain = tuple(state.contiguous() for state in states)
    dense_weights = tuple(None if weight is None else weight.contiguous() for weight in weights)
    return kernels.forward(x if x.stride(1) == 1 else x.contiguous(), plain, dense_weights)  # type: ignore[arg-type]


class Shared:
    """Where the steps of a layer meet in a backward pass."""

    def __init__(self) -> None:
        self._last: tuple[Weights, tuple[bool, ...], Tensor] | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> "Shared":
        return Shared()

    def __reduce__(self) -> tuple[type["Shared"], tuple[()]]:
        return Shared, ()

    def meeting(self, weights: Weights) -> Tensor | None:
        """A tensor through which steps with these weights reach them; None where no weight has a gradient."""
        asked = tuple(weight is not None and weight.requires_grad for weight in weights)
        if not any(asked):
            return None
        if self._last is not None:
            known, before, found = self._last
            same = all(a is b for a, b in zip(known, weights, strict=True))
            if before == asked and same and found.dtype == weights[0].dtype:
                return found
        made: Tensor = _Meeting.apply(*weights)  # type: ignore[no-untyped-call]
        self._last = weights, asked, made
        return made


class _Meeting(torch.autograd.Function):
    """Runs after all steps of a backward pass, and makes the gradients of the weights from what they left."""

    @staticmethod
    def forward(ctx, *weights):  # type: ignore[no-untyped-def]
        ctx.left = {}
        ctx.set_materialize_grads(False)
        return weights[0].new_empty(0)

    @staticmethod
    def backward(ctx, _):  # type: ignore[no-untyped-def]
        left = ctx.left.pop(torch._C._current_graph_task_id(), [])
        if not left:
            return None, None, None, None
        cell = left[0][0]
        of_columns, x, h = (
            torch.cat(parts) if len(parts) > 1 else parts[0] for parts in list(zip(*left, strict=True))[1:]
        )
        return tuple(_weight_gradients(cell, of_columns, x, h, ctx.needs_input_grad))


def _weight_gradients(
    cell: Cell, of_columns: Tensor, x: Tensor, h: Tensor, asked: tuple[bool, ...]
) -> list[Tensor | None]:
    """Of weight_ih, weight_hh, bias_ih and bias_hh; all steps below one another."""
    hidden, inputs = h.shape[1], len(cell.input_gates)
    own = of_columns[:, : inputs * hidden]
    parts = [of_columns[:, span.leaf * hidden : (span.leaf + span.count) * hidden] for span in spans(cell)]
    sums = of_columns.sum(0) if asked[2] or asked[3] else None
    recurrent = []
    if asked[1]:
        recurrent = [summed_outer(part, h) for part in parts]
    biases = []
    if sums is not None and asked[3]:
        biases = [sums[span.leaf * hidden : (span.leaf + span.count) * hidden] for span in spans(cell)]
    return [
        summed_outer(own, x) if asked[0] else None,
        torch.cat(recurrent) if len(recurrent) > 1 else recurrent[0] if recurrent else None,
        sums[: inputs * hidden] if sums is not None and asked[2] else None,
        torch.cat(biases) if biases else None,
    ]


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, cell, meeting, x, weight_ih, weight_hh, bias_ih, bias_hh, *states):  # type: ignore[no-untyped-def]
        weights = weight_ih, weight_hh, bias_ih, bias_hh
        new, columns = _forward(cell, x, states, weights)
        # The backward step needs no new state: users may write over what they are given.
        ctx.save_for_backward(x, *weights, *states, columns)
        ctx.cell = cell
        ctx.set_materialize_grads(False)
        return new

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        x, *saved, columns = ctx.saved_tensors
        weights, states, cell = saved[:4], saved[4:], ctx.cell
        if all(gradient is None for gradient in gradients):
            return (None,) * len(ctx.needs_input_grad)
        if torch.is_grad_enabled():
            return None, None, *_differentiable(cell, x, weights, states, gradients, ctx.needs_input_grad[2:])
        # Nobody else sees the columns; unless this graph will be walked again they are free to be overwritten.
        overwrite = not torch._C._autograd._get_current_graph_task_keep_graph()
        kernels = _kernels_for(cell, x.dtype, states[0].shape[1])
        plain = tuple(state.contiguous() for state in states)
        of_columns, of_states = kernels.backward(columns, plain, gradients, weights[1].contiguous(), overwrite)
        meeting = _meeting_of(ctx)
        if meeting is not None:
            meeting.left.setdefault(torch._C._current_graph_task_id(), []).append((cell, of_columns, x, states[0]))
        of_x = kernels.input_gradient(of_columns, weights[0].contiguous()) if ctx.needs_input_grad[2] else None
        return None, None, of_x, None, None, None, None, *of_states


def _meeting_of(ctx: Any) -> Any:
    """The meeting that this step's weights wait for, where this backward pass goes there."""
    if not ctx.needs_input_grad[1]:
        return None
    meeting = ctx.next_functions[0][0]
    return meeting if torch._C._will_engine_execute_node(meeting) else None


def _differentiable(
    cell: Cell,
    x: Tensor,
    weights: Sequence[Tensor | None],
    states: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    asked: Sequence[bool],
) -> list[Tensor | None]:
    """The same gradients by the oracle, for a backward pass that is differentiated itself."""
    with torch.enable_grad():
        call = Call(x.unsqueeze(0), *weights, None, None, torch.stack(tuple(states)))  # type: ignore[arg-type,call-arg]
        _, finals = naive.run(cell, call)
    tensors = [x, *weights, *states]
    wanted = [t for t, needed in zip(tensors, asked, strict=True) if needed and t is not None]
    used = [(final, g) for final, g in zip(finals, gradients, strict=True) if g is not None]
    found = iter(
        torch.autograd.grad(
            [final for final, _ in used], wanted, [g for _, g in used], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if needed and t is not None else None for t, needed in zip(tensors, asked, strict=True)]
