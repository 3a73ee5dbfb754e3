"""Weights from the recurrent operators of ONNX and to them."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ricorso.equations.cell import Cell
from ricorso.errors import UsageError
from ricorso.layers.recurrent import Recurrent
from ricorso.weights import onnx_file
from ricorso.weights.form import Form, chosen_cell, reordered
from ricorso.weights.onnx_node import DIRECTIONS, FORMS, GATES, OnnxWeights, checked, computed, settings
from ricorso.weights.parts import Array, Parts, built, inside, taken_apart
from ricorso.weights.reversed import Reversed

if TYPE_CHECKING:
    from onnx import ModelProto

_APART = "A stack is of one kind; convert such nodes one by one."


def from_onnx(
    model: "str | os.PathLike[str] | bytes | ModelProto | OnnxWeights | Sequence[OnnxWeights]",
    node: str | Sequence[str] | None = None,
    cell: str | Cell | None = None,
) -> Recurrent | Reversed:
    """A layer with the weights of an LSTM, GRU or RNN node of an ONNX model, or of several that feed one another.

    model: a file, its bytes, a ModelProto (these need the package `onnx`), or what `to_onnx_weights` returned.
    node: which node, by its name or that of one of its outputs; a list of names makes a stack, from the bottom. Not
    needed for a model with one such node. cell: for activations that the catalogue has not, a Cell of your own with
    gates of the same names.

    Operators take (time, batch, input_size), and the layer likewise (with layout=1 the batch comes first). A node with
    direction "reverse" comes back inside `Reversed`. Only weights are taken over: lengths and first states are given
    to the new layer when it is called; a stored first state that is not zero is warned about.

    Raises DataError for a file that is damaged, no ONNX model, or without such a node; UsageError for a wrong name and
    for operators that Ricorso has no cell for. Nothing in the file is run.

    >>> import numpy as np
    >>> node = OnnxWeights("GRU", {"W": np.ones((1, 24, 3)), "R": np.ones((1, 24, 8))}, {"linear_before_reset": 1})
    >>> from_onnx(node)
    Recurrent(gru, 3, 8, bias=False)
    """
    sources = _sources(model, node)
    first = sources[0]
    stated = [settings(source) for source in sources]
    for source, own in zip(sources[1:], stated[1:], strict=True):
        if source.operator != first.operator:
            raise UsageError(f"{source.name} is a {source.operator} and {first.name} a {first.operator}. {_APART}")
        if ("P" in source.inputs) != ("P" in first.inputs):
            raise UsageError(f"Only one of {source.name} and {first.name} has peepholes. {_APART}")
        for name, value in own.items():
            if name != "hidden_size" and value != stated[0][name]:
                raise UsageError(f"{source.name} has {name}={value!r} and {first.name} {stated[0][name]!r}. {_APART}")
    one = chosen_cell(cell, *computed(first, stated[0]))
    stack = [_directions(source, own, one) for source, own in zip(sources, stated, strict=True)]
    layer = built(one, stack, batch_first=stated[0]["layout"] == 1)
    return Reversed(layer) if stated[0]["direction"] == "reverse" else layer


def to_onnx_weights(layer: Recurrent | Reversed) -> list[OnnxWeights]:
    """Inputs and attributes of one ONNX node for each layer of a stack, from the bottom.

    Nodes are time first (layout 0), whatever the layer's batch_first is: X (time, batch, input_size), Y (time,
    directions, batch, units), states (directions, batch, units). Biases stay two. bfloat16 becomes float32. Needs no
    package.
    Raises UsageError for cells, and for a projection, zoneout or heads, that ONNX has no operator for.

    >>> from ricorso.layers import LSTM
    >>> (node,) = to_onnx_weights(LSTM(3, 8, bidirectional=True))
    >>> node.operator, node.attributes, node.inputs["W"].shape
    ('LSTM', {'hidden_size': 8, 'direction': 'bidirectional'}, (2, 32, 3))
    """
    recurrent, reverse = inside(layer)
    if reverse is not None and (recurrent.bidirectional or not reverse.time_order):
        raise UsageError(
            "ONNX reads backwards in one direction and with outputs in the order of time only: Reversed(layer) of a "
            "layer that is not bidirectional. Otherwise convert the layer inside and flip its input."
        )
    form, stack = taken_apart(recurrent, FORMS, "ONNX")
    own = [gate.name for gate in recurrent.cell.gates]
    attributes: dict[str, Any] = {"hidden_size": recurrent.hidden_size}
    if reverse is not None or recurrent.bidirectional:
        attributes["direction"] = "bidirectional" if recurrent.bidirectional else "reverse"
    attributes |= form.options
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * (2 if recurrent.bidirectional else 1)
    return [
        OnnxWeights(form.kind, _inputs(directions, form, own), dict(attributes), f"'layer {number}'")
        for number, directions in enumerate(stack, 1)
    ]


def _inputs(directions: Sequence[Parts], form: Form, own: Sequence[str]) -> dict[str, Array]:
    def side_by_side(*names: str) -> Array:
        rows = [[reordered(parts[name], own, form.gates) for name in names] for parts in directions]
        return np.stack([np.concatenate(arrays) for arrays in rows])

    found = {"W": side_by_side("weight_ih"), "R": side_by_side("weight_hh")}
    if "bias_ih" in directions[0]:
        found["B"] = side_by_side("bias_ih", "bias_hh")
    if form.peepholes:
        found["P"] = np.stack([np.concatenate([p[f"w_{gate}"] for gate in form.peepholes]) for p in directions])
    return found


# --- from ONNX


def _sources(model: Any, node: str | Sequence[str] | None) -> list[OnnxWeights]:
    given = [model] if isinstance(model, OnnxWeights) else model
    if isinstance(given, list | tuple):
        if node is not None:
            raise UsageError("`node` chooses among the nodes of a model; leave it out where the nodes are given.")
        if not given or not all(isinstance(one, OnnxWeights) for one in given):
            raise UsageError("Wanted an ONNX model or a list of OnnxWeights; the list holds something else or nothing.")
        return list(given)
    return onnx_file.read(model, node)


def _directions(source: OnnxWeights, own: Mapping[str, Any], cell: Cell) -> list[Parts]:
    """The weights of each direction, gates in the order of the cell."""
    form = next((form for form in FORMS.values() if form.kind == source.operator and form.fits(cell)), None)
    if form is None or bool(form.peepholes) != ("P" in source.inputs):
        gates, peepholes = " ".join(GATES[source.operator]), ", parameters w_i w_o w_f" if "P" in source.inputs else ""
        raise UsageError(f"'{cell.name}' does not fit {source.name}, which has the gates {gates}{peepholes}.")
    arrays = checked(source, own, form)
    order, wanted = form.gates, [gate.name for gate in cell.gates]
    found = []
    for n in range(DIRECTIONS[own["direction"]]):
        parts = {
            "weight_ih": reordered(arrays["W"][n], order, wanted),
            "weight_hh": reordered(arrays["R"][n], order, wanted),
        }
        if "B" in arrays:
            for name, bias in zip(("bias_ih", "bias_hh"), np.split(arrays["B"][n], 2), strict=True):
                parts[name] = reordered(bias, order, wanted)
        if form.peepholes:
            for gate, values in zip(form.peepholes, np.split(arrays["P"][n], 3), strict=True):
                parts[f"w_{gate}"] = values
        found.append(parts)
    return found
