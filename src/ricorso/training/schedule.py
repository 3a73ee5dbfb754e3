"""How far training has come, and the learning rate that belongs to it."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """When training ends: after so many steps, after so many seconds, or at whichever comes first.

    >>> Budget(steps=100).progress(step=25, seconds=3.0)
    0.25
    """

    steps: int | None = None
    seconds: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """The share of the budget that is used: 0 at the start, 1 when training ends."""
        by_steps = step / self.steps if self.steps else 0.0
        by_seconds = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_seconds))


def learning_rate(progress: float, peak: float, warmup: float) -> float:
    """Linear warm-up over the share `warmup` of the budget, then half a cosine down to zero.

    >>> learning_rate(0.05, peak=1.0, warmup=0.1), learning_rate(1.0, peak=1.0, warmup=0.1)
    (0.5, 0.0)
    """
    if progress < warmup:
        # never zero, so that the very first step counts
        return peak * max(progress / warmup, 0.01)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) if warmup < 1 else peak
