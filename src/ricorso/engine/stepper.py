"""One step at a time, for streams: weights packed once, nothing allocated in a step, NumPy arrays only."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError
from ricorso.kernels.arguments import Arguments, block
from ricorso.kernels.compiled import Compiled, Native, compiled
from ricorso.kernels.team import Team

Array = NDArray[np.floating]
ALONE = Team()
# A step over fewer bytes of weights is over before a second thread has begun.
SHARED_BYTES = 500_000


class Stepper:
    """A stack of layers that consumes one time step of `batch_size` streams at a call.

    weights: the parameters of `layers.Recurrent` as arrays, under their names there. With tokens=True the input is
    token ids and the first product is a row of the transposed weight. team, threads: who shares the units of layers
    that are too large for one core's cache.

    >>> import torch
    >>> from ricorso.layers import Recurrent
    >>> stepper = Recurrent("gru", 3, 4).stepper(batch_size=2)
    >>> stepper.step(np.zeros((2, 3), np.float32)).shape
    (2, 4)
    """

    def __init__(
        self,
        cell: Cell,
        weights: Mapping[str, Array],
        num_layers: int,
        batch_size: int = 1,
        tokens: bool = False,
        team: Team = ALONE,
        threads: int = 1,
    ) -> None:
        first = weights["weight_hh_l0"]
        self.cell, self.batch_size, self.tokens = cell, batch_size, tokens
        self.hidden_size, self.input_size = first.shape[1], weights["weight_ih_l0"].shape[1]
        kernels = compiled(cell, str(first.dtype), self.hidden_size)
        self._ids = np.zeros(batch_size, np.int64)
        self._features = np.zeros((batch_size, self.input_size), first.dtype)
        self._layers: list[_Layer] = []
        for number in range(num_layers):
            own = {name[: -len(f"_l{number}")]: w for name, w in weights.items() if name.endswith(f"_l{number}")}
            below = self._layers[-1].outputs if self._layers else [self._features] * 2
            ids = self._ids if tokens and number == 0 else None
            self._layers.append(_Layer(kernels, own, below, ids, batch_size, team, threads))
        self._calls = [[call for layer in self._layers for call in layer.calls[parity]] for parity in (0, 1)]
        self._outputs = self._layers[-1].outputs
        self._parity = 0

    def step(self, inputs: NDArray[np.generic] | int) -> Array:
        """Advance by one step. inputs: (batch_size, input_size) features, or (batch_size) token ids.

        Returns the top layer's output, (batch_size, hidden_size): a view that later steps overwrite.
        Raises ShapeError for ids outside the vocabulary or another shape.
        """
        if self.tokens:
            self._take(inputs)
        else:
            if np.shape(inputs) != self._features.shape:
                raise ShapeError(f"Wanted features of shape {self._features.shape}; got {np.shape(inputs)}.")
            self._features[:] = inputs
        for kernel, arguments in self._calls[self._parity]:
            kernel(arguments)
        self._parity ^= 1
        top: Array = self._outputs[self._parity ^ 1]
        return top

    def _take(self, ids: NDArray[np.generic] | int) -> None:
        self._ids[:] = ids
        # Two reductions over an array of one would take as long as the step of a small layer.
        low, high = (ids, ids) if isinstance(ids, int) else (self._ids.min(), self._ids.max())
        if low < 0 or high >= self.input_size:
            raise ShapeError(f"Token ids must be 0 to {self.input_size - 1}; got {self._ids.tolist()}.")

    def reset(self) -> None:
        """Set all states to zero."""
        for layer in self._layers:
            layer.states[self._parity][:] = 0

    @property
    def states(self) -> tuple[Array, ...]:
        """A copy of each state, (layers, batch_size, hidden_size); assign such a tuple to go back there."""
        current = np.stack([layer.states[self._parity] for layer in self._layers], axis=1)
        return tuple(current)

    @states.setter
    def states(self, values: Sequence[Array]) -> None:
        wanted = (len(self._layers), self.batch_size, self.hidden_size)
        if len(values) != len(self.cell.states) or any(np.shape(value) != wanted for value in values):
            shapes = [np.shape(value) for value in values]
            raise ShapeError(f"Wanted {len(self.cell.states)} states of shape {wanted}; got {shapes}.")
        for n, value in enumerate(values):
            for layer, part in zip(self._layers, value, strict=True):
                layer.states[self._parity][n] = part


class _Layer:
    """The buffers and prepared calls of one layer. States alternate between two buffers: parity p reads p."""

    def __init__(
        self,
        kernels: Compiled,
        weights: Mapping[str, Array],
        below: Sequence[Array],
        ids: NDArray[np.int64] | None,
        batch: int,
        team: Team,
        threads: int,
    ) -> None:
        weight_hh = np.ascontiguousarray(weights["weight_hh"])
        weight_ih = np.ascontiguousarray(weights["weight_ih"])
        dtype, rows, hidden = weight_hh.dtype, *weight_hh.shape
        bias = np.zeros(rows, dtype)
        recurrent_bias = np.zeros(rows, dtype)
        if "bias_hh" in weights:
            recurrent_bias[:] = weights["bias_hh"]
            split = np.repeat([gate in kernels.shape.cell.split_gates for gate in kernels.shape.cell.gates], hidden)
            bias[:] = weights["bias_ih"] + np.where(split, 0, recurrent_bias)
        self.states = [np.zeros((len(kernels.shape.cell.states), batch, hidden), dtype) for _ in range(2)]
        self.outputs = [self.states[1][0], self.states[0][0]]
        columns = np.zeros((batch, kernels.columns), dtype)
        packed_hh = _pack(kernels, weight_hh)
        table = np.ascontiguousarray(weight_ih.T + bias) if ids is not None else None
        packed_ih = _pack(kernels, weight_ih) if ids is None else None
        shared = {"threads": 1, "split_units": 0}
        if team.fork and weight_hh.nbytes >= SHARED_BYTES:
            shared = {"threads": min(threads, kernels.shape.forward.count), "split_units": 1, **team.arguments}
        self._alive = (columns, packed_hh, packed_ih, table, bias, recurrent_bias, below, ids)
        self.calls: list[list[tuple[Native, Arguments]]] = []
        for parity in (0, 1):
            calls = []
            if packed_ih is not None:
                arguments = block(
                    {
                        **shared,
                        "batch": batch,
                        "inputs": below[parity].ctypes.data,
                        "input_stride": weight_ih.shape[1],
                        "input_size": weight_ih.shape[1],
                        "columns": columns.ctypes.data,
                        "column_stride": kernels.columns,
                        "bias": bias.ctypes.data,
                        "packed": packed_ih.ctypes.data,
                    }
                )
                calls.append((kernels.whole["project"], arguments))
            before, after = self.states[parity], self.states[1 - parity]
            arguments = block(
                {
                    **shared,
                    "steps": 1,
                    "batch": batch,
                    "columns": columns.ctypes.data,
                    "column_stride": kernels.columns,
                    "token_ids": 0 if ids is None else ids.ctypes.data,
                    "token_table": 0 if table is None else table.ctypes.data,
                    "recurrent_bias": recurrent_bias.ctypes.data,
                    "packed": packed_hh.ctypes.data,
                    "initial": before.ctypes.data,
                    "output": after.ctypes.data,
                    "output_stride": hidden,
                    "others": after.ctypes.data + after.strides[0],
                }
            )
            calls.append((kernels.whole["step"], arguments))
            self.calls.append(calls)


def _pack(kernels: Compiled, weight: Array) -> Array:
    packed = np.zeros(kernels.packed_forward_size(weight.shape[1]), weight.dtype)
    values = {"weight": weight.ctypes.data, "packed": packed.ctypes.data, "depth": weight.shape[1]}
    kernels.run("pack", Team(), values)
    return packed
