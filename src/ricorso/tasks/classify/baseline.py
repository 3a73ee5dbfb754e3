"""What costs nothing to try first: counted words, or the mean and spread of a recording."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ricorso.data.tokens import TokenVocabulary, split_words
from ricorso.data.vocabulary import CharacterVocabulary
from ricorso.tasks.classify.grams import Grams

Flags = NDArray[np.bool_]

# a text of fewer is a name, or a word
_FEW_WORDS = 3


class BagOfWords:
    """Naive Bayes over words and pairs of neighbours; of names and single words, over groups of up to three letters."""

    def __init__(self, texts: Sequence[str], targets: Flags) -> None:
        names = 2 * sum(len(split_words(text)) < _FEW_WORDS for text in texts) > len(texts)
        self.name = "bag of letter groups" if names else "bag of words"
        self._read = _as_name if names else str
        read = [self._read(text) for text in texts]
        self._vocabulary = CharacterVocabulary.of("".join(read)) if names else TokenVocabulary.of(read)
        rows = [self._vocabulary.encode(text) for text in read]
        self._grams, _ = Grams.of(rows, targets, len(self._vocabulary), 3 if names else 2)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts, labels): logarithms of odds, up to one factor."""
        return self._grams.scores([self._vocabulary.encode(self._read(text)) for text in texts]).astype(np.float64)


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


def _as_name(text: str) -> str:
    """With marks for its ends."""
    return f"^{text.lower()}$"


def _summary(recording: NDArray[np.float32]) -> NDArray[np.float64]:
    values = np.nan_to_num(recording.astype(np.float64))
    changes = np.abs(np.diff(values, axis=0)).mean(0) if len(values) > 1 else np.zeros(values.shape[1])
    parts = [values.mean(0), values.std(0), values.min(0), values.max(0), changes, [np.log(len(values))]]
    return np.concatenate(parts)
