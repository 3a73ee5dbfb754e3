"""What layers of Keras, or lists of their arrays, say about themselves."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ricorso.errors import UsageError
from ricorso.weights.form import Form, lacking

FORMS = {
    **{f"elman_{name}": Form("SimpleRNN", ("p",), {"activation": name}) for name in ("tanh", "relu", "sigmoid")},
    "gru": Form("GRU", ("z", "r", "n"), {"reset_after": True}),
    "gru_reset_before": Form("GRU", ("z", "r", "n"), {"reset_after": False}),
    "lstm": Form("LSTM", ("i", "f", "g", "o")),
}
_WANTED = "a SimpleRNN, GRU or LSTM, or one of them in Bidirectional"
KINDS = {form.kind: form.gates for form in FORMS.values()}


@dataclass(frozen=True)
class Source:
    """One layer as it came.

    name: for messages. weights: by direction. says: the settings that decide what it computes, where it has them.
    found: the cell that computes this; where the catalogue has none, lacks is a message about it.
    backwards: whether it has go_backwards.
    """

    name: str
    weights: list[list[Any]]
    says: tuple[str, ...] = ()
    found: str | None = None
    lacks: str = ""
    backwards: bool = False


def sources(given: Any) -> list[Source]:
    """Each layer of what `from_keras` was given, from the bottom. Raises UsageError for anything else."""
    keras = sys.modules.get("keras")  # who has a layer of Keras has imported it

    def is_layer(value: object) -> bool:
        return keras is not None and isinstance(value, keras.layers.Layer)

    if is_layer(given):
        return [_from_layer(given, keras)]
    if not isinstance(given, list | tuple) or not given:
        raise UsageError(
            f"Wanted a Keras layer, its get_weights(), or a list of these; got "
            f"{'an empty list' if isinstance(given, list | tuple) else type(given).__name__}."
        )
    if all(is_layer(value) for value in given):
        return [_from_layer(value, keras) for value in given]
    if all(isinstance(value, list | tuple) for value in given):
        return [_from_arrays(arrays, f"layer {number}") for number, arrays in enumerate(given, 1)]
    if any(is_layer(value) or isinstance(value, list | tuple) for value in given):
        raise UsageError("The list mixes layers, lists of arrays and arrays; give layers or their get_weights().")
    return [_from_arrays(given, "layer 1")]


def _from_arrays(arrays: Sequence[Any], name: str) -> Source:
    count = len(arrays)
    if count not in (2, 3, 4, 6):
        raise UsageError(
            f"There are {count} arrays for {name}. A recurrent layer of Keras has two (kernel, recurrent kernel) or "
            f"three (bias), and one in Bidirectional twice as many."
        )
    each = count // 2 if count > 3 else count
    lacks = "Arrays do not say what they are for: give `cell`, such as 'lstm', 'gru', 'gru_reset_before', 'elman_tanh'."
    return Source(name, [list(arrays[n : n + each]) for n in range(0, count, each)], lacks=lacks)


def _from_layer(layer: Any, keras: Any) -> Source:
    if type(layer) is keras.layers.Bidirectional:
        return _from_both(layer, keras)
    if type(layer) not in [getattr(keras.layers, kind) for kind in ("RNN", *KINDS)]:
        raise UsageError(f"'{layer.name}' is a {type(layer).__name__}; wanted {_WANTED}.{_members(layer, keras)}")
    kind = next((kind for kind in KINDS if type(layer.cell) is getattr(keras.layers, f"{kind}Cell")), None)
    if kind is None:
        raise UsageError(f"'{layer.name}' runs a {type(layer.cell).__name__}; wanted {_WANTED}.")
    values = [weight.value for weight in layer.weights]
    weights = [value if isinstance(value, Tensor) else keras.ops.convert_to_numpy(value) for value in values]
    if not weights:
        raise UsageError(f"'{layer.name}' has no weights yet: call it on data, or its build(), first.")
    says = _settings(kind, layer.cell, keras)
    found, lacks = _computed(f"'{layer.name}'", says)
    return Source(f"'{layer.name}'", [weights], says, found, lacks, layer.go_backwards)


def _members(layer: Any, keras: Any) -> str:
    if not isinstance(layer, keras.Model):
        return " Of a layer of your own that computes the same, give get_weights() and `cell`."
    wanted = (keras.layers.RNN, keras.layers.Bidirectional)
    names = [f"'{member.name}'" for member in layer.layers if isinstance(member, wanted)]
    if not names:
        return " It is a model, and none of its layers is one."
    return f" It is a model: give its layer {', '.join(names)}." if len(names) == 1 else (
        f" It is a model: give one of its layers {', '.join(names)}, or a list of those that feed one another."
    )  # fmt: skip


def _from_both(layer: Any, keras: Any) -> Source:
    if layer.merge_mode != "concat":
        raise UsageError(
            f"'{layer.name}' has merge_mode={layer.merge_mode!r}, and a layer puts its directions side by side. Give "
            f"its get_weights() and `cell`, and join the two halves of the output yourself."
        )
    ahead, back = (_from_layer(one, keras) for one in (layer.forward_layer, layer.backward_layer))
    if ahead.says != back.says:
        raise UsageError(
            f"The directions of '{layer.name}' differ: {' '.join(ahead.says)} and {' '.join(back.says)}. Convert its "
            f"forward_layer and backward_layer one by one."
        )
    weights = ahead.weights + back.weights
    return Source(f"'{layer.name}'", weights, ahead.says, ahead.found, ahead.lacks, ahead.backwards)


def _settings(kind: str, cell: Any, keras: Any) -> tuple[str, ...]:
    """The kind, the activations, and for a GRU its form."""
    says = [kind, f"activation={_activation(cell.activation, keras)}"]
    if kind != "SimpleRNN":
        says.append(f"recurrent_activation={_activation(cell.recurrent_activation, keras)}")
    if kind == "GRU":
        says.append(f"reset_after={bool(cell.reset_after)}")
    return tuple(says)


def _computed(name: str, says: tuple[str, ...]) -> tuple[str | None, str]:
    """The cell that computes what a layer says, or a message about what the catalogue lacks for it."""
    for cell, form in FORMS.items():
        usual = {"activation": "tanh", "recurrent_activation": "sigmoid"}
        usual |= {key: str(value) for key, value in form.options.items()}
        if form.kind == says[0] and all(usual[key] == value for key, _, value in (s.partition("=") for s in says[1:])):
            return cell, ""
    return None, lacking(name, says[0], [said for said in says[1:] if "activation" in said], KINDS[says[0]])


def _activation(function: Any, keras: Any) -> str:
    """The name of one of Keras' own functions; others are told apart from them by their quotes."""
    for name in ("tanh", "relu", "sigmoid"):
        if function is keras.activations.get(name):
            return name
    return f"'{getattr(function, '__name__', type(function).__name__)}'"
