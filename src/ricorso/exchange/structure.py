"""What goes into a model and comes out: tensors in tuples, lists, dicts, packed sequences and objects."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

Change = Callable[[Tensor], Tensor]


def leaves(value: object, name: str = "output") -> Iterator[tuple[str, object]]:
    """Everything inside, with its place as one would write it in Python.

    >>> [place for place, _ in leaves({"scores": (1, [2])})]
    ["output['scores'][0]", "output['scores'][1][0]"]
    """
    yield from _leaves(value, name, ())


def _leaves(value: object, name: str, inside: tuple[int, ...]) -> Iterator[tuple[str, object]]:
    parts = [] if id(value) in inside else list(_parts(value))
    if not parts:
        if not isinstance(value, tuple | list | Mapping):
            yield name, value
        return
    for place, part in parts:
        yield from _leaves(part, f"{name}{place}", (*inside, id(value)))


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, PackedSequence):
        yield ".data", value.data
        yield ".batch_sizes", value.batch_sizes
    elif isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{field}", getattr(value, field)) for field in value._fields)
    elif isinstance(value, tuple | list):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{field.name}", getattr(value, field.name)) for field in fields(value))
    elif hasattr(value, "__dict__") and not isinstance(value, Tensor | nn.Module | type) and not callable(value):
        yield from ((f".{key}", part) for key, part in vars(value).items())


def mapped(value: Any, change: Change) -> Any:
    """The same structure with every tensor changed; in objects that are no containers they stay."""
    if isinstance(value, PackedSequence):
        return PackedSequence(change(value.data), *value[1:])
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        changed = copy.copy(value)
        for key, part in value.items():
            changed[key] = mapped(part, change)
        return changed
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(part, change) for part in value))
    if type(value) in (tuple, list):
        return type(value)(mapped(part, change) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        made = copy.copy(value)
        for field in fields(value):
            object.__setattr__(made, field.name, mapped(getattr(value, field.name), change))
        return made
    return value


def own_copy(value: Any) -> Any:
    """The same structure on tensors of its own, which ask for a gradient where those given do."""
    return mapped(value, lambda tensor: tensor.detach().clone().requires_grad_(tensor.requires_grad))
