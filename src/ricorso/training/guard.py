"""Keeping a step that went wrong out of the weights."""

import math

from ricorso.errors import TrainingError

LIMIT = 20


class Guard:
    """Skips steps whose loss or gradient is not finite, counts them, and gives up when they do not stop.

    Raises TrainingError, with advice, after `LIMIT` such steps in a row.
    """

    def __init__(self, skipped: int = 0, in_a_row: int = 0) -> None:
        self.skipped = skipped
        self.in_a_row = in_a_row

    def passes(self, loss: float, norm: float) -> bool:
        """Whether a step with this loss and gradient norm may change the weights."""
        if math.isfinite(loss) and math.isfinite(norm):
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row >= LIMIT:
            what = "loss" if not math.isfinite(loss) else "gradient"
            raise TrainingError(
                f"Training has diverged: the {what} was not finite in {LIMIT} steps in a row, which were skipped. "
                f"Try a learning_rate three times smaller, a smaller clip, or a longer warmup."
            )
        return False
