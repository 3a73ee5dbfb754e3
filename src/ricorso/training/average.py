"""An exponential moving average of the weights: usually better than the last weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# Each pass over the weights costs as much as a part of the optimiser's; every fourth step averages as well.
_EVERY = 4


class WeightAverage:
    """The moving average of a model's parameters, with `decay` a step (0: the weights as they are).

    Early on the average is over fewer steps, so that the first weights do not linger.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._names = [name for name, _ in model.named_parameters()]
        self._live = [p.detach() for p in model.parameters()]
        self._mean = [p.clone() for p in self._live] if decay else self._live

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the present weights in; `step` counts the steps taken so far."""
        if self.decay and step % _EVERY == 0:
            kept = min(self.decay**_EVERY, step / (step + 10 * _EVERY))
            torch._foreach_lerp_(self._mean, self._live, 1 - kept)

    @contextmanager
    @torch.no_grad()
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged weights; afterwards its own, bit for bit."""
        if not self.decay:
            yield
            return
        own = [p.clone() for p in self._live]
        torch._foreach_copy_(self._live, self._mean)
        try:
            yield
        finally:
            torch._foreach_copy_(self._live, own)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the averaged weights by name."""
        return {name: p.clone() for name, p in zip(self._names, self._mean, strict=True)}

    @torch.no_grad()
    def restore(self, weights: dict[str, Tensor]) -> None:
        """Take the averaged weights from a checkpoint."""
        if self.decay:
            for name, mean in zip(self._names, self._mean, strict=True):
                mean.copy_(weights[name])
