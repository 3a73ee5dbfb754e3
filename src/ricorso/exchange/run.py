"""Running a model on an example so that it leaves no trace, and what comes of it."""

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit import ScriptModule

from ricorso.exchange.structure import leaves, own_copy


@dataclass(frozen=True)
class Example:
    """What a model is called with."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def copies(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The same on tensors of its own, which a model may write to."""
        return own_copy(self.arguments), own_copy(dict(self.keywords))


@dataclass(frozen=True)
class Results:
    """Every leaf of what a run returned, and the gradients of a random projection of it, by name."""

    outputs: Mapping[str, object]
    gradients: Mapping[str, Tensor | None]


def results(output: object, wanted: Mapping[str, Tensor]) -> Results:
    """The leaves of an output, and gradients for the tensors of `wanted` where there are any."""
    found = dict(leaves(output))
    asked = {name: tensor for name, tensor in wanted.items() if tensor.requires_grad}
    traced = [value for value in found.values() if isinstance(value, Tensor) and value.requires_grad]
    gradients: dict[str, Tensor | None] = {}
    if traced and asked:
        weights = [_weights(tensor) for tensor in traced]
        values = torch.autograd.grad(traced, list(asked.values()), weights, allow_unused=True)
        gradients = dict(zip(asked, values, strict=True))
    outputs = {name: value.detach() if isinstance(value, Tensor) else value for name, value in found.items()}
    return Results(outputs, gradients)


def _weights(tensor: Tensor) -> Tensor:
    """What a tensor is multiplied by in the projection: the same numbers each time."""
    source = torch.Generator().manual_seed(tensor.numel())
    drawn = torch.randn(tensor.shape, generator=source, dtype=torch.float64)
    return drawn.to(tensor.device, tensor.dtype)


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[Callable[[], None]]:
    """A model in evaluation mode; afterwards modes, attributes, buffers and all random states are what they were.

    Gives a function that sets all but the modes back at once: call it before every run, so that all runs start alike.
    """
    training = {module: module.training for module in model.modules()}
    states = _random_states()
    model.eval()
    kept = _Kept(model)

    def again() -> None:
        kept.restore()
        _set_random_states(states)

    try:
        yield again
    finally:
        again()
        for module, mode in training.items():
            module.training = mode


class _Kept:
    """The attributes and buffers of all modules as they were."""

    def __init__(self, model: nn.Module) -> None:
        modules = [module for module in model.modules() if not isinstance(module, ScriptModule)]
        self.attributes = [(module, dict(vars(module))) for module in modules]
        self.buffers = [
            (module, name, buffer, None if buffer is None else buffer.detach().clone())
            for module in modules
            for name, buffer in module._buffers.items()
        ]

    def restore(self) -> None:
        for module, before in self.attributes:
            now = vars(module)
            for name in [name for name in now if name not in before]:
                del now[name]
            now.update(before)
        for module, name, buffer, values in self.buffers:
            module._buffers[name] = buffer
            if buffer is not None and values is not None:
                with torch.no_grad():
                    buffer.copy_(values)


def _random_states() -> tuple[Any, ...]:
    started: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    on_gpus = torch.cuda.get_rng_state_all() if started else []
    return torch.get_rng_state(), on_gpus, random.getstate(), np.random.get_state()


def _set_random_states(states: tuple[Any, ...]) -> None:
    on_cpu, on_gpus, of_python, of_numpy = states
    torch.set_rng_state(on_cpu)
    if on_gpus:
        torch.cuda.set_rng_state_all(on_gpus)
    random.setstate(of_python)
    np.random.set_state(of_numpy)


class Recorder:
    """Notes what layers are called with, the first `most` calls of each.

    counts: all calls; trained: the layers that were called while gradients were asked for.
    """

    def __init__(self, layers: Sequence[nn.Module], most: int = 32) -> None:
        self.calls: dict[nn.Module, list[Example]] = {layer: [] for layer in layers}
        self.counts = dict.fromkeys(layers, 0)
        self.trained: set[nn.Module] = set()
        self.most = most

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        handles = [layer.register_forward_pre_hook(self._note, with_kwargs=True) for layer in self.calls]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, layer: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.counts[layer] += 1
        if torch.is_grad_enabled():
            self.trained.add(layer)
        if len(self.calls[layer]) < self.most:
            self.calls[layer].append(Example(*Example(arguments, keywords).copies()))
