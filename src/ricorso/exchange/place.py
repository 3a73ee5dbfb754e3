"""Where layers are in a model, and putting others there."""

from dataclasses import dataclass

from torch import nn
from torch.jit import ScriptModule

from ricorso.exchange.convert import HOOKS, is_recurrent


@dataclass(frozen=True, eq=False)
class Place:
    """A name under which a module holds a layer; path: from the model down to there."""

    owner: nn.Module
    name: str
    path: str

    @property
    def module(self) -> nn.Module | None:
        return self.owner._modules.get(self.name)

    def put(self, module: nn.Module) -> None:
        self.owner._modules[self.name] = module


def find(model: nn.Module) -> dict[nn.Module, list[Place]]:
    """Every recurrent layer of torch's in a model and all its places, in the order of `model.named_modules()`.

    A model that is such a layer itself has no place.
    """
    found: dict[nn.Module, list[Place]] = {model: []} if is_recurrent(model) else {}
    for path, owner in model.named_modules():
        if isinstance(owner, ScriptModule) and owner is not model and is_recurrent(owner):
            continue
        for name, child in owner._modules.items():
            if child is not None and is_recurrent(child):
                found.setdefault(child, []).append(Place(owner, name, f"{path}.{name}" if path else name))
    return found


@dataclass(frozen=True, eq=False)
class Exchange:
    """A layer, what takes its place, and the places."""

    original: nn.Module
    replacement: nn.Module
    places: tuple[Place, ...]

    @property
    def path(self) -> str:
        return self.places[0].path if self.places else "(the model)"

    def show(self, ours: bool) -> None:
        """Put the replacement or the original in all places, for a moment."""
        for place in self.places:
            place.put(self.replacement if ours else self.original)

    def put(self) -> None:
        """Put the replacement in all places, in the mode of the original."""
        self.replacement.train(self.original.training)
        self.show(True)

    def back(self) -> list[str]:
        """Put the original back in all places. Gives those where something else is by now, which stays."""
        self._return()
        strange = []
        for place in self.places:
            if place.module is self.replacement:
                place.put(self.original)
            elif place.module is not self.original:
                strange.append(place.path)
        return strange

    def _return(self) -> None:
        """What has happened to the replacement meanwhile happens to the original: other parameters, modes and hooks."""
        for name, parameter in self.replacement._parameters.items():
            if self.original._parameters.get(name) is not parameter:
                setattr(self.original, name, parameter)
        self.original.train(self.replacement.training)
        for name in HOOKS:
            self.original.__dict__[name] = self.replacement.__dict__[name]
