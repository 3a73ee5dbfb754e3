"""Which symbols, words or steps a prediction came from: gradients with respect to what each brought in.

Gradient times input is the first-order share of each symbol in the score (Shrikumar et al. 2016, arXiv:1605.01713).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ricorso.data.vocabulary import Vocabulary
from ricorso.insight.trace import traced
from ricorso.tasks.classify.task import Classifier
from ricorso.tasks.tag.data import Batches
from ricorso.tasks.tag.task import Tagger

CANDIDATES = 5


@dataclass(frozen=True)
class Saliency:
    """Where the log-probability of one next symbol came from.

    pieces: the text read; next: the symbol, with its probability. share: gradient times input for each piece, positive
    where the symbol spoke for the prediction; norm: of the gradient. likeliest: the best candidates and their chances.
    kind: "symbol", or "label" or "tag" where `next` is one of the whole text or of one step. step: the place of that
    step, from 0.
    """

    pieces: list[str]
    next: str
    probability: float
    share: list[float]
    norm: list[float]
    likeliest: list[tuple[str, float]]
    kind: str = "symbol"
    step: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        if self.kind != "symbol":
            place = {} if self.step is None else {"step": self.step + 1}
            return {
                self.kind: self.next,
                **place,
                "probability": self.probability,
                "likeliest": [{self.kind: name, "probability": p} for name, p in self.likeliest],
                "steps": [
                    {"piece": piece, "gradient_times_input": share, "gradient_norm": norm}
                    for piece, share, norm in zip(self.pieces, self.share, self.norm, strict=True)
                ],
            }
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


def labelled(classifier: Classifier, example: Any) -> Saliency:
    """What made a classifier give an example the label that it thinks likeliest.

    share: as `Classifier.explain` has it, what was counted included. norm: of the gradient of the label's score against
    the mean of all.
    """
    coding, model = classifier.coding_, classifier.model_
    batch = classifier._without_labels(classifier._steps([example])).batch(np.zeros(1, np.int64))
    read = model.embedded(batch.steps).detach().requires_grad_()
    scores = model.scores(read, batch.lengths, batch.counted)[0]
    wanted = int(scores.argmax())
    score = scores[wanted] - (scores.mean() if len(scores) > 1 else 0.0)
    (gradient,) = torch.autograd.grad(score, read)
    told = classifier.explain(example, coding.labels[wanted])
    chances = classifier._probabilities(classifier._steps([example]))[0]
    best = np.argsort(-chances, kind="stable")[:CANDIDATES]
    return Saliency(
        [piece for piece, _ in told],
        coding.labels[wanted],
        float(chances[wanted]),
        [share for _, share in told],
        gradient.norm(dim=-1)[:, 0].tolist(),
        [(coding.labels[n], float(chances[n])) for n in best],
        "label",
    )


def tagged(tagger: Tagger, sequence: Any) -> Saliency:
    """What made a tagger give a step its tag: the step of a sequence of which it is least sure.

    The score is that of the tag against the mean of all, before whole sequences of tags are weighed.
    """
    copied, layer = traced(tagger.model_)
    batch = Batches(tagger._inputs.encode([sequence])).at(np.zeros(1, np.int64))
    scores = copied(batch)
    (tags,), (chances,) = tagger.predict([sequence]), tagger.probabilities([sequence])
    names = tagger.tags_
    sure = np.array([own[names.index(tag)] for own, tag in zip(chances, tags, strict=True)])
    step = int(sure.argmin())
    wanted = int(tagger.model_.best(scores.detach().float(), batch.lengths)[0][0, step, 0])
    (gradient,) = torch.autograd.grad(scores[step, 0, wanted] - scores[step, 0].mean(), layer.entry)
    best = np.argsort(-chances[step], kind="stable")[:CANDIDATES]
    words = list(sequence) if tagger.reads_words else [f"step {n}" for n in range(1, len(sequence) + 1)]
    return Saliency(
        words,
        tags[step],
        float(sure[step]),
        (gradient * layer.entry.detach()).sum(-1)[:, 0].tolist(),
        gradient.norm(dim=-1)[:, 0].tolist(),
        [(names[n], float(chances[step, n])) for n in best],
        "tag",
        step,
    )
