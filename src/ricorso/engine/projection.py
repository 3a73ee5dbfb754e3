"""What the input brings to each step, through compiled kernels: one large product over all steps."""

import torch
from torch import Tensor

from ricorso.engine import products
from ricorso.engine.call import Call
from ricorso.engine.team import threads_for, torch_team
from ricorso.equations.cell import Cell
from ricorso.kernels.arguments import INDEX, Block, block
from ricorso.kernels.compiled import Compiled

# Elements of a weight; fewer are packed before a second thread has begun.
_WORTH_SHARING_PACKING = 100_000
_THREADS, _BATCH, _COLUMNS, _INPUTS = (INDEX[name] for name in ("threads", "batch", "columns", "inputs"))


def takes(call: Call) -> bool:
    """Whether the kernels multiply such inputs: features, in a type that is stored as it is computed."""
    return call.weight_ih is not None and call.dtype != torch.bfloat16 and call.inputs.is_floating_point()


def threads_to_pack(weight: Tensor) -> int:
    """How many threads share the packing of a weight."""
    return torch.get_num_threads() if weight.numel() > _WORTH_SHARING_PACKING else 1


class Projection:
    """Input weights packed for the kernel, with the bias that belongs to them."""

    def __init__(self, kernels: Compiled, cell: Cell, call: Call) -> None:
        assert call.weight_ih is not None
        self._kernels, self.width = kernels, kernels.shape.columns
        weight, bias = call.weight_ih.contiguous(), products.input_bias(cell, call)
        self._packed = weight.new_empty(kernels.packed_input_size(weight.shape[1]))
        self._bias = weight.new_zeros(self.width) if bias is None else bias.contiguous()
        values = {
            "threads": threads_to_pack(weight),
            "weight": weight.data_ptr(),
            "depth": weight.shape[1],
            "packed_input": self._packed.data_ptr(),
        }
        kernels.run("pack_input", torch_team(), values)
        self._depth = weight.shape[1]
        values = {
            "input_stride": self._depth,
            "input_size": self._depth,
            "bias": self._bias.data_ptr(),
            "packed_input": self._packed.data_ptr(),
        }
        self._template = block({**values, **torch_team().arguments})

    def columns(self, call: Call) -> Tensor:
        """The input parts of every row, (time, batch, input gates * hidden_size); rows for a ragged batch."""
        inputs = call.inputs.contiguous()
        found = inputs.new_empty(*inputs.shape[:-1], self.width)
        self.fill(found, inputs)
        return found

    def fill(self, columns: Tensor, inputs: Tensor) -> None:
        """Write the input parts of inputs (..., input_size) to the beginning of `columns`; both without gaps."""
        rows = inputs.shape[:-1].numel()
        threads = threads_for(rows * self.width * self._depth)
        arguments = Block.from_buffer_copy(self._template)
        arguments[_THREADS] = min(threads, self._kernels.shape.projection.count)
        arguments[_BATCH], arguments[_COLUMNS] = rows, columns.data_ptr()
        arguments[_INPUTS] = inputs.data_ptr()
        self._kernels.run_block("project", torch_team(), arguments)
