"""One step at a time, for streams of NumPy arrays; through compiled kernels where there are any."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError
from ricorso.kernels import available
from ricorso.kernels.team import Team

Array = NDArray[np.floating]
Ids = NDArray[np.int64]
Prepared = tuple[Callable[..., None], object]
ALONE = Team()


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


class Layer(Protocol):
    """The buffers and prepared calls of one layer. States alternate between two buffers: parity p reads p."""

    states: list[Array]
    outputs: list[Array]
    calls: list[list[Prepared]]


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
        self._ids = np.zeros(batch_size, np.int64)
        self._features = np.zeros((batch_size, self.input_size), first.dtype)
        self._signals = np.ones((len(cell.signals), batch_size), first.dtype)
        prepare = self._plain if available.missing() else self._compiled
        self._layers: list[Layer] = []
        for number, weights in enumerate(layers):
            below = self._layers[-1].outputs if self._layers else [self._features] * 2
            ids = self._ids if tokens and number == 0 else None
            self._layers.append(prepare(weights, below, ids, team, threads))
        self._calls = [[call for layer in self._layers for call in layer.calls[parity]] for parity in (0, 1)]
        self._outputs = self._layers[-1].outputs
        self._parity = 0

    def _compiled(
        self, weights: LayerWeights, below: Sequence[Array], ids: Ids | None, team: Team, threads: int
    ) -> Layer:
        from ricorso.engine.compiled_step import CompiledLayer
        from ricorso.kernels.compiled import compiled

        heads = 1 if weights.weight_hh is None else self.hidden_size // weights.weight_hh.shape[1]
        kernels = compiled(self.cell, str(weights.like().dtype), self.hidden_size, heads)
        return CompiledLayer(kernels, weights, below, ids, self._signals, self.batch_size, team, threads)

    def _plain(self, weights: LayerWeights, below: Sequence[Array], ids: Ids | None, *_: object) -> Layer:
        from ricorso.engine.plain_step import PlainLayer

        return PlainLayer(self.cell, weights, below, ids, self._signals)

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
