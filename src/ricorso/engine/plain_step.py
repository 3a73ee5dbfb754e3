"""A layer's step as the oracle computes it, where no kernels can be had."""

from collections.abc import Sequence

import numpy as np
import torch

from ricorso.engine import naive
from ricorso.engine.call import Call
from ricorso.engine.stack import Array, Ids, LayerWeights, Prepared
from ricorso.equations.cell import Cell


class PlainLayer:
    """The buffers and calls of one layer, as `stack.Layer`."""

    def __init__(
        self, cell: Cell, weights: LayerWeights, below: Sequence[Array], ids: Ids | None, signals: Array, most: int
    ) -> None:
        self.cell = cell
        assert weights.weight_ih is not None
        shape = (len(cell.states), most, len(weights.weight_ih) // len(cell.input_gates))
        self.states: list[Array] = [np.zeros(shape, weights.weight_ih.dtype) for _ in range(2)]
        self.outputs: list[Array] = [self.states[1][0], self.states[0][0]]
        self.calls: list[list[Prepared]] = [[(self._step, parity)] for parity in (0, 1)]
        given = {name: array for name, array in vars(weights).items() if name != "start"}
        self._weights = {name: None if array is None else torch.tensor(array) for name, array in given.items()}
        self._inputs = below if ids is None else [ids] * 2
        self._signals = signals
        self._rows = most

    def resize(self, rows: int) -> None:
        self._rows = rows

    @torch.no_grad()
    def _step(self, parity: int) -> None:
        old, new = (torch.from_numpy(self.states[p][:, : self._rows]) for p in (parity, 1 - parity))
        signals = torch.from_numpy(self._signals[:, : self._rows])
        call = Call(
            inputs=torch.from_numpy(self._inputs[parity][: self._rows]).unsqueeze(0),
            signals=signals.unsqueeze(1),
            initial=old,
            **self._weights,  # type: ignore[arg-type]
        )
        (projected,) = naive.project(self.cell, call)
        for kept, value in zip(new, naive.one_step(self.cell, call, projected, signals, 0, tuple(old)), strict=True):
            kept.copy_(value)
