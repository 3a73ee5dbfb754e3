"""One layer in one direction through compiled kernels; large products through torch's BLAS."""

import torch
from torch import Tensor

from ricorso.engine import products
from ricorso.engine.call import COMPUTED_IN, TENSORS, Call, Gradients, Saved
from ricorso.engine.device import DTYPES
from ricorso.engine.packed import packed
from ricorso.engine.team import torch_team
from ricorso.equations.cell import Cell
from ricorso.kernels.compiled import Compiled, compiled
from ricorso.kernels.llvm.shape import Direction


def kernels_for(cell: Cell, call: Call) -> Compiled:
    """The compiled kernels for the sizes and types of a call."""
    return compiled(cell, DTYPES[call.dtype], call.initial.shape[2], call.heads)


def plan(kernels: Compiled, direction: Direction, steps: int, batch: int) -> dict[str, int]:
    """How many threads a run takes, and whether they share rows (0) or units (1).

    Sharing rows needs no meeting inside the time loop. Sharing units reads each weight once a step for all rows,
    which pays when the weights are larger than a core's cache or the rows too few.
    """
    shape = kernels.shape
    threads = torch.get_num_threads()
    matrices = len(shape.cell.product_gates) * shape.hidden * shape.head_size
    work = batch * (matrices + 20 * shape.columns)
    if threads == 1 or work * steps < 200_000:
        return {"threads": 1, "split_units": 0}
    weights = matrices * (8 if shape.dtype == "float64" else 4)
    by_units = batch < 2 * threads or (weights > 500_000 and batch <= 4 * threads)
    if by_units and direction.shares > 1:
        if matrices and work < 12_000:
            return {"threads": 1, "split_units": 0}
        return {"threads": min(threads, direction.shares), "split_units": 1}
    return {"threads": min(threads, batch), "split_units": 0}


def _addresses(tensors: dict[str, Tensor | None]) -> dict[str, int]:
    return {name: 0 if tensor is None else tensor.data_ptr() for name, tensor in tensors.items()}


def _wide(tensor: Tensor | None, like: Tensor) -> Tensor | None:
    """In the type that kernels compute in."""
    if tensor is None:
        return None
    return tensor.to(COMPUTED_IN[like.dtype]).contiguous()


def _common(
    call: Call, direction: Direction, packed: Tensor | None
) -> tuple[dict[str, int], tuple[Tensor | None, ...]]:
    """Arguments that all runs share, and the tensors behind them, which must outlive the run.

    packed: the recurrent weights as the run wants them, or where it is to pack them.
    """
    initial, batch = call.initial.contiguous(), call.batch
    wide = COMPUTED_IN[call.dtype]
    owned: dict[str, Tensor | None] = {
        "weight": None if call.weight_hh is None else call.weight_hh.contiguous(),
        "parameters": _wide(call.parameters, initial),
        "signals": _wide(call.signals, initial),
        "initial": initial,
        "initial_others": initial[1:].to(wide),
        "offsets": call.offsets,
        "packed": packed,
        "temporaries": torch.empty(direction.schedule.temporaries * batch * initial.shape[2], dtype=wide),
    }
    values = {
        **_addresses(owned),
        "steps": call.steps,
        "batch": batch,
        "rows": call.rows,
        "places": 0 if call.grid is None else call.grid.places.data_ptr(),
        "reverse": int(call.reverse),
        "seed": call.seed,
        "first_step": call.first_step,
        "output_stride": initial.shape[2],
    }
    return values, tuple(owned.values())


def forward(cell: Cell, call: Call, output: Tensor | None = None) -> tuple[Tensor, Tensor, Saved]:
    """Outputs (time, batch, hidden), (rows, hidden) or in `call.grid`, final states, and what backward needs.

    output: contiguous memory for the outputs.
    """
    kernels = kernels_for(cell, call)
    return _forward(kernels, call, output, kernels.shape.forward)


def infer(cell: Cell, call: Call) -> tuple[Tensor, Tensor]:
    """Outputs and final states as `forward` gives them, keeping nothing for a backward pass."""
    kernels = kernels_for(cell, call)
    return _forward(kernels, call, None, kernels.shape.inference)[:2]


def _forward(
    kernels: Compiled, call: Call, output: Tensor | None, direction: Direction
) -> tuple[Tensor, Tensor, Saved]:
    cell, hidden = kernels.shape.cell, kernels.shape.hidden
    saving = direction is kernels.shape.forward
    new, leading = call.initial.new_empty, call.leading
    by_tokens = not call.inputs.is_floating_point() and cell.product_gates and cell.input_gates
    ids, table = (call.inputs.contiguous(), products.token_table(cell, call)) if by_tokens else (None, None)
    columns = products.project(cell, call) if ids is None else new(*leading, kernels.shape.columns if saving else 0)
    if output is None:
        # what stands behind the ends of sequences is not written
        output = (new if call.grid is None else call.initial.new_zeros)(*call.output_leading, hidden)
    saved = Saved(
        output=output,
        others=new((len(cell.states) - 1, *leading, hidden), dtype=COMPUTED_IN[call.dtype]),
        columns=columns,
        extras=new(*leading, kernels.shape.extras if saving else 0),
    )
    weights: Tensor | None
    if saving:
        weights = call.initial.new_empty(direction.packed_words, dtype=COMPUTED_IN[call.dtype])
    else:
        weights = None if call.weight_hh is None else packed(kernels, call.weight_hh)
    values, _alive = _common(call, direction, weights)
    recurrent_bias = _recurrent_bias(cell, call)
    given = {
        "columns": saved.columns,
        "extras": saved.extras,
        "token_ids": ids,
        "token_table": table,
        "recurrent_bias": recurrent_bias,
        "output": saved.output,
        "others": saved.others,
    }
    chosen = plan(kernels, direction, call.steps, -(-call.rows // call.steps))
    kernels.run("forward" if saving else "infer", torch_team(), values | _addresses(given) | chosen)
    return saved.output, saved.finals(call), saved


def _recurrent_bias(cell: Cell, call: Call) -> Tensor | None:
    """The biases of products that are kept apart from an input part."""
    if len(cell.joined_biases) == len(cell.product_gates):
        return None
    if call.bias_hh is not None:
        return _wide(call.bias_hh, call.initial)
    return torch.zeros(len(cell.product_gates) * call.initial.shape[2], dtype=COMPUTED_IN[call.dtype])


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
    chosen = plan(kernels, direction, call.steps, -(-call.rows // call.steps))
    values, _alive = _common(call, direction, torch.empty(direction.packed_words, dtype=wide))
    vectors = call.initial.new_empty(len(cell.vectors) if cell.stores_vectors else 0, *leading, hidden)
    sums = torch.zeros(chosen["threads"], len(cell.parameters), hidden, dtype=wide)
    values |= _addresses(
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
