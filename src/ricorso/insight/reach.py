"""Gradient reach: how much of the gradient of a loss arrives so many steps earlier.

Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063; Hochreiter 1991 found why it vanishes.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ricorso.insight.trace import LayerTrace, Traced

ARRIVES = 0.01
TINY = 1e-300


@dataclass(frozen=True)
class Reach:
    """The gradient of a loss with respect to the states of one layer, k = 0, 1, ... steps earlier.

    layer: counted from 1. together: norm over all states; output: norm over the output state alone. Both are means over
    the sequences. direction: "forward" or "backward" in a model that reads whole sequences, whose backward layers are
    followed from the first step towards the last; None where there is one direction. direct: the norm over all states
    where the loss also reads every step directly, as pooling does; None where it does not.
    """

    layer: int
    together: list[float]
    output: list[float]
    direction: str | None = None
    direct: list[float] | None = None

    @property
    def place(self) -> str:
        """The layer, and the direction where there are two.

        >>> Reach(2, [], [], "backward").place
        '2, backward'
        """
        return place(self.layer, self.direction)

    @property
    def whole(self) -> float:
        """What shares are taken of: the norm at the step of the loss, or one earlier where that is larger.

        At the step of the loss only the output has a gradient, which in some cells is not what is carried on.
        """
        return max(self.together[:2], default=0.0)

    @property
    def shares(self) -> list[float]:
        """The norm over all states as shares of the `whole`."""
        return [value / self.whole if self.whole else 0.0 for value in self.together]

    @property
    def half_life(self) -> float | None:
        """In how many steps the norm halves, by a straight line through its logarithm; None where it does not fall."""
        return half_life(self.together)

    @property
    def arrives(self) -> int:
        """How many steps back a hundredth of the gradient still arrives, counted without a gap."""
        gone = (k for k, share in enumerate(self.shares) if k and not share >= ARRIVES)
        return next(gone, len(self.shares)) - 1

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        norms: dict[str, Any] = {"all_states": self.together, "output": self.output}
        own: dict[str, Any] = {"layer": self.layer}
        if self.direction is not None:
            own["direction"] = self.direction
        if self.direct is not None:
            norms["with_direct_reading"] = self.direct
        return own | {"half_life": self.half_life, "arrives": self.arrives, "norms": norms}


def place(layer: int, direction: str | None) -> str:
    """The name of a layer in one direction."""
    return str(layer) if direction is None else f"{layer}, {direction}"


def half_life(norms: list[float]) -> float | None:
    """In how many steps a sequence of norms halves; the first is left out, and so is what has vanished altogether.

    >>> half_life([7.0, 1.0, 0.5, 0.25])
    1.0
    """
    points = [(k, math.log(norm)) for k, norm in enumerate(norms) if k and norm > TINY and math.isfinite(norm)]
    if len(points) < 2:
        return 0.0 if len(norms) > 2 else None
    mean_k, mean_log = (sum(column) / len(points) for column in zip(*points, strict=True))
    slope = sum((k - mean_k) * (log - mean_log) for k, log in points) / sum((k - mean_k) ** 2 for k, _ in points)
    return -math.log(2) / slope if slope < -1e-12 else None


def reach(traced: Traced, losses: Tensor, reverse: bool = False, most: int | None = None) -> list[Reach]:
    """The reach of losses (batch) in each layer that reads in one direction, after a call of `traced`.

    Steps are counted from the last one of each sequence, with `reverse` from the first one, as far as the shortest
    sequence goes, or to `most` steps. One backward pass.
    """
    layers = [layer for layer in traced.layers if layer.reverse == reverse]
    named = "backward" if reverse else "forward"
    direction = named if len(traced.directions) > 1 else None
    return [
        Reach(layer.number, together, output, direction)
        for layer, (together, output) in zip(layers, _curves(traced, layers, losses, most), strict=True)
    ]


def reach_direct(traced: Traced, losses: Tensor, reverse: bool = False, most: int | None = None) -> list[list[float]]:
    """The norms over all states, layer by layer as in `reach`, of losses that read every step directly."""
    layers = [layer for layer in traced.layers if layer.reverse == reverse]
    return [together for together, _ in _curves(traced, layers, losses, most)]


def log_odds(scores: Tensor, several: bool = False) -> Tensor:
    """Of the likeliest label against all others, (batch), from scores (batch, labels).

    several: each label is against its own absence. Unlike a probability they go on growing as a model becomes sure.

    >>> round(log_odds(torch.tensor([[0.1, 0.75, 0.15]]).log()).exp().item(), 4)
    3.0
    """
    scores = scores.double()
    highest, best = scores.max(-1)
    if several or scores.shape[-1] == 1:
        return highest
    return highest - scores.scatter(-1, best[..., None], -torch.inf).logsumexp(-1)


def _curves(
    traced: Traced, layers: list[LayerTrace], losses: Tensor, most: int | None
) -> list[tuple[list[float], list[float]]]:
    """For each layer the mean norms over all states and over the output, 0, 1, ... steps from the end read last."""
    wanted = [state for layer in layers for step in layer.states for state in step]
    gradients = iter(torch.autograd.grad(losses.sum(), wanted, retain_graph=True, allow_unused=True))
    found = []
    for layer in layers:
        norms = torch.stack([torch.stack([_norms(next(gradients), s) for s in step]) for step in layer.states])
        steps, _, batch = norms.shape
        lengths = torch.full((batch,), steps) if traced.lengths is None else traced.lengths
        back = torch.arange(int(lengths.min()))[:most, None]
        rows = back.expand(-1, batch) if layer.reverse else lengths - 1 - back
        counted = norms.transpose(1, 2)[rows, torch.arange(batch)]
        found.append((counted.norm(dim=-1).mean(1).tolist(), counted[..., 0].mean(1).tolist()))
    return found


def _norms(gradient: Tensor | None, state: Tensor) -> Tensor:
    """The norm of each sequence's gradient; a state that nothing reads any more has none."""
    return state.new_zeros(len(state)) if gradient is None else gradient.norm(dim=-1)
