"""One layer in one direction through Triton kernels; products through torch's BLAS."""

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from ricorso.engine import naive, products
from ricorso.engine.call import TENSORS, Call
from ricorso.engine.fast import Gradients, Saved
from ricorso.engine.stages import COMPUTED_IN, Held
from ricorso.engine.stages import run as run_stages
from ricorso.equations.cell import Cell
from ricorso.errors import UsageError
from ricorso.kernels.triton.stage import backward_stages, forward_stages

DTYPES = tuple(COMPUTED_IN)


@cache
def unavailable() -> str:
    """Empty when Triton is installed, else the reason why not."""
    return "" if find_spec("triton") else "Triton is not installed (it comes with ricorso's extra `gpu`)"


def forward(cell: Cell, call: Call, output: Tensor | None = None) -> tuple[Tensor, Tensor, Saved]:
    """Outputs (time, batch, hidden_size), final states (states, batch, hidden_size), and what backward needs.

    output: contiguous memory for the outputs.
    """
    states, batch, hidden = call.initial.shape
    steps, new = call.inputs.shape[0], call.initial.new_empty
    saved = Saved(
        output=new(steps, batch, hidden) if output is None else output,
        others=new(states - 1, steps, batch, hidden, dtype=COMPUTED_IN[call.dtype]),
        columns=new(steps, batch, len(cell.leaves) * hidden),
    )
    products.project(cell, call, saved.columns)
    apart = len(cell.joined_biases) < len(cell.product_gates)
    bias = new(len(cell.product_gates) * hidden).zero_() if call.bias_hh is None else call.bias_hh.contiguous()
    held = Held(saved.columns, saved.output, saved.others, bias=bias if apart else None)
    run_stages(cell, call, forward_stages(cell), held, False)
    last = 0 if call.reverse else steps - 1
    finals = torch.cat([saved.output[last].unsqueeze(0), saved.others[:, last].to(call.dtype)])
    return saved.output, finals, saved


def backward(
    cell: Cell,
    call: Call,
    saved: Saved,
    output_gradient: Tensor,
    final_gradient: Tensor | None,
    needs_input: bool,
    overwrite: bool = False,
) -> Gradients:
    """Gradients in the order of `call.tensors`, None where there is none, as for signals.

    overwrite: the saved columns are not needed any more and may hold the gradients of the columns.
    """
    steps, batch, hidden = saved.output.shape
    state_gradients = call.initial.new_zeros(call.initial.shape, dtype=COMPUTED_IN[call.dtype])
    if final_gradient is not None:
        state_gradients.copy_(final_gradient)
    stored = any(vector != cell.states[0] for vector in cell.vectors)
    vectors = saved.output.new_empty(len(cell.vectors) if stored else 0, steps, batch, hidden)
    gradients = saved.columns if overwrite else torch.empty_like(saved.columns)
    held = Held(
        saved.columns,
        saved.output,
        saved.others,
        gradients=gradients,
        output_gradient=output_gradient.contiguous(),
        state_gradients=state_gradients,
        vectors=vectors,
    )
    sums = run_stages(cell, call, backward_stages(cell), held, True)
    found = products.input_gradients(cell, call, gradients, needs_input)
    found |= products.recurrent_gradients(cell, call, saved.output, gradients, vectors)
    found["parameters"] = None if call.parameters is None else sums.to(call.dtype)
    found["initial"] = state_gradients.to(call.dtype)
    return tuple(found.get(name) for name in TENSORS)


def run(cell: Cell, call: Call) -> tuple[Tensor, Tensor]:
    """Outputs and final states as `naive.run` gives them, differentiable; second derivatives go through the oracle.

    Raises UsageError where a signal needs a gradient.
    """
    if call.signals is not None and call.signals.requires_grad:
        raise UsageError(
            f"The kernels of cell '{cell.name}' give no gradient of signals ({', '.join(map(str, cell.signals))}); "
            f"detach them, or set RICORSO_PATH=naive."
        )
    output, finals = _Run.apply(cell, call, *call.tensors)  # type: ignore[no-untyped-call]
    return output, finals


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: Cell, call: Call, *tensors: Tensor | None) -> tuple[Tensor, Tensor]:
        output, finals, saved = forward(cell, call)
        ctx.save_for_backward(*tensors, output, saved.others, saved.columns)
        ctx.cell, ctx.numbers = cell, (call.reverse, call.seed, call.first_step)
        ctx.set_materialize_grads(False)
        return output, finals

    @staticmethod
    def backward(ctx: Any, output_gradient: Tensor | None, final_gradient: Tensor | None) -> tuple[Any, ...]:
        *tensors, output, others, columns = ctx.saved_tensors
        call = Call(*tensors, *ctx.numbers)
        if output_gradient is None:
            output_gradient = torch.zeros_like(output)
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():
            found = _through_oracle(ctx.cell, call, output_gradient, final_gradient, needed)
        else:
            # Unless this graph will be walked again nobody else sees the columns.
            overwrite = not torch._C._autograd._get_current_graph_task_keep_graph()
            saved = Saved(output, others, columns)
            found = backward(ctx.cell, call, saved, output_gradient, final_gradient, needed[0], overwrite)
        return None, None, *(gradient if need else None for gradient, need in zip(found, needed, strict=True))


def _through_oracle(
    cell: Cell, call: Call, output_gradient: Tensor, final_gradient: Tensor | None, needed: tuple[bool, ...]
) -> Gradients:
    """Gradients that can be differentiated again."""
    output, finals = naive.run(cell, call)
    given = [output_gradient, torch.zeros_like(finals) if final_gradient is None else final_gradient]
    wanted = [t for t, need in zip(call.tensors, needed, strict=True) if need and t is not None]
    found = iter(torch.autograd.grad([output, finals], wanted, given, create_graph=True, allow_unused=True))
    return tuple(next(found) if need and t is not None else None for t, need in zip(call.tensors, needed, strict=True))
