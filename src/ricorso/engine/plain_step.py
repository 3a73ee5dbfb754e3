"""A layer's step as the oracle computes it, where no kernels can be had."""

from collections.abc import Sequence

import numpy as np
import torch

from ricorso.engine import naive
from ricorso.engine.call import Call
from ricorso.engine.stepper import Array, Ids, LayerWeights, Prepared
from ricorso.equations.cell import Cell


class PlainLayer:
    """The buffers and calls of one layer, as `stepper.Layer`."""

    def __init__(
        self, cell: Cell, weights: LayerWeights, below: Sequence[Array], ids: Ids | None, signals: Array
    ) -> None:
        self.cell = cell
        assert weights.weight_ih is not None
        shape = (len(cell.states), below[0].shape[0], len(weights.weight_ih) // len(cell.input_gates))
        self.states: list[Array] = [np.zeros(shape, weights.weight_ih.dtype) for _ in range(2)]
        self.outputs: list[Array] = [self.states[1][0], self.states[0][0]]
        own = {name: None if array is None else torch.tensor(array) for name, array in vars(weights).items()}
        # Inputs, signals and states share their memory with the arrays.
        self._runs = [
            Call(
                inputs=torch.from_numpy(below[parity] if ids is None else ids).unsqueeze(0),
                signals=torch.from_numpy(signals).unsqueeze(1),
                initial=torch.from_numpy(self.states[parity]),
                **own,  # type: ignore[arg-type]
            )
            for parity in (0, 1)
        ]
        self.calls: list[list[Prepared]] = [[(self._step, parity)] for parity in (0, 1)]

    @torch.no_grad()
    def _step(self, parity: int) -> None:
        call = self._runs[parity]
        (projected,) = naive.project(self.cell, call)
        new = naive.one_step(self.cell, call, projected, 0, tuple(call.initial))
        for kept, value in zip(self._runs[1 - parity].initial, new, strict=True):
            kept.copy_(value)
