"""Which symbols a prediction came from: gradients with respect to what each symbol brought in.

Gradient times input is the first-order share of each symbol in the score (Shrikumar et al. 2016, arXiv:1605.01713).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ricorso.data.vocabulary import Vocabulary
from ricorso.insight.trace import traced

CANDIDATES = 5


@dataclass(frozen=True)
class Saliency:
    """Where the log-probability of one next symbol came from.

    pieces: the text read; next: the symbol, with its probability. share: gradient times input for each piece, positive
    where the symbol spoke for the prediction; norm: of the gradient. likeliest: the best candidates and their chances.
    """

    pieces: list[str]
    next: str
    probability: float
    share: list[float]
    norm: list[float]
    likeliest: list[tuple[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "text": "".join(self.pieces),
            "next": self.next,
            "probability": self.probability,
            "likeliest": [{"symbol": symbol, "probability": p} for symbol, p in self.likeliest],
            "symbols": [
                {"symbol": piece, "gradient_times_input": share, "gradient_norm": norm}
                for piece, share, norm in zip(self.pieces, self.share, self.norm, strict=True)
            ],
        }


def saliency(
    model: torch.nn.Module, vocabulary: Vocabulary, ids: NDArray[np.integer], target: int | None = None
) -> Saliency:
    """What made a model expect a symbol after others. target: left out, the likeliest one."""
    copied, layer = traced(model, last_only=True)
    scores, _ = copied(torch.from_numpy(ids.astype(np.int64))[:, None])
    logs = scores[0].log_softmax(-1)
    wanted = int(logs.argmax()) if target is None else target
    (gradient,) = torch.autograd.grad(logs[wanted], layer.entry)
    chances = logs.detach().exp()
    best = chances.topk(min(CANDIDATES, len(chances)))
    decoder = vocabulary.decoder()
    return Saliency(
        [decoder.push(int(symbol)) for symbol in ids],
        vocabulary.decode([wanted]),
        float(chances[wanted]),
        (gradient * layer.entry.detach()).sum(-1)[:, 0].tolist(),
        gradient.norm(dim=-1)[:, 0].tolist(),
        [(vocabulary.decode([int(i)]), float(p)) for p, i in zip(best.values, best.indices, strict=True)],
    )
