"""Gradient reach: how much of the gradient of a loss arrives so many steps earlier.

Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063; Hochreiter 1991 found why it vanishes.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ricorso.insight.trace import Traced

ARRIVES = 0.01
TINY = 1e-300


@dataclass(frozen=True)
class Reach:
    """The gradient of a loss with respect to the states of one layer, k = 0, 1, ... steps earlier.

    layer: counted from 1. together: norm over all states; output: norm over the output state alone. Both are means over
    the sequences.
    """

    layer: int
    together: list[float]
    output: list[float]

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
        return {
            "layer": self.layer,
            "half_life": self.half_life,
            "arrives": self.arrives,
            "norms": {"all_states": self.together, "output": self.output},
        }


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


def reach(traced: Traced, losses: Tensor) -> list[Reach]:
    """The reach of the last step's losses (batch) in each layer, after a call of `traced`; one backward pass."""
    found = []
    wanted = [state for layer in traced.layers for step in layer.states for state in step]
    gradients = iter(torch.autograd.grad(losses.sum(), wanted, retain_graph=True, allow_unused=True))
    for number, layer in enumerate(traced.layers, 1):
        together, output = [], []
        for step in layer.states:
            norms = [_norms(next(gradients), state) for state in step]
            together.append(float(torch.stack(norms).norm(dim=0).mean()))
            output.append(float(norms[0].mean()))
        found.append(Reach(number, together[::-1], output[::-1]))
    return found


def _norms(gradient: Tensor | None, state: Tensor) -> Tensor:
    """The norm of each sequence's gradient; a state that nothing reads any more has none."""
    return state.new_zeros(len(state)) if gradient is None else gradient.norm(dim=-1)
