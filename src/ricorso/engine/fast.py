"""One layer in one direction through compiled kernels; large products through torch's BLAS."""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ricorso.equations.cell import Cell
from ricorso.kernels.compiled import Compiled, compiled
from ricorso.kernels.team import Team, openmp_team

DTYPES = {torch.float32: "float32", torch.float64: "float64"}


@cache
def torch_team() -> Team:
    """The OpenMP threads that torch's own products run on."""
    folder = Path(torch.__file__).parent
    found = [*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]
    return openmp_team(str(found[0])) if found else Team()


def plan(kernels: Compiled, steps: int, batch: int) -> dict[str, int]:
    """How many threads a run takes, and whether they share rows (0) or units (1).

    Sharing rows needs no meeting inside the time loop. Sharing units reads each weight once a step for all rows,
    which pays when the weights are larger than a core's cache or the rows too few.
    """
    shape = kernels.shape
    threads = torch.get_num_threads()
    work = batch * shape.hidden * shape.hidden * len(shape.cell.gates)
    if threads == 1 or work * steps < 200_000:
        return {"threads": 1, "split_units": 0}
    weights = shape.hidden * shape.hidden * len(shape.cell.gates) * (4 if shape.dtype == "float32" else 8)
    by_units = batch < 2 * threads or (weights > 500_000 and batch < 4 * threads)
    if not by_units:
        return {"threads": min(threads, batch), "split_units": 0}
    if work < 12_000:
        return {"threads": 1, "split_units": 0}
    return {"threads": min(threads, shape.forward.count, shape.backward.count), "split_units": 1}


