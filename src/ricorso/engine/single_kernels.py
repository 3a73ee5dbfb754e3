"""The kernels of one step: products that read the weights from where they are, and one kernel for the rest."""

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import torch
from torch import Tensor

from ricorso.engine import sharing
from ricorso.engine.call import DTYPES
from ricorso.engine.single import Weights
from ricorso.engine.team import threads_for, torch_team
from ricorso.equations.cell import Cell
from ricorso.equations.given import given, spans
from ricorso.kernels.arguments import INDEX, NAMES, Block, block
from ricorso.kernels.compiled import compiled
from ricorso.kernels.dense import dense


@dataclass(frozen=True)
class Piece:
    """Neighbouring leaves that are fed alike: the first, how many, whether by x, and the first matrix for h."""

    leaf: int
    count: int
    by_x: bool
    matrix: int | None


@cache
def pieces(cell: Cell) -> tuple[Piece, ...]:
    """All leaves of a cell, as few pieces as there can be."""
    inputs, found = len(cell.input_gates), list[Piece]()
    matrices = {span.leaf + n: span.matrix + n for span in spans(cell) for n in range(span.count)}
    for leaf in range(len(cell.leaves)):
        by_x, matrix = leaf < inputs, matrices.get(leaf)
        last = found[-1] if found else None
        following = None if last is None or last.matrix is None else last.matrix + last.count
        if last and last.by_x == by_x and following == matrix:
            found[-1] = replace(last, count=last.count + 1)
        else:
            found.append(Piece(leaf, 1, by_x, matrix))
    return tuple(found)


class Kernels:
    """The kernels of a cell for a number of units and an element type."""

    def __init__(self, cell: Cell, dtype: torch.dtype, hidden: int) -> None:
        self.inputs, self.hidden, self.size = len(cell.input_gates), hidden, dtype.itemsize
        self.width = len(cell.leaves) * hidden
        self.pieces, self.spans = pieces(cell), spans(cell)
        self.compiled = compiled(given(cell), DTYPES[dtype], hidden)
        self.dense = dense(DTYPES[dtype])
        self.nothing = torch.zeros(hidden, dtype=dtype)
        self._template = block({"threads": 1, "steps": 1, "output_stride": hidden})
        shape = self.compiled.shape
        self._directions = {"forward": shape.forward, "backward": shape.backward}

    def forward(self, x: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[tuple[Tensor, ...], Tensor]:
        """New states, and the columns that backward needs; weights and states without gaps, x with rows without."""
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        h, row = states[0], self.hidden * self.size
        batch, depth = x.shape
        columns = x.new_empty(batch, self.width)
        to, ih, hh = columns.data_ptr(), weight_ih.data_ptr(), weight_hh.data_ptr()
        by_x, by_h = (depth, x.data_ptr(), x.stride(0)), (self.hidden, h.data_ptr(), self.hidden)
        b_ih = 0 if bias_ih is None else bias_ih.data_ptr()
        b_hh = 0 if bias_hh is None else bias_hh.data_ptr()
        for piece in self.pieces:
            products: tuple[int, ...] = ()
            if piece.by_x:
                products = (*by_x, ih + piece.leaf * row * depth, b_ih and b_ih + piece.leaf * row)
            if piece.matrix is not None:
                products += (*by_h, hh + piece.matrix * row * self.hidden, b_hh and b_hh + piece.matrix * row)
            output = (batch, piece.count * self.hidden, to + piece.leaf * row, self.width, False)
            threads = _threads(batch, piece.count * self.hidden, depth + self.hidden)
            self.dense.run("times", output, *products, team=torch_team(), threads=threads)
        new = tuple([torch.empty_like(state) for state in states])
        self._run("forward", columns, states, {_OUTPUT: new[0], _OTHERS: new[-1]})
        return new, columns

    def backward(
        self,
        columns: Tensor,
        states: tuple[Tensor, ...],
        gradients: tuple[Tensor | None, ...],
        weight_hh: Tensor,
        overwrite: bool,
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the columns and of the old states, (states, batch, hidden_size).

        overwrite: the columns may be written over.
        """
        of_columns = columns if overwrite else torch.empty_like(columns)
        of_states = columns.new_empty(len(states), *states[0].shape)
        for own, gradient in zip(of_states.unbind(0), gradients, strict=True):
            if gradient is None:
                own.zero_()
            else:
                own.copy_(gradient)
        received = {_OUTPUT_GRADIENT: self.nothing, _COLUMN_GRADIENTS: of_columns, _STATE_GRADIENTS: of_states}
        self._run("backward", columns, states, received)
        for span in self.spans:
            self._mix(of_states, of_columns, span.leaf, span.count, weight_hh, span.matrix, add=True)
        return of_columns, of_states

    def input_gradient(self, of_columns: Tensor, weight_ih: Tensor) -> Tensor:
        """The gradient of x."""
        found = of_columns.new_empty(of_columns.shape[0], weight_ih.shape[1])
        self._mix(found, of_columns, 0, self.inputs, weight_ih, 0, add=False)
        return found

    def _run(self, name: str, columns: Tensor, states: tuple[Tensor, ...], others: dict[int, Tensor]) -> None:
        batch, temporaries = columns.shape[0], self._directions[name].schedule.temporaries
        arguments = Block.from_buffer_copy(self._template)
        arguments[_BATCH] = arguments[_ROWS] = batch
        arguments[_OFFSETS] = _offsets(batch).data_ptr()
        arguments[_COLUMNS] = columns.data_ptr()
        arguments[_INITIAL], arguments[_INITIAL_OTHERS] = states[0].data_ptr(), states[-1].data_ptr()
        for place, tensor in others.items():
            arguments[place] = tensor.data_ptr()
        if temporaries:
            working = columns.new_empty(temporaries * batch * self.hidden)
            arguments[INDEX["temporaries"]] = working.data_ptr()
        if threads_for(batch * self.width * 20) > 1:
            chosen = sharing.plan(self.compiled, self._directions[name], 1, batch)
            self.compiled.run(name, torch_team(), dict(zip(NAMES, arguments, strict=True)) | chosen)
        else:
            self.compiled.kernel(name)(arguments)

    def _mix(
        self, result: Tensor, columns: Tensor, leaf: int, count: int, weight: Tensor, matrix: int, add: bool
    ) -> None:
        """result = or += columns of some leaves @ some matrices of a weight."""
        batch, units, depth, row = columns.shape[0], weight.shape[1], count * self.hidden, self.hidden * self.size
        self.dense.run(
            "mix",
            (batch, units, result.data_ptr(), units, add),
            depth,
            columns.data_ptr() + leaf * row,
            self.width,
            weight.data_ptr() + matrix * row * units,
            team=torch_team(),
            threads=_threads(batch, units, depth),
        )


# Where the fields are in the argument block; looking them up by name takes as long as a small step.
(
    _BATCH, _ROWS, _OFFSETS, _COLUMNS, _INITIAL, _INITIAL_OTHERS, _OUTPUT, _OTHERS, _OUTPUT_GRADIENT,
    _COLUMN_GRADIENTS, _STATE_GRADIENTS,
) = (
    INDEX[name]
    for name in (
        "batch", "rows", "offsets", "columns", "initial", "initial_others", "output", "others", "output_gradient",
        "column_gradients", "state_gradients",
    )
)  # fmt: skip


def _threads(rows: int, units: int, depth: int) -> int:
    # a single row reads as much memory as four
    return threads_for(max(rows, 4) * units * depth)


@lru_cache(maxsize=256)
def _offsets(batch: int) -> Tensor:
    return torch.tensor([0, batch])
