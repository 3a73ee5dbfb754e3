"""How far training has come, and the learning rate that belongs to it."""

import math
from dataclasses import dataclass

SCHEDULES = ("cosine", "constant", "plateau", "one_cycle")

# Of one cycle (arXiv:1708.07120): the share in which the rate rises, and what share of the peak it begins and ends at.
_RISE, _FIRST, _LAST = 0.3, 1 / 25, 1e-4


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


@dataclass(frozen=True)
class Schedule:
    """The learning rate over a training.

    kind: one of `SCHEDULES`. peak: the highest rate. warmup: the share of the budget in which it rises in a line, for
    all but one cycle, which has its own.
    """

    kind: str
    peak: float
    warmup: float

    def rate(self, progress: float, lowered: float = 1.0) -> float:
        """The rate at a share of the budget; lowered: what plateaus have multiplied it by.

        >>> Schedule("cosine", 1.0, 0.1).rate(0.05), Schedule("cosine", 1.0, 0.1).rate(1.0)
        (0.5, 0.0)
        >>> Schedule("one_cycle", 1.0, 0.0).rate(0.3)
        1.0
        """
        if self.kind == "one_cycle":
            if progress < _RISE:
                return self.peak * _between(_FIRST, 1.0, progress / _RISE)
            return self.peak * _between(1.0, _LAST, (progress - _RISE) / (1 - _RISE))
        if progress < self.warmup:
            # never zero, so that the very first step counts
            return self.peak * lowered * max(progress / self.warmup, 0.01)
        if self.kind == "cosine":
            return self.peak * _between(1.0, 0.0, (progress - self.warmup) / (1 - self.warmup))
        return self.peak * lowered


def _between(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))
