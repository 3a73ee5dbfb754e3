"""Layers from named arrays and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.equations.cell import Cell
from ricorso.errors import DataError, ShapeError, UsageError
from ricorso.layers.recurrent import Recurrent
from ricorso.weights.form import Form, form_of
from ricorso.weights.reversed import Reversed

Array = NDArray[Any]
Parts = dict[str, Array]
"""One layer in one direction: weight_ih, weight_hh, biases where there are any, and the cell's parameters by name,
gates in the order of the cell."""

DIRECTIONS = ("", "_reverse")
_APART = "Convert such layers one by one."


def numbers(value: object, what: str) -> Array:
    """An array of floating-point numbers from an array or a tensor, bfloat16 widened to float32.

    Raises ShapeError for other element types and DataError for numbers that are not finite.
    """
    array = _copy(value) if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise ShapeError(f"{what} holds {array.dtype}; wanted float16, bfloat16, float32 or float64.")
    if not np.isfinite(array).all():
        raise DataError(f"{what} holds a number that is not finite; the model it comes from is broken.")
    return array


def built(cell: Cell, stack: Sequence[Sequence[Parts]], batch_first: bool) -> Recurrent:
    """A layer with the given weights; stack: layers from the bottom, each with one direction or two.

    Layers without biases get zeros where others have some. Raises UsageError when the layers make no stack.
    """
    features, hidden = stack[0][0]["weight_ih"].shape[1], stack[0][0]["weight_hh"].shape[1]
    directions = len(stack[0])
    columns = features
    for number, layer in enumerate(stack, 1):
        if len(layer) != directions:
            raise UsageError(f"Layer {number} has {len(layer)} directions and layer 1 {directions}. {_APART}")
        for parts in layer:
            units, inputs = parts["weight_hh"].shape[1], parts["weight_ih"].shape[1]
            if units != hidden:
                raise UsageError(f"Layer {number} has {units} units where layer 1 has {hidden}. {_APART}")
            if inputs != columns:
                above = f"layer {number - 1} gives {columns}" if number > 1 else f"its other direction has {columns}"
                raise UsageError(f"Layer {number} has {inputs} inputs and {above}: these layers make no stack.")
        columns = hidden * directions
    everything = [parts for layer in stack for parts in layer]
    bias = any("bias_ih" in parts for parts in everything)
    dtype = np.result_type(*(array for parts in everything for array in parts.values()))
    given: dict[str, Tensor] = {}
    for number, layer in enumerate(stack):
        for direction, parts in zip(DIRECTIONS, layer, strict=False):
            zeros = np.zeros(len(parts["weight_ih"]), dtype)
            whole = ({"bias_ih": zeros, "bias_hh": zeros} if bias else {}) | parts
            for name, array in whole.items():
                given[f"{name}_l{number}{direction}"] = torch.from_numpy(array.astype(dtype, order="C"))
    # On the device "meta" nothing is allocated or drawn for parameters that are about to be replaced.
    made = Recurrent(
        cell, features, hidden, len(stack), bias, batch_first, 0.0, directions == 2, 0, "meta",
        torch.from_numpy(np.empty(0, dtype)).dtype, init="torch",
    )  # fmt: skip
    made.load_state_dict(given, assign=True)
    return made


def taken_apart(layer: Recurrent, forms: Mapping[str, Form], where: str) -> tuple[Form, list[list[Parts]]]:
    """The form of a layer elsewhere and copies of its weights, layers from the bottom with one direction or two.

    where: the other side, for messages. Raises UsageError for a layer that cannot be said there.
    """
    form = form_of(layer.cell, forms)
    if form is None:
        raise UsageError(f"{where} has no cell with the equations of '{layer.cell.name}'; it has {', '.join(forms)}.")
    for name, unusual in (
        ("proj_size", layer.proj_size),
        ("zoneout", any(layer.zoneout)),
        ("learned_start", layer.learned_start),
        ("heads", layer.heads > 1),
    ):
        if unusual:
            raise UsageError(f"{where} has no {name}, and this layer has {name}={getattr(layer, name)}.")
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if layer.bias else [])]
    names += [parameter.name for parameter in layer.cell.parameters]
    directions = DIRECTIONS[: 2 if layer.bidirectional else 1]
    return form, [
        [{name: _copy(getattr(layer, f"{name}_l{n}{direction}")) for name in names} for direction in directions]
        for n in range(layer.num_layers)
    ]


def inside(layer: object) -> tuple[Recurrent, Reversed | None]:
    """A recurrent layer, and what reverses it. Raises UsageError for anything else."""
    if isinstance(layer, Reversed):
        return layer.layer, layer
    if isinstance(layer, Recurrent):
        return layer, None
    raise UsageError(
        f"A {type(layer).__name__} of {type(layer).__module__.split('.')[0]} came where a layer of ricorso.layers was "
        f"wanted. A layer of torch.nn gives its weights to its namesake there through load_state_dict."
    )


def _copy(weight: Tensor) -> Array:
    weight = weight.detach().cpu()
    wide = weight.float() if weight.dtype == torch.bfloat16 else weight
    copy: Array = wide.numpy().copy()
    return copy
