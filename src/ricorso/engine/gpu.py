"""One layer in one direction through Triton kernels; products through torch's BLAS."""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from ricorso.engine import products
from ricorso.engine.call import COMPUTED_IN, TENSORS, Call, Gradients, Saved
from ricorso.engine.stages import Held
from ricorso.engine.stages import run as run_stages
from ricorso.equations.cell import Cell
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
        columns=products.project(cell, call),
        extras=new(steps, batch, (len(cell.leaves) - len(cell.input_gates)) * hidden),
    )
    apart = len(cell.joined_biases) < len(cell.product_gates)
    bias = new(len(cell.product_gates) * hidden).zero_() if call.bias_hh is None else call.bias_hh.contiguous()
    held = Held(saved.columns, saved.extras, saved.output, saved.others, bias=bias if apart else None)
    run_stages(cell, call, forward_stages(cell), held, False)
    last = 0 if call.reverse else steps - 1
    finals = torch.cat([saved.output[last].unsqueeze(0), saved.others[:, last].to(call.dtype)])
    return saved.output, finals, saved


def infer(cell: Cell, call: Call) -> tuple[Tensor, Tensor]:
    """Outputs and final states as `forward` gives them."""
    return forward(cell, call)[:2]


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

    overwrite: the saved leaves are not needed any more and may hold their gradients.
    """
    steps, batch, hidden = saved.output.shape
    state_gradients = call.initial.new_zeros(call.initial.shape, dtype=COMPUTED_IN[call.dtype])
    if final_gradient is not None:
        state_gradients.copy_(final_gradient)
    vectors = saved.output.new_empty(len(cell.vectors) if cell.stores_vectors else 0, steps, batch, hidden)
    gradients = saved.columns if overwrite else torch.empty_like(saved.columns)
    extra_gradients = saved.extras if overwrite else torch.empty_like(saved.extras)
    held = Held(
        saved.columns,
        saved.extras,
        saved.output,
        saved.others,
        gradients=gradients,
        extra_gradients=extra_gradients,
        output_gradient=output_gradient.contiguous(),
        state_gradients=state_gradients,
        vectors=vectors,
    )
    sums = run_stages(cell, call, backward_stages(cell), held, True)
    found = products.input_gradients(call, gradients, needs_input)
    found |= products.recurrent_gradients(
        cell, call, saved.output, gradients, extra_gradients, vectors, found.get("bias_ih")
    )
    found["parameters"] = None if call.parameters is None else sums.to(call.dtype)
    found["initial"] = state_gradients.to(call.dtype)
    return tuple(found.get(name) for name in TENSORS)
