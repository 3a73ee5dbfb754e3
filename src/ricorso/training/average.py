"""An average of the weights over steps: usually better than the last weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# Each pass over the weights costs as much as a part of the optimiser's; every fourth step averages as well.
_EVERY = 4


class WeightAverage:
    """The moving average of a model's parameters, with `decay` a step (0: the weights as they are).

    Early on the average is over fewer steps, so that the first weights do not linger. evenly: from `begin` on all
    weights count alike (Polyak & Juditsky 1992); until then there is no average.
    """

    def __init__(self, model: nn.Module, decay: float, evenly: bool = False) -> None:
        self.decay, self.evenly = decay, evenly
        self._begun: int | None = None
        self._names = [name for name, _ in model.named_parameters()]
        self._live = [p.detach() for p in model.parameters()]
        self._mean = [p.clone() for p in self._live] if decay or evenly else self._live

    @property
    def active(self) -> bool:
        """Whether the average is another thing than the weights themselves."""
        return self._begun is not None if self.evenly else self.decay > 0

    @torch.no_grad()
    def begin(self, step: int) -> None:
        """Average evenly from the weights after this step on."""
        self._begun = step
        torch._foreach_copy_(self._mean, self._live)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the present weights in; `step` counts the steps taken so far."""
        if not self.active or step % _EVERY:
            return
        if self._begun is not None:
            share = 1 / (1 + max(1, (step - self._begun + _EVERY - 1) // _EVERY))
        else:
            share = 1 - min(self.decay**_EVERY, step / (step + 10 * _EVERY))
        torch._foreach_lerp_(self._mean, self._live, share)

    @contextmanager
    @torch.no_grad()
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged weights; afterwards its own, bit for bit."""
        if not self.active:
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
        kept = self._mean if self.active else self._live
        return {name: p.clone() for name, p in zip(self._names, kept, strict=True)}

    @torch.no_grad()
    def restore(self, weights: dict[str, Tensor], begun: int | None) -> None:
        """Take the averaged weights from a checkpoint; begun: the step at which averaging evenly began."""
        self._begun = begun
        if self.active:
            for name, mean in zip(self._names, self._mean, strict=True):
                mean.copy_(weights[name])
