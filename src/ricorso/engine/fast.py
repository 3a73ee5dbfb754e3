"""One layer in one direction through compiled kernels; the large products of the backward pass through torch's BLAS."""

import torch
from torch import Tensor

from ricorso.engine import products, projection, sharing
from ricorso.engine.arguments import addresses, common, empty_output, kernels_for, recurrent_bias
from ricorso.engine.call import COMPUTED_IN, TENSORS, Call, Gradients, Saved
from ricorso.engine.inference import infer
from ricorso.engine.projection import Projection
from ricorso.engine.team import torch_team
from ricorso.equations.cell import Cell

__all__ = ["backward", "forward", "infer"]


def forward(cell: Cell, call: Call, output: Tensor | None = None) -> tuple[Tensor, Tensor, Saved]:
    """Outputs (time, batch, hidden), (rows, hidden) or in `call.grid`, final states, and what backward needs.

    output: contiguous memory for the outputs.
    """
    kernels = kernels_for(cell, call)
    direction, hidden = kernels.shape.forward, kernels.shape.hidden
    new, leading = call.initial.new_empty, call.leading
    ids = table = None
    if projection.takes(call):
        columns = Projection(kernels, cell, call).columns(call)
    elif call.inputs.is_floating_point() or not (cell.product_gates and cell.input_gates):
        columns = products.project(cell, call)
    else:
        ids, table = call.inputs.contiguous(), products.token_table(cell, call)
        columns = new(*leading, kernels.shape.columns)
    saved = Saved(
        output=empty_output(call) if output is None else output,
        others=new((len(cell.states) - 1, *leading, hidden), dtype=COMPUTED_IN[call.dtype]),
        columns=columns,
        extras=new(*leading, kernels.shape.extras),
    )
    weights = new(direction.packed_words, dtype=COMPUTED_IN[call.dtype])
    values, _alive = common(call, direction, weights)
    bias = recurrent_bias(cell, call)
    given = {
        "columns": saved.columns,
        "extras": saved.extras,
        "token_ids": ids,
        "token_table": table,
        "recurrent_bias": bias,
        "output": saved.output,
        "others": saved.others,
    }
    chosen = sharing.plan(kernels, direction, call.steps, call.mean_batch)
    kernels.run("forward", torch_team(), values | addresses(given) | chosen)
    return saved.output, saved.finals(call), saved


def backward(
    cell: Cell,
    call: Call,
    saved: Saved,
    output_gradient: Tensor,
    final_gradient: Tensor | None,
    needs_input: bool,
    overwrite: bool = False,
) -> Gradients:
    """Gradients in the order of `call.tensors`, None where there is none.

    overwrite: the saved leaves are not needed any more and may hold their gradients.
    """
    kernels = kernels_for(cell, call)
    hidden, leading = saved.output.shape[-1], call.leading
    wide = COMPUTED_IN[call.dtype]
    direction = kernels.shape.backward
    # The kernel reads a row's saved values before it writes gradients in their place, so one buffer can hold both.
    column_gradients = saved.columns if overwrite else torch.empty_like(saved.columns)
    extra_gradients = saved.extras if overwrite else torch.empty_like(saved.extras)
    if final_gradient is None:
        state_gradients = torch.zeros(call.initial.shape, dtype=wide)
    else:
        state_gradients = final_gradient.to(wide).clone(memory_format=torch.contiguous_format)
    if call.grid is not None or (output_gradient.stride(-1) != 1 and hidden > 1):
        output_gradient = output_gradient.contiguous()
    chosen = sharing.plan(kernels, direction, call.steps, call.mean_batch)
    values, _alive = common(call, direction, torch.empty(direction.packed_words, dtype=wide))
    vectors = call.initial.new_empty(len(cell.vectors) if cell.stores_vectors else 0, *leading, hidden)
    sums = torch.zeros(chosen["threads"], len(cell.parameters), hidden, dtype=wide)
    values |= addresses(
        {
            "columns": saved.columns,
            "extras": saved.extras,
            "output": saved.output,
            "others": saved.others,
            "output_gradient": output_gradient,
            "column_gradients": column_gradients,
            "extra_gradients": extra_gradients,
            "state_gradients": state_gradients,
            "vectors": vectors,
            "sums": sums,
        }
    )
    if call.sizes is None:
        strides = {"step": output_gradient.stride(0), "sequence": output_gradient.stride(1)}
    else:
        strides = {"place": output_gradient.stride(-2)}
    values |= {f"output_gradient_{name}": stride for name, stride in strides.items()}
    kernels.run("backward", torch_team(), values | chosen)
    found = products.input_gradients(call, column_gradients, needs_input)
    found |= products.recurrent_gradients(
        cell, call, saved.output, column_gradients, extra_gradients, vectors, found.get("bias_ih")
    )
    found["parameters"] = None if call.parameters is None else sums.sum(0).to(call.dtype)
    found["initial"] = state_gradients.to(call.dtype)
    return tuple(found.get(name) for name in TENSORS)
