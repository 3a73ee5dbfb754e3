"""What one recurrent node of ONNX says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ricorso.errors import DataError, UsageError
from ricorso.weights.form import Form, lacking
from ricorso.weights.parts import Array, numbers

FORMS = {
    "elman_tanh": Form("RNN", ("p",)),
    "elman_relu": Form("RNN", ("p",), {"activations": ["Relu"]}),
    "elman_sigmoid": Form("RNN", ("p",), {"activations": ["Sigmoid"]}),
    "gru": Form("GRU", ("z", "r", "n"), {"linear_before_reset": 1}),
    "gru_reset_before": Form("GRU", ("z", "r", "n"), {"linear_before_reset": 0}),
    "lstm": Form("LSTM", ("i", "o", "f", "g")),
    "lstm_peephole": Form("LSTM", ("i", "o", "f", "g"), peepholes=("i", "o", "f")),
}
GATES = {form.kind: form.gates for form in FORMS.values()}
USUAL = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
# What an operator does when an attribute is not there; hidden_size then follows from the arrays.
DEFAULTS: dict[str, Any] = {
    "hidden_size": None,
    "direction": "forward",
    "activations": (),
    "activation_alpha": (),
    "activation_beta": (),
    "clip": 0.0,
    "input_forget": 0,
    "layout": 0,
    "linear_before_reset": 0,
}


@dataclass(frozen=True, eq=False)
class OnnxWeights:
    """What one recurrent node of ONNX holds.

    operator: "LSTM", "GRU" or "RNN". inputs: its stored inputs by their names in the ONNX specification: W
    (directions, gates * units, input_size), R (directions, gates * units, units), B (directions, 2 * gates * units)
    where there are biases, P (directions, 3 * units) where there are peepholes; gates in the order of ONNX.
    attributes: those of the node that are not at their defaults, as `onnx.helper.make_node` takes them.
    """

    operator: str
    inputs: Mapping[str, Array]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = "'node'"


def settings(source: OnnxWeights) -> dict[str, Any]:
    """All attributes of a node, activations those of one direction.

    Raises DataError for unknown and impossible ones, UsageError for directions that differ.
    """
    if source.operator not in GATES:
        raise DataError(f"{source.name} is a {source.operator}; wanted {', '.join(GATES)}.")
    for name, value in source.attributes.items():
        if name not in DEFAULTS:
            raise DataError(f"{source.name} has the attribute {name}, which no {source.operator} of ONNX has.")
        choices = {"direction": tuple(DIRECTIONS), "layout": (0, 1), "linear_before_reset": (0, 1)}.get(name)
        if choices and value not in choices:
            raise DataError(f"{source.name} has {name}={value!r}; ONNX allows {', '.join(map(str, choices))}.")
    found = {**DEFAULTS, **source.attributes}
    usual, directions = USUAL[source.operator], DIRECTIONS[found["direction"]]
    activations = tuple(found["activations"]) or usual
    if len(activations) not in (len(usual), len(usual) * directions):
        raise DataError(
            f"{source.name} has {len(activations)} activations; a {source.operator} has {len(usual)} in each direction."
        )
    if activations[: len(usual)] != activations[-len(usual) :]:
        raise UsageError(f"The directions of {source.name} have different activations: {', '.join(activations)}.")
    known = {name.lower(): name for name in ("Tanh", "Relu", "Sigmoid")}  # runtimes take them in any case
    return found | {"activations": tuple(known.get(name.lower(), name) for name in activations[: len(usual)])}


def computed(source: OnnxWeights, own: Mapping[str, Any]) -> tuple[str | None, str]:
    """The cell that computes what a node does, or a message about what the catalogue lacks for it.

    Raises UsageError for what no cell of the same weights can do.
    """
    if own["clip"]:
        raise UsageError(f"{source.name} clips at {own['clip']:g}; no cell of Ricorso does.")
    if own["input_forget"]:
        raise UsageError(
            f"{source.name} has input_forget=1: that is the cell 'lstm_coupled', with a forget gate in place of the "
            f"input gate. Build it, and give f the weights of ONNX' i with the sign changed."
        )
    for cell, form in FORMS.items():
        options = {"activations": USUAL[source.operator], "linear_before_reset": own["linear_before_reset"]}
        options |= {name: tuple(value) if isinstance(value, list) else value for name, value in form.options.items()}
        same = form.kind == source.operator and bool(form.peepholes) == ("P" in source.inputs)
        if same and all(own[name] == value for name, value in options.items()):
            return cell, ""
    return None, lacking(source.name, source.operator, own["activations"], GATES[source.operator])


def checked(source: OnnxWeights, own: Mapping[str, Any], form: Form) -> dict[str, Array]:
    """The arrays of a node. Raises DataError where one is missing or does not fit the others."""
    for name in ("W", "R"):
        if name not in source.inputs:
            raise DataError(f"{source.name} has no {name}.")
    arrays = {name: numbers(array, f"{name} of {source.name}") for name, array in source.inputs.items()}
    directions, gates = DIRECTIONS[own["direction"]], len(form.gates)
    units = own["hidden_size"]
    if units is None:
        units = arrays["R"].shape[-1] if arrays["R"].ndim else 0
    if type(units) is not int or units < 1:
        raise DataError(f"{source.name} has hidden_size={units!r}; wanted a whole number of at least 1.")
    features = arrays["W"].shape[-1] if arrays["W"].ndim == 3 else 1
    wanted = {
        "W": (directions, gates * units, max(features, 1)),
        "R": (directions, gates * units, units),
        "B": (directions, 2 * gates * units),
        "P": (directions, 3 * units),
    }
    for name, array in arrays.items():
        if array.shape != wanted[name]:
            said = f"direction {own['direction']!r} and {units} units"
            raise DataError(f"{name} of {source.name} has shape {array.shape}; wanted {wanted[name]} with {said}.")
    return arrays
