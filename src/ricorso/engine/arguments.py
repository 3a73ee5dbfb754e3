"""A call as the arguments of compiled kernels."""

import torch
from torch import Tensor

from ricorso.engine.call import COMPUTED_IN, DTYPES, Call
from ricorso.equations.cell import Cell
from ricorso.kernels.compiled import Compiled, compiled
from ricorso.kernels.llvm.shape import Direction


def kernels_for(cell: Cell, call: Call) -> Compiled:
    """The compiled kernels for the sizes and types of a call."""
    return compiled(cell, DTYPES[call.dtype], call.initial.shape[2], call.heads)


def addresses(tensors: dict[str, Tensor | None]) -> dict[str, int]:
    """Where tensors are, 0 for one that there is not."""
    return {name: 0 if tensor is None else tensor.data_ptr() for name, tensor in tensors.items()}


def wide(tensor: Tensor | None, like: Tensor) -> Tensor | None:
    """In the type that kernels compute in."""
    if tensor is None:
        return None
    return tensor.to(COMPUTED_IN[like.dtype]).contiguous()


def common(call: Call, direction: Direction, packed: Tensor | None) -> tuple[dict[str, int], tuple[Tensor | None, ...]]:
    """Arguments that all runs share, and the tensors behind them, which must outlive the run.

    packed: the recurrent weights as the run wants them, or where it is to pack them.
    """
    initial, batch = call.initial.contiguous(), call.batch
    computed = COMPUTED_IN[call.dtype]
    owned: dict[str, Tensor | None] = {
        "weight": None if call.weight_hh is None else call.weight_hh.contiguous(),
        "parameters": wide(call.parameters, initial),
        "signals": wide(call.signals, initial),
        "initial": initial,
        "initial_others": initial[1:].to(computed),
        "offsets": call.offsets,
        "packed": packed,
        "temporaries": torch.empty(direction.schedule.temporaries * batch * initial.shape[2], dtype=computed),
    }
    values = {
        **addresses(owned),
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


def recurrent_bias(cell: Cell, call: Call) -> Tensor | None:
    """The biases of products that are kept apart from an input part."""
    if len(cell.joined_biases) == len(cell.product_gates):
        return None
    if call.bias_hh is not None:
        return wide(call.bias_hh, call.initial)
    return torch.zeros(len(cell.product_gates) * call.initial.shape[2], dtype=COMPUTED_IN[call.dtype])


def empty_output(call: Call) -> Tensor:
    """Memory for the outputs."""
    # what stands behind the ends of sequences is not written
    new = call.initial.new_empty if call.grid is None else call.initial.new_zeros
    return new(*call.output_leading, call.initial.shape[2])
