"""How examples become numbers, and labels too: what is learnt from the training data once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ricorso.data.bpe import BpeVocabulary
from ricorso.data.examples import Examples
from ricorso.data.grapheme import graphemes, has_clusters
from ricorso.data.scale import Scale
from ricorso.data.text import shown
from ricorso.data.tokens import TokenVocabulary, split_words
from ricorso.data.vocabularies import Read, read_any_vocabulary
from ricorso.data.vocabulary import ByteVocabulary, CharacterVocabulary
from ricorso.errors import DataError, RunError, UsageError
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.grams import Grams

Steps = NDArray[np.int32] | NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """Columns of recordings, and their scale."""

    names: tuple[str, ...]
    scale: Scale

    @property
    def size(self) -> int:
        """Numbers of a step."""
        return self.scale.size

    def encode(self, recording: NDArray[np.float32]) -> NDArray[np.float32]:
        """A recording (steps, features) as the model reads it; missing values are 0, and marked if they may occur."""
        if recording.ndim == 1 and len(self.names) == 1:
            recording = recording[:, None]
        if recording.ndim != 2 or recording.shape[1] != len(self.names) or not len(recording):
            raise DataError(
                f"A recording has the shape {recording.shape}; wanted (steps, {len(self.names)}), as in training."
            )
        if np.isinf(recording).any():
            raise DataError("A recording holds an infinite value. Correct it, or write NaN if it is missing.")
        return self.scale(recording)


@dataclass(frozen=True)
class Given:
    """Vectors from a file. learnt: symbols that the training texts hold too, with the unknown one; width: numbers of a
    vector."""

    learnt: int
    width: int


@dataclass(frozen=True)
class Coding:
    """Labels by number, the vocabulary of texts or the scale of recordings, what symbols say when counted, and whether
    there are given vectors of some."""

    labels: tuple[str, ...]
    several: bool
    vocabulary: Read | None
    features: Features | None
    grams: Grams | None = None
    given: Given | None = None

    @classmethod
    def of(cls, examples: Examples, config: ClassifyConfig, vocabulary: Read | None = None) -> Self:
        """From training examples and a config with everything chosen. Raises DataError for a single class.

        vocabulary: that of the texts, where it is not learnt from them.
        """
        assert examples.labels is not None
        counts = Counter(label for own in examples.labels for label in own)
        labels = tuple(sorted(counts, key=_in_order))
        if len(labels) < 2 and not examples.several:
            raise DataError(
                f"{examples.where}: every example has the label {shown(labels[0] if labels else '')}. "
                "At least two classes are needed; look at the label column."
            )
        if examples.is_text:
            vocabulary = vocabulary or _vocabulary(list(map(str, examples.inputs)), config)
            return cls(labels, examples.several, vocabulary, None)
        recordings = [np.asarray(recording, np.float32) for recording in examples.inputs]
        return cls(labels, examples.several, None, Features(examples.features, Scale.of(recordings)))

    def with_vectors(self, words: Sequence[str], width: int) -> Self:
        """The coding with vectors of words from a file; words that only the file knows become symbols too."""
        own = self.vocabulary
        if not isinstance(own, TokenVocabulary):
            raise UsageError("vectors are of words; the texts are read otherwise. Give level=word.")
        known = set(own.symbols)
        others = dict.fromkeys(word.lower() if own.lower else word for word in words)
        vocabulary = TokenVocabulary((*own.symbols, *(word for word in others if word not in known)), own.lower)
        return replace(self, vocabulary=vocabulary, given=Given(len(own), width))

    def table(self, words: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The vector of each symbol, (symbols, width), zero where there is none; of two cases of a word the first."""
        assert isinstance(self.vocabulary, TokenVocabulary)
        numbers = {symbol: n for n, symbol in enumerate(self.vocabulary.symbols, 1)}
        found = np.zeros((len(self.vocabulary), vectors.shape[1]), np.float32)
        for word, vector in zip(reversed(words), vectors[::-1], strict=True):
            number = numbers.get(word.lower() if self.vocabulary.lower else word)
            if number is not None:
                found[number] = vector
        return found

    @property
    def symbols(self) -> int:
        """How many different symbols there are; 0 for recordings."""
        return 0 if self.vocabulary is None else len(self.vocabulary)

    @property
    def size(self) -> int:
        """Numbers of a step of a recording."""
        return 0 if self.features is None else self.features.size

    def encode(self, one: str | NDArray[Any]) -> Steps:
        """An example as the model reads it: (steps,) ids or (steps, numbers). Raises DataError for the wrong kind."""
        if self.vocabulary is not None:
            if not isinstance(one, str):
                raise DataError(f"This classifier was trained on texts; it got a {type(one).__name__}.")
            ids = self.vocabulary.encode(one)
            return ids if len(ids) else np.zeros(1, np.int32)
        assert self.features is not None
        if isinstance(one, str):
            raise DataError("This classifier was trained on recordings; it got a text.")
        return self.features.encode(np.asarray(one, np.float32))

    def counted(self, steps: Sequence[Steps]) -> NDArray[np.float32] | None:
        """What counting says of the labels of encoded examples, (examples, labels); None where nothing is counted."""
        return None if self.grams is None else self.grams.scores(steps)

    def pieces(self, one: str | NDArray[Any]) -> list[str]:
        """What of an example each of its steps stands for."""
        if self.vocabulary is None or not isinstance(one, str):
            return [f"step {n}" for n in range(1, len(one) + 1)]
        if isinstance(self.vocabulary, TokenVocabulary):
            found = self.vocabulary.pieces(one)
        elif isinstance(self.vocabulary, CharacterVocabulary):
            found = list(graphemes(one) if has_clusters(set(one)) else one)
        else:
            found = [self.vocabulary.decode([n]) for n in self.vocabulary.encode(one).tolist()]
        return found or [""]

    def targets(self, labels: Sequence[tuple[str, ...]]) -> NDArray[np.bool_]:
        """(examples, labels) of labels that were there in training, which reading the examples has made sure of."""
        number = {label: n for n, label in enumerate(self.labels)}
        found = np.zeros((len(labels), len(self.labels)), np.bool_)
        for row, own in enumerate(labels):
            for label in own:
                found[row, number[label]] = True
        return found

    def named(self, chosen: NDArray[np.bool_]) -> list[str] | list[tuple[str, ...]]:
        """Labels of (examples, labels)."""
        if self.several:
            return [tuple(self.labels[n] for n in np.flatnonzero(row)) for row in chosen]
        return [self.labels[n] for n in chosen.argmax(1)]

    def to_json(self) -> dict[str, Any]:
        """The coding as data."""
        features = None
        if self.features is not None:
            features = {"names": list(self.features.names), **self.features.scale.to_json()}
        vocabulary = None if self.vocabulary is None else self.vocabulary.to_json()
        given = None if self.given is None else asdict(self.given)
        found = {"labels": list(self.labels), "several": self.several, "vocabulary": vocabulary}
        return found | {"features": features, "given": given}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The coding from its data. Raises RunError when they do not describe one."""
        try:
            vocabulary, features = data["vocabulary"], data["features"]
            known = read_any_vocabulary(vocabulary) if vocabulary else None
            scale = None
            if features is not None:
                scale = Features(tuple(map(str, features["names"])), Scale.from_json(features))
            labels = tuple(map(str, data["labels"]))
            if (known is None) == (scale is None) or not labels:
                raise ValueError("neither texts nor recordings")
            given = data.get("given")
            vectors = Given(int(given["learnt"]), int(given["width"])) if given else None
            return cls(labels, bool(data["several"]), known, scale, given=vectors)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"vocabulary.json does not hold together ({error}); the run folder is damaged.") from error


def chosen_level(texts: Sequence[str]) -> str:
    """What a step of such texts is best: characters of names and single words, else words."""
    words = sum(len(split_words(text)) for text in texts[:1000])
    return "character" if words < 2 * len(texts[:1000]) else "word"


def mean_length(texts: Sequence[str], level: str) -> float:
    """About how many symbols such texts have; a part of a word counts as the word.

    >>> mean_length(["It was good.", "No!"], "word")
    3.0
    """
    some = texts[:: -(-len(texts) // 1000)]
    return sum(len(split_words(text) if level in ("word", "bpe") else text) for text in some) / len(some)


def _vocabulary(texts: list[str], config: ClassifyConfig) -> Read:
    if config.level == "byte":
        return ByteVocabulary()
    if config.level == "character":
        return CharacterVocabulary.of("\n".join(texts), config.minimum_count or 1)
    if config.level == "bpe":
        return BpeVocabulary.of("\n".join(texts), min(config.vocabulary_size, 8000))
    found = TokenVocabulary.of(texts, config.lower, config.minimum_count or 1, config.vocabulary_size)
    if not found.symbols:
        raise UsageError(f"No word occurs {config.minimum_count} times; use a smaller minimum_count.")
    return found


def _in_order(label: str) -> tuple[int, float, str]:
    """Numbers by size, then names."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
