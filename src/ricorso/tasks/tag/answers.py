"""What a trained model says of sequences: tags, probabilities, the best readings."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.engine.team import threads
from ricorso.errors import DataError
from ricorso.tasks.tag.data import Batches
from ricorso.tasks.tag.inputs import Inputs, Ints
from ricorso.tasks.tag.model import TagModel
from ricorso.tasks.tag.tagset import TagSet

Chances = NDArray[np.float32]
Reading = tuple[list[str], float]


@dataclass(frozen=True)
class Answers:
    """A model with what its inputs and its classes mean; threads: how many to use, None for as many as torch takes."""

    model: TagModel
    inputs: Inputs
    tag_set: TagSet
    threads: int | None

    def tags(self, sequences: list[Any]) -> list[list[str]]:
        """The best tags of each sequence."""
        return _in_order(
            (chosen, best_tags(self.model, scores, lengths, self.tag_set))
            for chosen, (scores, lengths) in self._scored(sequences)
        )

    def probabilities(self, sequences: list[Any]) -> list[Chances]:
        """The probability of each tag at each step, (steps, tags) for each sequence."""
        return _in_order((chosen, self._chances(*scored)) for chosen, scored in self._scored(sequences))

    def best(self, sequences: list[Any], count: int) -> list[list[Reading]]:
        """The most probable sequences of tags of each sequence, with their probabilities."""
        return _in_order((chosen, self._readings(*scored, count)) for chosen, scored in self._scored(sequences))

    def sure(self, sequences: list[Any]) -> tuple[list[list[str]], list[Chances]]:
        """The best tags of each sequence, and how probable each tag is."""
        places = {tag: n for n, tag in enumerate(self.tag_set.tags)}
        pairs = []
        for chosen, (scores, lengths) in self._scored(sequences):
            tags, chances = best_tags(self.model, scores, lengths, self.tag_set), self._chances(scores, lengths)
            own = [rows[range(len(rows)), [places[t] for t in told]] for told, rows in zip(tags, chances, strict=True)]
            pairs.append((chosen, list(zip(tags, own, strict=True))))
        found = _in_order(pairs)
        return [tags for tags, _ in found], [chances for _, chances in found]

    def _chances(self, scores: Tensor, lengths: Tensor) -> list[Chances]:
        classes = self.model.probabilities(scores, lengths).numpy() @ self.tag_set.sums()
        return [classes[:length, n] for n, length in enumerate(lengths.tolist())]

    def _readings(self, scores: Tensor, lengths: Tensor, count: int) -> list[list[Reading]]:
        paths, logs = self.model.best(scores, lengths, count)
        chances = logs.double().exp().T.tolist()
        rows = [paths[:, :length, n].tolist() for n, length in enumerate(lengths.tolist())]
        return [
            [(self.tag_set.decode(path), chance) for path, chance in zip(*pair, strict=True) if chance > 0]
            for pair in zip(rows, chances, strict=True)
        ]

    @torch.no_grad()
    def _scored(self, sequences: list[Any]) -> Iterator[tuple[Ints, tuple[Tensor, Tensor]]]:
        """Batches of sequences: their numbers, then scores of classes at each step, and lengths."""
        if not sequences:
            raise DataError("There are no sequences to tag.")
        for number, one in enumerate(sequences, 1):
            if not len(one):
                raise DataError(f"Sequence {number} is empty. Leave it out.")
        batches = Batches(self.inputs.encode(sequences))
        with threads(self.threads):
            for chosen, batch in batches.all():
                yield chosen, (self.model(batch), batch.lengths)


def best_tags(model: TagModel, scores: Tensor, lengths: Tensor, tags: TagSet) -> list[list[str]]:
    """The best tags of each sequence of a batch."""
    classes = model.best(scores, lengths)[0][0].T.numpy()
    return [tags.decode(row[:length]) for row, length in zip(classes, lengths.tolist(), strict=True)]


def _in_order(batches: Iterable[tuple[Ints, list[Any]]]) -> list[Any]:
    """What belongs to each sequence, from batches in any order."""
    found = [(int(n), own) for chosen, several in batches for n, own in zip(chosen, several, strict=True)]
    return [own for _, own in sorted(found, key=lambda pair: pair[0])]
