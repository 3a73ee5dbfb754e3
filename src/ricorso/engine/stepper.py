"""A fixed batch of streams, one step at a time, in NumPy arrays; through compiled kernels where there are any."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ricorso.engine.stack import ALONE, Array, LayerWeights, Stack
from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError, UsageError
from ricorso.kernels.team import Team


class Stepper:
    """A stack of layers that consumes one time step of `batch_size` streams at a call.

    Nothing is allocated in a step, and what it returns is overwritten by later steps. The weights are those of the
    moment the stepper was made, in float32 (float64 for layers in float64), layers in bfloat16 included; to go on with
    newer ones make another stepper and give it the states: `new.states = old.states`. A stepper belongs to one thread
    at a time; any number of steppers of a layer may run in threads of their own. Streams that come and go:
    `engine.streams.Streams`.

    layers: the weights of each layer. With tokens=True the input is token ids and the first product is a row of the
    transposed weight. team, threads: who shares the work of a step that is too long for one core.

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
        self.stack = Stack(cell, layers, batch_size, tokens, team, threads)
        self.cell, self.batch_size, self.tokens = cell, batch_size, tokens
        self.hidden_size, self.input_size = self.stack.hidden_size, self.stack.input_size
        self._inputs: NDArray[np.generic] = self.stack.ids if tokens else self.stack.features
        self._shape = self._inputs.shape
        self._parity = 0
        self.reset()

    def step(self, inputs: ArrayLike, **signals: ArrayLike) -> Array:
        """Advance by one step. inputs: (batch_size, input_size) features, or (batch_size) token ids; signals by name,
        (batch_size), as they last were where they are not given (1 at the start).

        Returns the top layer's output, (batch_size, hidden_size): a view that later steps overwrite.
        Raises ShapeError for ids outside the vocabulary or another shape, UsageError for a signal of another name.
        """
        stack, parity = self.stack, self._parity
        if self.tokens:
            self._take(inputs)
        else:
            shape = inputs.shape if isinstance(inputs, np.ndarray) else np.shape(inputs)
            if shape != self._shape:
                raise ShapeError(f"Wanted features of shape {self._shape}; got {shape}.")
            self._inputs[:] = inputs
        for name, value in signals.items():
            self._signal(name, value)
        for kernel, arguments in stack.calls[parity]:
            kernel(arguments)
        self._parity = 1 - parity
        top: Array = stack.outputs[parity]
        return top

    def _take(self, ids: Any) -> None:
        if not isinstance(ids, int) or self.batch_size > 1:
            ids = np.asarray(ids)
            if ids.shape != self._shape and (ids.ndim or self.batch_size > 1):
                raise ShapeError(f"Wanted token ids of shape {self._shape}; got {ids.shape}.")
        self.stack.check_ids(ids)
        self._inputs[:] = ids

    def _signal(self, name: str, value: ArrayLike) -> None:
        row = self.stack.signals[self.stack.signal(name)]
        if np.shape(value) not in ((), row.shape):
            raise ShapeError(f"Wanted '{name}' of shape {row.shape}, or one number; got {np.shape(value)}.")
        row[:] = value

    def reset(self, rows: ArrayLike | None = None) -> None:
        """Set all states to those of a new stream (zero, or what the layer has learned), or only those of some rows.

        rows: their numbers, or (batch_size) of True and False. Raises UsageError for rows that are not there.
        """
        chosen = slice(None) if rows is None else self._chosen(np.atleast_1d(np.asarray(rows)))
        for layer, start in zip(self.stack.layers, self.stack.start, strict=True):
            layer.states[self._parity][:, chosen] = start[:, None]

    def _chosen(self, rows: NDArray[np.generic]) -> NDArray[np.generic]:
        if rows.dtype == bool and rows.shape == (self.batch_size,):
            return rows
        if not rows.size:
            return rows.astype(np.int64)
        if rows.dtype.kind not in "iu" or not 0 <= rows.min() <= rows.max() < self.batch_size:
            raise UsageError(f"Rows are numbers from 0 to {self.batch_size - 1}; got {rows.tolist()}.")
        return rows

    @property
    def states(self) -> tuple[Array, ...]:
        """A copy of each state, (layers, batch_size, hidden_size); assign such a tuple to go back there."""
        current = np.stack([layer.states[self._parity] for layer in self.stack.layers], axis=1)
        return tuple(current)

    @states.setter
    def states(self, values: Sequence[Array]) -> None:
        wanted = (len(self.stack.layers), self.batch_size, self.hidden_size)
        if len(values) != len(self.cell.states) or any(np.shape(value) != wanted for value in values):
            shapes = [np.shape(value) for value in values]
            raise ShapeError(f"Wanted {len(self.cell.states)} states of shape {wanted}; got {shapes}.")
        for n, value in enumerate(values):
            for layer, part in zip(self.stack.layers, value, strict=True):
                layer.states[self._parity][n] = part
