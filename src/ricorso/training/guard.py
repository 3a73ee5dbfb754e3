"""Keeping a step that went wrong out of the weights, and ending a training that has gone wrong."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from ricorso.errors import TrainingError
from ricorso.training.checkpoint import Cursor

# Steps in a row that may be skipped, and in which the loss may be worse than it was at the start.
LIMIT = 20
WORSE = 100
# Over how many steps, more or less, the loss is smoothed.
_WINDOW = 20


class Diverged(TrainingError):
    """A training has gone wrong and will not recover."""


@dataclass(frozen=True)
class Step:
    """What the guard sees of a step; clipped: whether its gradient was longer than the limit."""

    loss: float
    gradient_norm: float
    clipped: bool


class Guard:
    """Skips steps whose loss or gradient is not finite, and gives up when training does not recover.

    What it remembers is in the cursor. For the advice: clip, the limit of the gradient's norm or 0; learning_rate, the
    highest.
    """

    def __init__(self, cursor: Cursor, clip: float, learning_rate: float) -> None:
        self.cursor = cursor
        self.clip, self.learning_rate = clip, learning_rate

    def passes(self, step: Step) -> bool:
        """Whether a step may change the weights.

        Raises Diverged, with advice, after `LIMIT` skipped steps in a row, and after `WORSE` in which the smoothed
        loss is above the first by more than half of that and 1. Single high losses do not weigh more than that twice.
        """
        cursor = self.cursor
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient_norm)):
            cursor.skipped += 1
            cursor.skipped_in_a_row += 1
            if cursor.skipped_in_a_row >= LIMIT:
                what = "loss" if not math.isfinite(step.loss) else "gradient"
                raise Diverged(
                    f"Training has diverged: the {what} was not finite in {LIMIT} steps in a row, which were skipped. "
                    f"{self.advice(step)}"
                )
            return False
        cursor.skipped_in_a_row = 0
        self._watch(step)
        return True

    def _watch(self, step: Step) -> None:
        cursor = self.cursor
        cursor.clip_rate += (float(step.clipped) - cursor.clip_rate) / _WINDOW
        if cursor.first_loss is None or cursor.smooth_loss is None:
            cursor.first_loss = cursor.smooth_loss = step.loss
            cursor.first_norm = step.gradient_norm
            return
        margin = max(abs(cursor.first_loss) / 2, 1.0)
        limited = min(step.loss, cursor.first_loss + 2 * margin)
        cursor.smooth_loss += (limited - cursor.smooth_loss) / _WINDOW
        worse = cursor.smooth_loss > cursor.first_loss + margin
        cursor.worse_in_a_row = cursor.worse_in_a_row + 1 if worse else 0
        if cursor.worse_in_a_row >= WORSE:
            raise Diverged(
                f"Training has diverged: the loss was {cursor.first_loss:.4g} at the start and has been far above that "
                f"for {WORSE} steps; at step {cursor.step} it is {step.loss:.4g}. {self.advice(step)}"
            )

    def advice(self, step: Step) -> str:
        """What to change, and why."""
        cursor = self.cursor
        if cursor.first_loss is None:
            return (
                "No step has succeeded, so the starting weights or the data are at fault, not the learning rate: look "
                "for numbers that are not finite or very large in the data, or choose another cell or a smaller "
                "hidden_size."
            )
        smaller = f"Try a learning_rate of {self.learning_rate / 3:.2g}, a third of the present one"
        if not self.clip:
            norm = f"{step.gradient_norm:.3g}" if math.isfinite(step.gradient_norm) else "beyond all numbers"
            return f"Gradients are not clipped and their norm grew from {cursor.first_norm:.3g} to {norm}: try clip=1."
        if cursor.clip_rate > 0.5:
            return (
                f"{smaller}: {cursor.clip_rate:.0%} of the last gradients were clipped to {self.clip:g} and the steps "
                f"were still too long. A longer warmup helps where it happens early."
            )
        return f"{smaller}, or clip={self.clip / 4:g}: few gradients reached the limit of {self.clip:g}."


def not_finite(named: Iterable[tuple[str, Tensor]], most: int = 3) -> list[str]:
    """The names of the first parameters whose gradient is not finite."""
    found = (name for name, p in named if p.grad is not None and not bool(p.grad.isfinite().all()))
    return [name for name, _ in zip(found, range(most), strict=False)]
