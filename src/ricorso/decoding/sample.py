"""Drawing the next symbol from a model's scores."""

import math

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import TrainingError, UsageError

Scores = NDArray[np.float32] | NDArray[np.float64]


class Sampler:
    """Chooses a symbol: temperature first, then `top_k`, then `top_p`; the same seed gives the same choices.

    temperature: 0 takes the best symbol each time (greedy), 1 draws from the model's own distribution.
    top_k: draw from the k best only. top_p: draw from the fewest symbols whose probabilities reach p.
    Raises UsageError for values out of range.

    >>> Sampler(temperature=0)(np.array([0.1, 2.0, -1.0]))
    1
    """

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> None:
        if not (math.isfinite(temperature) and temperature >= 0):
            raise UsageError(f"temperature must be 0 (greedy) or more, got {temperature}.")
        if top_k is not None and top_k < 1:
            raise UsageError(f"top_k must be 1 or more, got {top_k}.")
        if top_p is not None and not 0 < top_p <= 1:
            raise UsageError(f"top_p must be above 0 and at most 1, got {top_p}.")
        if seed is not None and seed < 0:
            raise UsageError(f"seed must be 0 or more, got {seed}.")
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self._random = np.random.default_rng(seed).random

    def __call__(self, scores: Scores) -> int:
        """The index of one symbol. scores: (symbols,), unnormalised log-probabilities, -inf for "never"."""
        best = int(scores.argmax())
        highest = float(scores[best])
        if not math.isfinite(highest):
            raise TrainingError(
                "The model's scores are not finite; it cannot write. Train it again at a lower learning rate."
            )
        if self.temperature == 0:
            return best
        chances = np.subtract(scores, highest, dtype=np.float64)
        chances /= self.temperature
        if self.top_k is not None and self.top_k < len(chances):
            _keep_top_k(chances, self.top_k)
        np.exp(chances, out=chances)
        if self.top_p is not None and self.top_p < 1:
            _keep_top_p(chances, self.top_p)
        steps = chances.cumsum()
        drawn = int(steps.searchsorted(self._random() * steps[-1], side="right"))
        return drawn if drawn < len(steps) else best


def _keep_top_k(log_chances: NDArray[np.float64], k: int) -> None:
    rest = np.argpartition(log_chances, len(log_chances) - k)[: len(log_chances) - k]
    log_chances[rest] = -np.inf


def _keep_top_p(chances: NDArray[np.float64], p: float) -> None:
    order = np.argsort(-chances, kind="stable")
    reached = chances[order].cumsum()
    needed = int(reached.searchsorted(p * reached[-1], side="left")) + 1
    chances[order[needed:]] = 0.0
