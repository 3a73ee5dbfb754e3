"""The layers behind a stream: buffers made once, and prepared calls that take them on by one step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError, UsageError, did_you_mean
from ricorso.kernels import available
from ricorso.kernels.team import Team

Array = NDArray[np.floating]
Ids = NDArray[np.int64]
Prepared = tuple[Callable[..., None], object]
ALONE = Team()


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """What one layer is computed from, as in `engine.call.Call`, None where there is none.

    start: (states, hidden_size) the states of a new stream, zero where it is None.
    """

    weight_ih: Array | None
    weight_hh: Array | None
    bias_ih: Array | None
    bias_hh: Array | None
    parameters: Array | None
    start: Array | None = None

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

    def resize(self, rows: int) -> None:
        """Have the calls compute the first `rows` rows; what they leave in the others is not said."""


class Stack:
    """Layers that take up to `most` rows on by one step, of one stream each.

    A step of parity p reads `features` (most, input_size) or `ids` (most), `signals` (signals, most), and states[p] of
    each layer, (states, most, hidden_size); it writes states[1 - p] of each layer. outputs: the top layer's by parity.
    start: (layers, states, hidden_size) of a new stream. layers: the weights of each. team, threads: who shares the
    work of a step that is too long for one core.
    """

    def __init__(
        self, cell: Cell, layers: Sequence[LayerWeights], most: int, tokens: bool, team: Team, threads: int
    ) -> None:
        first = layers[0].like()
        assert layers[0].weight_ih is not None
        self.cell, self.most, self.tokens, self.dtype = cell, most, tokens, first.dtype
        self.hidden_size = len(layers[0].weight_ih) // len(cell.input_gates)
        self.input_size = layers[0].weight_ih.shape[1]
        self.ids = np.zeros(most if tokens else 0, np.int64)
        self.features = np.zeros((0 if tokens else most, self.input_size), first.dtype)
        self.signals = np.ones((len(cell.signals), most), first.dtype)
        self.start = np.zeros((len(layers), len(cell.states), self.hidden_size), first.dtype)
        prepare = self._plain if available.missing() else self._compiled
        self.layers: list[Layer] = []
        for number, weights in enumerate(layers):
            below = self.layers[-1].outputs if self.layers else [self.features] * 2
            ids = self.ids if tokens and number == 0 else None
            self.layers.append(prepare(weights, below, ids, team, threads))
            self.start[number] = 0 if weights.start is None else weights.start
        self.calls = [[call for layer in self.layers for call in layer.calls[parity]] for parity in (0, 1)]
        self.outputs = self.layers[-1].outputs
        self._rows = most

    def _compiled(
        self, weights: LayerWeights, below: Sequence[Array], ids: Ids | None, team: Team, threads: int
    ) -> Layer:
        from ricorso.engine.compiled_step import CompiledLayer
        from ricorso.kernels.compiled import compiled

        heads = 1 if weights.weight_hh is None else self.hidden_size // weights.weight_hh.shape[1]
        kernels = compiled(self.cell, str(weights.like().dtype), self.hidden_size, heads)
        return CompiledLayer(kernels, weights, below, ids, self.signals, self.most, team, threads)

    def _plain(self, weights: LayerWeights, below: Sequence[Array], ids: Ids | None, *_: object) -> Layer:
        from ricorso.engine.plain_step import PlainLayer

        return PlainLayer(self.cell, weights, below, ids, self.signals, self.most)

    def resize(self, rows: int) -> None:
        """Have steps compute the first `rows` rows; what they leave in the others is not said."""
        if rows != self._rows:
            for layer in self.layers:
                layer.resize(rows)
            self._rows = rows

    def run(self, parity: int) -> None:
        """One step."""
        for kernel, arguments in self.calls[parity]:
            kernel(arguments)

    def signal(self, name: str) -> int:
        """The number of a signal. Raises UsageError where the cell has none of that name."""
        known = [signal.name for signal in self.cell.signals]
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no signals"
            raise UsageError(f"'{name}' is no signal of {self.cell.name}, which {takes}.{did_you_mean(name, known)}")
        return known.index(name)

    def check_ids(self, ids: NDArray[Any] | int) -> None:
        """Raises ShapeError for token ids outside the vocabulary or that are no whole numbers."""
        if isinstance(ids, int):  # two reductions would take as long as the step of a small layer
            wrong = [] if 0 <= ids < self.input_size else [ids]
        elif not ids.size:
            return
        elif ids.dtype.kind not in "iu":
            raise ShapeError(f"Token ids are whole numbers; got an array of {ids.dtype}.")
        elif 0 <= ids.min() <= ids.max() < self.input_size:
            return
        else:
            wrong = ids[(ids < 0) | (ids >= self.input_size)].tolist()
        if wrong:
            raise ShapeError(f"Token ids must be 0 to {self.input_size - 1}; got {wrong[0]}.")
