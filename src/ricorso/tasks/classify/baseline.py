"""What costs nothing to try first: counted words, or the mean and spread of a recording."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ricorso.data.tokens import split_words

Flags = NDArray[np.bool_]

# a text of fewer is a name, or a word
_FEW_WORDS = 3


class BagOfWords:
    """Naive Bayes over words and pairs of neighbours that occur in a text (Wang & Manning 2012, without the SVM).

    Of names and single words, over groups of up to three letters. Each label is told apart from the rest on its own.
    """

    def __init__(self, texts: Sequence[str], targets: Flags) -> None:
        names = sum(len(split_words(text)) < _FEW_WORDS for text in texts)
        self.name = "bag of letter groups" if 2 * names > len(texts) else "bag of words"
        self._number: dict[str, int] = {}
        counts: list[Counter[int]] = [Counter() for _ in range(targets.shape[1])]
        whole: Counter[int] = Counter()
        for text, own in zip(texts, targets, strict=True):
            found = [self._number.setdefault(gram, len(self._number)) for gram in _grams(text)]
            whole.update(found)
            for label in np.flatnonzero(own):
                counts[label].update(found)
        size = len(self._number)
        everywhere = np.array([whole[n] for n in range(size)], float)
        inside = np.array([[count[n] for n in range(size)] for count in counts], float).reshape(-1, size)
        share = targets.mean(0).clip(1e-6, 1 - 1e-6)
        self._prior = np.log(share / (1 - share))
        own, other = inside + 1, everywhere - inside + 1
        self._weight = np.log(own / own.sum(1, keepdims=True)) - np.log(other / other.sum(1, keepdims=True))

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts, labels): logarithms of odds."""
        rows = [[self._number[gram] for gram in _grams(text) if gram in self._number] for text in texts]
        return np.array([self._prior + self._weight[:, row].sum(1) for row in rows])


class Summary:
    """Ridge regression on mean, spread, extremes, roughness and length of each feature of a recording."""

    name = "summary of each recording"

    def __init__(self, recordings: Sequence[NDArray[np.float32]], targets: Flags, ridge: float = 1.0) -> None:
        rows = np.array([_summary(recording) for recording in recordings])
        self._mean, self._size = rows.mean(0), rows.std(0) + 1e-9
        known = np.column_stack([(rows - self._mean) / self._size, np.ones(len(rows))])
        left = known.T @ known + ridge * np.eye(known.shape[1])
        self._weight = np.linalg.solve(left, known.T @ (2.0 * targets - 1))

    def scores(self, recordings: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """(recordings, labels)."""
        rows = (np.array([_summary(recording) for recording in recordings]) - self._mean) / self._size
        found: NDArray[np.float64] = np.column_stack([rows, np.ones(len(rows))]) @ self._weight
        return found


def simple(inputs: Sequence[str] | Sequence[NDArray[np.float32]], targets: Flags) -> BagOfWords | Summary:
    """The simple method that suits the examples, learnt."""
    if isinstance(inputs[0], str):
        return BagOfWords([str(text) for text in inputs], targets)
    return Summary([np.asarray(recording, np.float32) for recording in inputs], targets)


def likeliest(scores: NDArray[np.float64]) -> Flags:
    """The one label that scores speak for most, of each example."""
    found = np.zeros(scores.shape, np.bool_)
    found[np.arange(len(scores)), scores.argmax(1)] = True
    return found


def _grams(text: str) -> set[str]:
    words = split_words(text)
    if len(words) < _FEW_WORDS:
        # a name or a word: its letters say more
        marked = f"^{text.lower()}$"
        return {marked[n : n + size] for size in (1, 2, 3) for n in range(len(marked) - size + 1)}
    return {*words, *(f"{a} {b}" for a, b in pairwise(words))}


def _summary(recording: NDArray[np.float32]) -> NDArray[np.float64]:
    values = np.nan_to_num(recording.astype(np.float64))
    changes = np.abs(np.diff(values, axis=0)).mean(0) if len(values) > 1 else np.zeros(values.shape[1])
    parts = [values.mean(0), values.std(0), values.min(0), values.max(0), changes, [np.log(len(values))]]
    return np.concatenate(parts)