def forward(
    cell: Cell,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    initial: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs (time, batch, hidden), final states (states, batch, hidden), and what backward needs:
    the other states (states - 1, time, batch, hidden) and the columns (time, batch, saved columns * hidden)."""
    hidden = weight_hh.shape[1]
    gates = len(cell.gates)
    kernels = compiled(cell, DTYPES[weight_hh.dtype], hidden)
    steps, batch = inputs.shape[:2]
    columns = weight_hh.new_empty(steps, batch, kernels.columns)
    output = weight_hh.new_empty(steps, batch, hidden)
    others = weight_hh.new_empty(len(cell.states) - 1, steps, batch, hidden)
    packed = weight_hh.new_empty(kernels.packed_forward_size(hidden))
    weight_hh = weight_hh.contiguous()
    initial = initial.contiguous()

    bias = _total_bias(cell, bias_ih, bias_hh)
    recurrent_bias = None
    if cell.split_gates:
        recurrent_bias = weight_hh.new_zeros(gates * hidden) if bias_hh is None else bias_hh.contiguous()
    ids = table = None
    team, chosen = torch_team(), plan(kernels, steps, batch)
    if not inputs.is_floating_point():
        ids = inputs.contiguous()
        # clone, not contiguous: the transpose of a single column is contiguous already, and must not be added to.
        table = weight_ih.t().clone(memory_format=torch.contiguous_format)
        if bias is not None:
            table += bias
    else:
        flat = columns.view(-1, kernels.columns)[:, : gates * hidden]
        if bias is None:
            torch.mm(inputs.reshape(steps * batch, -1), weight_ih.t(), out=flat)
        else:
            torch.addmm(bias, inputs.reshape(steps * batch, -1), weight_ih.t(), out=flat)
    kernels.run(
        "forward",
        team,
        {
            **chosen,
            "steps": steps,
            "batch": batch,
            "reverse": int(reverse),
            "columns": columns.data_ptr(),
            "column_stride": kernels.columns,
            "token_ids": 0 if ids is None else ids.data_ptr(),
            "token_table": 0 if table is None else table.data_ptr(),
            "recurrent_bias": 0 if recurrent_bias is None else recurrent_bias.data_ptr(),
            "weight": weight_hh.data_ptr(),
            "depth": hidden,
            "packed": packed.data_ptr(),
            "output": output.data_ptr(),
            "output_stride": hidden,
            "initial": initial.data_ptr(),
            "others": others.data_ptr(),
        },
    )
    last = 0 if reverse else steps - 1
    finals = torch.cat([output[last].unsqueeze(0), others[:, last]])
    return output, finals, others, columns


def _total_bias(cell: Cell, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor | None:
    """The bias of the columns: both, but for split gates, whose recurrent bias stays with the recurrent part."""
    if bias_ih is None or bias_hh is None:
        return bias_ih
    total = bias_ih + bias_hh
    hidden = bias_ih.shape[0] // len(cell.gates)
    for n, gate in enumerate(cell.gates):
        if gate in cell.split_gates:
            total[n * hidden : (n + 1) * hidden] = bias_ih[n * hidden : (n + 1) * hidden]
    return total


@cache
def _recurrent_columns(kernels: Compiled) -> list[tuple[slice, slice]]:
    """Which saved columns hold the gradients of which rows of R: (columns, rows)."""
    hidden = kernels.shape.hidden
    return [
        (slice(leaf * hidden, (leaf + count) * hidden), slice(gate * hidden, (gate + count) * hidden))
        for leaf, gate, count in kernels.shape.recurrent_runs
    ]


def backward(
    cell: Cell,
    output_gradient: Tensor,
    final_gradient: Tensor | None,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    has_bias: bool,
    initial: Tensor,
    output: Tensor,
    others: Tensor,
    columns: Tensor,
    reverse: bool,
    needs_input: bool,
    overwrite: bool = False,
) -> tuple[Tensor | None, Tensor, Tensor, Tensor | None, Tensor | None, Tensor]:
    """Gradients of inputs, weight_ih, weight_hh, bias_ih, bias_hh and initial.

    overwrite: `columns` are not needed any more and may hold the gradients of the columns.
    """
    steps, batch, hidden = output.shape
    gates = len(cell.gates)
    kernels = compiled(cell, DTYPES[weight_hh.dtype], hidden)
    weight_hh, initial = weight_hh.contiguous(), initial.contiguous()
    # The kernel reads a row's saved values before it writes gradients in their place, so one buffer can hold both.
    column_gradients = columns if overwrite else torch.empty_like(columns)
    if final_gradient is None:
        state_gradients = torch.zeros_like(initial)
    else:
        state_gradients = final_gradient.clone(memory_format=torch.contiguous_format)
    if output_gradient.stride(2) != 1 and hidden > 1:
        output_gradient = output_gradient.contiguous()
    packed = weight_hh.new_empty(kernels.packed_backward_size)
    team, chosen = torch_team(), plan(kernels, steps, batch)
    kernels.run(
        "backward",
        team,
        {
            **chosen,
            "steps": steps,
            "batch": batch,
            "reverse": int(reverse),
            "columns": columns.data_ptr(),
            "column_stride": kernels.columns,
            "weight": weight_hh.data_ptr(),
            "packed": packed.data_ptr(),
            "output": output.data_ptr(),
            "output_stride": hidden,
            "initial": initial.data_ptr(),
            "others": others.data_ptr(),
            "output_gradient": output_gradient.data_ptr(),
            "output_gradient_step": output_gradient.stride(0),
            "output_gradient_row": output_gradient.stride(1),
            "column_gradients": column_gradients.data_ptr(),
            "state_gradients": state_gradients.data_ptr(),
        },
    )
    flat = column_gradients.view(steps * batch, kernels.columns)
    of_inputs = flat[:, : gates * hidden]
    if inputs.is_floating_point():
        rows = inputs.reshape(steps * batch, -1)
        d_weight_ih = of_inputs.t() @ rows
        d_inputs = (of_inputs @ weight_ih).view(inputs.shape) if needs_input else None
    else:
        d_inputs = None
        d_weight_ih = weight_ih.new_zeros(weight_ih.shape[1], gates * hidden)
        d_weight_ih.index_add_(0, inputs.reshape(-1), of_inputs)
        d_weight_ih = d_weight_ih.t()
    d_weight_hh = _recurrent_weight_gradient(kernels, flat, output, initial[0], reverse)
    d_bias_ih = d_bias_hh = None
    if has_bias:
        summed = flat.sum(0)
        d_bias_ih = summed[: gates * hidden]
        parts = [summed[columns] for columns, _ in _recurrent_columns(kernels)]
        d_bias_hh = torch.cat(parts) if len(parts) > 1 else parts[0].clone()
    return d_inputs, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, state_gradients


def _recurrent_weight_gradient(
    kernels: Compiled, gradients: Tensor, output: Tensor, first: Tensor, reverse: bool
) -> Tensor:
    """gradients: (time * batch, columns); output: (time, batch, hidden); first: the state before the first step."""
    batch, hidden = first.shape
    at_start, later = (gradients[-batch:], gradients[:-batch]) if reverse else (gradients[:batch], gradients[batch:])
    earlier = (output[1:] if reverse else output[:-1]).reshape(-1, hidden)
    result = output.new_empty(len(kernels.shape.cell.gates) * hidden, hidden)
    for columns, rows in _recurrent_columns(kernels):
        torch.mm(later[:, columns].t(), earlier, out=result[rows])
        result[rows].addmm_(at_start[:, columns].t(), first)
    return result
