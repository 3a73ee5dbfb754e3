"""One step at a time, for streams: weights packed once, nothing allocated in a step, NumPy arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """What one layer is computed from, as in `engine.call.Call`, None where there is none."""

    weight_ih: Array | None
    weight_hh: Array | None
    bias_ih: Array | None
    bias_hh: Array | None
    parameters: Array | None

    def like(self) -> Array:
        """Any array of the layer's type."""
        found = self.weight_ih if self.weight_ih is not None else self.weight_hh
        assert found is not None
        return found


class Stepper:
    """A stack of layers that consumes one time step of `batch_size` streams at a call.

    layers: the weights of each layer. With tokens=True the input is token ids and the first product is a row of the
    transposed weight. team, threads: who shares the units of layers that are too large for one core's cache.

    >>> import torch
    >>> from ricorso.layers import Recurrent
    >>> stepper = Recurrent("gru", 3, 4).stepper(batch_size=2)
    >>> stepper.step(np.zeros((2, 3), np.float32)).shape
    (2, 4)
    """

    def __init__(
        self,
        cell: Cell,
        layers: Sequence[LayerWeights],
        batch_size: int = 1,
        tokens: bool = False,
        team: Team = ALONE,
        threads: int = 1,
    ) -> None:
        first = layers[0].like()
        assert layers[0].weight_ih is not None
        self.cell, self.batch_size, self.tokens = cell, batch_size, tokens
        self.hidden_size = len(layers[0].weight_ih) // len(cell.input_gates)
        self.input_size = layers[0].weight_ih.shape[1]
        heads = 1 if layers[0].weight_hh is None else self.hidden_size // layers[0].weight_hh.shape[1]
        kernels = compiled(cell, str(first.dtype), self.hidden_size, heads)
        self._ids = np.zeros(batch_size, np.int64)
        self._features = np.zeros((batch_size, self.input_size), first.dtype)
        self._signals = np.ones((len(cell.signals), batch_size), first.dtype)
        self._layers: list[_Layer] = []
        for number, weights in enumerate(layers):
            below = self._layers[-1].outputs if self._layers else [self._features] * 2
            ids = self._ids if tokens and number == 0 else None
            self._layers.append(_Layer(kernels, weights, below, ids, self._signals, batch_size, team, threads))
        self._calls = [[call for layer in self._layers for call in layer.calls[parity]] for parity in (0, 1)]
        self._outputs = self._layers[-1].outputs
        self._parity = 0

    def step(self, inputs: NDArray[np.generic] | int, **signals: NDArray[np.generic] | float) -> Array:
        """Advance by one step. inputs: (batch_size, input_size) features, or (batch_size) token ids; signals by name,
        (batch_size), as they last were where they are not given (1 at the start).

        Returns the top layer's output, (batch_size, hidden_size): a view that later steps overwrite.
        Raises ShapeError for ids outside the vocabulary or another shape.
        """
        if self.tokens:
            self._take(inputs)
        else:
            if np.shape(inputs) != self._features.shape:
                raise ShapeError(f"Wanted features of shape {self._features.shape}; got {np.shape(inputs)}.")
            self._features[:] = inputs
        for name, value in signals.items():
            self._signals[self._signal(name)] = value
        for kernel, arguments in self._calls[self._parity]:
            kernel(arguments)
        self._parity ^= 1
        top: Array = self._outputs[self._parity ^ 1]
        return top

    def _signal(self, name: str) -> int:
        known = [signal.name for signal in self.cell.signals]
        if name not in known:
            raise ShapeError(f"'{name}' is no signal of {self.cell.name}; it has {', '.join(known) or 'none'}.")
        return known.index(name)

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
        weights: LayerWeights,
        below: Sequence[Array],
        ids: NDArray[np.int64] | None,
        signals: Array,
        batch: int,
        team: Team,
        threads: int,
    ) -> None:
        shape = kernels.shape
        cell, hidden, dtype = shape.cell, shape.hidden, weights.like().dtype
        assert weights.weight_ih is not None
        weight_ih = np.ascontiguousarray(weights.weight_ih)
        bias, recurrent_bias = _biases(cell, weights, hidden)
        self.states = [np.zeros((len(cell.states), batch, hidden), dtype) for _ in range(2)]
        self.outputs = [self.states[1][0], self.states[0][0]]
        columns = np.zeros((batch, kernels.columns), dtype)
        temporaries = np.zeros((shape.forward.schedule.temporaries, batch, hidden), dtype)
        packed = np.zeros(shape.forward.packed_words, dtype)
        if weights.weight_hh is not None:
            weight_hh = np.ascontiguousarray(weights.weight_hh)
            kernels.run("pack", ALONE, {"weight": weight_hh.ctypes.data, "packed": packed.ctypes.data})
        table = packed_ih = None
        if ids is None:
            packed_ih = np.zeros(kernels.packed_input_size(weight_ih.shape[1]), dtype)
            values = {"weight": weight_ih.ctypes.data, "packed": packed_ih.ctypes.data, "depth": weight_ih.shape[1]}
            kernels.run("pack_input", ALONE, values)
        else:
            table = np.ascontiguousarray(weight_ih.T + bias)
        parameters = np.zeros(0, dtype) if weights.parameters is None else np.ascontiguousarray(weights.parameters)
        shared = {"threads": 1, "split_units": 0}
        if team.fork and packed.nbytes >= SHARED_BYTES and shape.forward.shares > 1:
            shared = {"threads": min(threads, shape.forward.shares), "split_units": 1, **team.arguments}
        common = {**shared, "batch": batch, "columns": columns.ctypes.data, "column_stride": kernels.columns}
        self._alive = (
            columns, packed, packed_ih, table, bias, recurrent_bias, below, ids, signals, temporaries, parameters,
        )  # fmt: skip
        self.calls: list[list[tuple[Native, Arguments]]] = []
        for parity in (0, 1):
            calls = []
            if packed_ih is not None:
                project = {
                    **common,
                    "inputs": below[parity].ctypes.data,
                    "input_stride": weight_ih.shape[1],
                    "input_size": weight_ih.shape[1],
                    "bias": bias.ctypes.data,
                    "packed": packed_ih.ctypes.data,
                }
                calls.append((kernels.kernel("project"), block(project)))
            elif not cell.product_gates:
                calls.append((_gather(table, ids, columns), block({})))
            before, after = self.states[parity], self.states[1 - parity]
            step = {
                **common,
                "steps": 1,
                "token_ids": 0 if ids is None or not cell.product_gates else ids.ctypes.data,
                "token_table": 0 if table is None else table.ctypes.data,
                "recurrent_bias": recurrent_bias.ctypes.data,
                "parameters": parameters.ctypes.data,
                "signals": signals.ctypes.data,
                "temporaries": temporaries.ctypes.data,
                "packed": packed.ctypes.data,
                "initial": before.ctypes.data,
                "initial_others": before.ctypes.data + before.strides[0],
                "output": after.ctypes.data,
                "output_stride": hidden,
                "others": after.ctypes.data + after.strides[0],
            }
            calls.append((kernels.kernel("step"), block(step)))
            self.calls.append(calls)


def _gather(table: Array | None, ids: NDArray[np.int64] | None, columns: Array) -> Native:
    """Rows of the table into the columns, for cells whose input parts stay where they are."""
    assert table is not None
    assert ids is not None

    def gather(_: Arguments) -> None:
        np.take(table, ids, axis=0, out=columns, mode="clip")

    return gather


def _biases(cell: Cell, weights: LayerWeights, hidden: int) -> tuple[Array, Array]:
    """The bias of the input parts, with that of products that join them, and the biases of products kept apart."""
    dtype = weights.like().dtype
    bias = np.zeros(len(cell.input_gates) * hidden, dtype)
    recurrent = np.zeros(len(cell.product_gates) * hidden, dtype)
    if weights.bias_ih is not None:
        bias[:] = weights.bias_ih
    if weights.bias_hh is not None:
        recurrent[:] = weights.bias_hh
    for own, other in cell.joined_biases:
        bias[own * hidden : (own + 1) * hidden] += recurrent[other * hidden : (other + 1) * hidden]
    return bias, recurrent
