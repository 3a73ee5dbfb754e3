"""Weights from Keras 3 and to it; the package itself is needed only for its layers, not for their arrays."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError, UsageError
from ricorso.layers.recurrent import Recurrent
from ricorso.weights.form import Form, chosen_cell, reordered
from ricorso.weights.keras_layer import FORMS, KINDS, sources
from ricorso.weights.parts import Array, Parts, built, inside, numbers, taken_apart
from ricorso.weights.reversed import Reversed


def from_keras(layers: Any, cell: str | Cell | None = None) -> Recurrent | Reversed:
    """A layer with the weights of a Keras layer, or of several that feed one another.

    layers: a SimpleRNN, GRU or LSTM, one of them in Bidirectional, or a list of these from the bottom; or what their
    `get_weights()` returned, an array list or a list of these, for which Keras is not needed.
    cell: what weights without a layer are for ("lstm", "gru", "gru_reset_before", "elman_tanh" ...). For activations
    that the catalogue has not: a Cell of your own with gates of the same names.

    The layer takes (batch, time, input_size) as in Keras. Where a Keras layer has one bias it becomes bias_ih, and
    bias_hh is zero. A layer with go_backwards comes back inside `Reversed`. Only weights are taken over: dropouts,
    masks and whether states are carried are given to the new layer.

    Raises UsageError for layers that Ricorso has no cell for, ShapeError for arrays that do not fit the cell, DataError
    for numbers that are not finite.

    >>> import numpy as np
    >>> kernel, recurrent_kernel, bias = np.ones((3, 32)), np.ones((8, 32)), np.zeros(32)
    >>> from_keras([kernel, recurrent_kernel, bias], "lstm")
    Recurrent(lstm, 3, 8, batch_first=True)
    """
    given = sources(layers)
    for source in given[1:]:
        if source.says != given[0].says:
            raise UsageError(
                f"{source.name} is {' '.join(source.says)} and {given[0].name} {' '.join(given[0].says)}: a stack has "
                f"one cell. Convert such layers one by one."
            )
        if source.backwards:
            raise UsageError(
                f"{source.name} has go_backwards and reads the outputs of another layer from the end. Convert such "
                f"layers one by one."
            )
    one = chosen_cell(cell, given[0].found, given[0].lacks)
    form = _fitting(one)
    stack = [[_parts(weights, one, form, source.name) for weights in source.weights] for source in given]
    layer = built(one, stack, batch_first=True)
    return Reversed(layer, time_order=False) if given[0].backwards else layer


def to_keras_weights(layer: Recurrent | Reversed) -> list[list[Array]]:
    """What `set_weights` of Keras layers takes: a list of arrays for each layer from the bottom.

    Each list is that of a SimpleRNN, GRU (reset_after as the cell says) or LSTM; of a Bidirectional around one where
    the layer has two directions. Where Keras has one bias it is the sum of ours. Needs no Keras.
    Raises UsageError for cells, and for a projection, zoneout or heads, that Keras has not.

    >>> from ricorso.layers import GRU
    >>> [array.shape for array in to_keras_weights(GRU(3, 8))[0]]
    [(3, 24), (8, 24), (2, 24)]
    """
    return _arrays(*inside(layer))[1]


def to_keras(layer: Recurrent | Reversed, return_sequences: bool = True) -> list[Any]:
    """Keras layers with the weights of a layer, one for each of its stack: `keras.Sequential(to_keras(layer))`.

    return_sequences: whether the last one gives the output of every step, as the others do. Input there is (batch,
    time, input_size). A layer inside `Reversed` gets go_backwards. Regularisers are not taken over.
    Raises UsageError where `to_keras_weights` does, and when Keras is not installed.
    """
    form, stack = _arrays(*inside(layer))
    recurrent, reverse = inside(layer)
    keras = _keras()
    made = []
    for number, weights in enumerate(stack):
        one = getattr(keras.layers, form.kind)(
            recurrent.hidden_size,
            use_bias=recurrent.bias,
            return_sequences=return_sequences or number < len(stack) - 1,
            go_backwards=reverse is not None and number == 0,
            dtype=str(weights[0].dtype),
            **form.options,
        )
        if recurrent.bidirectional:
            other = one.__class__.from_config({**one.get_config(), "name": None, "go_backwards": not one.go_backwards})
            one = keras.layers.Bidirectional(one, backward_layer=other, dtype=str(weights[0].dtype))
        directions = 2 if recurrent.bidirectional else 1
        one.build((None, None, recurrent.hidden_size * directions if number else recurrent.input_size))
        one.set_weights(weights)
        made.append(one)
    return made


# --- from Keras


def _fitting(cell: Cell) -> Form:
    for form in FORMS.values():
        if form.fits(cell):
            return form
    known = "; ".join(f"{kind}: {' '.join(gates)}" for kind, gates in KINDS.items())
    gates = " ".join(gate.name for gate in cell.gates)
    raise UsageError(
        f"'{cell.name}' has the gates {gates} and {len(cell.parameters)} parameters; Keras' layers have gates alone "
        f"({known})."
    )


def _parts(weights: Sequence[Any], cell: Cell, form: Form, name: str) -> Parts:
    what = [f"The {part} of {name}" for part in ("kernel", "recurrent kernel", "bias")]
    kernel, recurrent, *rest = (numbers(array, part) for array, part in zip(weights, what, strict=False))
    units = recurrent.shape[0] if recurrent.ndim == 2 else 0
    rows = len(form.gates) * units
    two = bool(cell.split_gates)  # only where the parts of a gate are treated apart are there two biases
    if units == 0 or recurrent.shape != (units, rows):
        wanted = f"(units, {len(form.gates)} * units)" if len(form.gates) > 1 else "(units, units)"
        raise ShapeError(f"{what[1]} has shape {recurrent.shape}; wanted {wanted} for '{cell.name}'.")
    if kernel.ndim != 2 or kernel.shape[0] == 0 or kernel.shape[1] != rows:
        raise ShapeError(f"{what[0]} has shape {kernel.shape}; wanted (input_size, {rows}) beside {units} units.")
    order, own = form.gates, [gate.name for gate in cell.gates]
    parts = {"weight_ih": reordered(kernel.T, order, own), "weight_hh": reordered(recurrent.T, order, own)}
    if rest:
        if rest[0].shape != ((2, rows) if two else (rows,)):
            raise ShapeError(f"{what[2]} has shape {rest[0].shape}; {_bias_wanted(cell, rows, two)}")
        first, second = rest[0] if two else (rest[0], np.zeros_like(rest[0]))
        parts |= {"bias_ih": reordered(first, order, own), "bias_hh": reordered(second, order, own)}
    return parts


def _bias_wanted(cell: Cell, rows: int, two: bool) -> str:
    wanted = f"wanted {(2, rows) if two else (rows,)} for '{cell.name}'."
    others = {"gru": ("False", "gru_reset_before"), "gru_reset_before": ("True", "gru")}
    if cell.name not in others:
        return wanted
    return f"{wanted} A GRU with reset_after={others[cell.name][0]} is '{others[cell.name][1]}'."


# --- to Keras


def _arrays(layer: Recurrent, reverse: Reversed | None) -> tuple[Form, list[list[Array]]]:
    if reverse is not None and reverse.time_order:
        raise UsageError(
            "Keras leaves the outputs of a layer that reads backwards in the order in which they were computed. Make "
            "it Reversed(layer, time_order=False), and flip its outputs there where you need the order of time."
        )
    form, stack = taken_apart(layer, FORMS, "Keras")
    own, two = [gate.name for gate in layer.cell.gates], bool(layer.cell.split_gates)
    return form, [[array for parts in directions for array in _listed(parts, form, own, two)] for directions in stack]


def _listed(parts: Parts, form: Form, own: Sequence[str], two: bool) -> list[Array]:
    theirs = {name: reordered(array, own, form.gates) for name, array in parts.items()}
    arrays = [np.ascontiguousarray(theirs[name].T) for name in ("weight_ih", "weight_hh")]
    if "bias_ih" in theirs:
        biases = np.stack([theirs["bias_ih"], theirs["bias_hh"]])
        arrays.append(biases if two else biases.sum(0))
    return arrays


def _keras() -> Any:
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise UsageError(
            f"Making layers of Keras needs it to be there, and it cannot be imported ({error}): pip install keras, and "
            f"name a backend that is installed in the environment variable KERAS_BACKEND, such as torch."
        ) from error
