"""From sentences and series to what the tag task trains and measures on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.data.conll import read_tagged
from ricorso.data.spans import Scheme, check, first_wrong, scheme_of
from ricorso.data.tokens import split_words
from ricorso.errors import DataError
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.inputs import Ints, SeriesInputs, Steps, WordBatch
from ricorso.tasks.tag.series import read_series
from ricorso.tasks.tag.tagset import TagSet

Words = tuple[str, ...]
# the words of a sentence, or the features (time, features) of a series
Steps_ = Words | NDArray[Any]
_STEPS_AT_ONCE = 8192


@dataclass(frozen=True)
class Labelled:
    """Sequences with a tag for each step.

    path: the file they are from, if any. names: of the features, if they have any.
    """

    sequences: list[Any]
    tags: list[Words]
    path: str | None = None
    names: tuple[str, ...] = ()

    def take(self, chosen: Sequence[int]) -> "Labelled":
        """Some of the sequences."""
        return replace(self, sequences=[self.sequences[n] for n in chosen], tags=[self.tags[n] for n in chosen])

    @property
    def series(self) -> bool:
        """Whether the steps are rows of numbers."""
        return isinstance(self.sequences[0], np.ndarray)

    @property
    def steps(self) -> int:
        return sum(len(tags) for tags in self.tags)

    def fingerprint(self) -> dict[str, Any]:
        """By what the data are recognised again."""
        digest = hashlib.sha256()
        for sequence, tags in zip(self.sequences, self.tags, strict=True):
            own = sequence.tobytes() if isinstance(sequence, np.ndarray) else "\t".join(sequence).encode()
            digest.update(own + b"\n" + "\t".join(tags).encode() + b"\n")
        return {
            "path": self.path,
            "sequences": len(self.tags),
            "steps": self.steps,
            "sha256": digest.hexdigest(),
        }


@dataclass(frozen=True)
class TagBatch:
    """Sequences side by side: the steps, how many each has, and their classes (time, batch) where they are known."""

    steps: WordBatch | Tensor
    lengths: Tensor
    classes: Tensor | None = None


class Batches:
    """Sequences as numbers, with their classes where they are known."""

    def __init__(self, steps: Steps, classes: Sequence[Ints] | None = None) -> None:
        self.steps, self.lengths = steps, steps.lengths
        self._classes = None if classes is None else np.concatenate(classes)
        self._begin = np.cumsum(self.lengths) - self.lengths

    def at(self, chosen: Ints) -> TagBatch:
        """The sequences of these numbers."""
        lengths = self.lengths[chosen]
        classes = None
        if self._classes is not None:
            steps = np.arange(lengths.max())[:, None]
            classes = torch.from_numpy(self._classes[self._begin[chosen] + np.where(steps < lengths, steps, 0)])
        return TagBatch(self.steps.batch(chosen), torch.from_numpy(lengths), classes)

    def all(self) -> Iterator[tuple[Ints, TagBatch]]:
        """Every sequence once, similar lengths together: the numbers of each batch, and the batch."""
        order = np.argsort(self.lengths, kind="stable")
        begin = 0
        while begin < len(order):
            # so many that, padded, they stay within the limit
            ends = self.lengths[order[begin:]] * np.arange(1, len(order) - begin + 1)
            count = max(1, int(np.searchsorted(ends, _STEPS_AT_ONCE, side="right")))
            chosen = order[begin : begin + count]
            yield chosen, self.at(chosen)
            begin += count


@dataclass(frozen=True)
class TagData:
    """Sequences to train on and, where there are any, to validate on; the table of given vectors."""

    train: Labelled
    validation: Labelled | None
    vectors: NDArray[np.float32] | None = None


def read(data: Any, config: TagConfig, features: tuple[str, ...] = ()) -> Labelled:
    """Labelled sequences: the path of a file, or a list of pairs of words (or features) and tags.

    features: the columns of a table of series that are read, where they are known. Raises DataError for what cannot be
    used, with its place.
    """
    if isinstance(data, Labelled):
        return data
    if isinstance(data, str | Path):
        path = None if str(data) == "-" else str(Path(data).resolve())
        if config.column is not None:
            names, series, told = read_series(data, config, features)
            return Labelled(list(series), told, path, names)
        found = read_tagged(data, config.word_column, config.tag_column, config.encoding)
        return Labelled([one.tokens for one in found], [one.tags for one in found], path)
    pairs = list(data)
    if not pairs:
        raise DataError("There are no sequences to learn from or to measure on.")
    sequences: list[Any] = []
    tags: list[Words] = []
    for number, pair in enumerate(pairs, 1):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(f"Sequence {number} is {pair!r:.60}; wanted a pair of words and tags.")
        sequence = as_sequence(pair[0], number)
        own: Words = tuple(pair[1])
        if not all(isinstance(tag, str) for tag in own):
            raise DataError(f"Sequence {number} has tags that are not texts; wanted a text for each step.")
        if len(own) != len(sequence):
            raise DataError(f"Sequence {number} has {len(sequence)} steps and {len(own)} tags; wanted a tag for each.")
        if not own:
            raise DataError(f"Sequence {number} is empty. Leave it out.")
        sequences.append(sequence)
        tags.append(own)
    _check_alike(sequences)
    return Labelled(sequences, tags)


def as_sequence(value: Any, number: int) -> Steps_:
    """Words of a sentence, or features (time, features); a text is split. Raises DataError."""
    if isinstance(value, str):
        return tuple(split_words(value, lower=False))
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        if value.ndim != 2:
            raise DataError(f"Sequence {number} has the shape {value.shape}; wanted (time, features).")
        if not np.isfinite(value).all():
            step = int((~np.isfinite(value)).any(1).argmax())
            raise DataError(f"Sequence {number}, step {step}: a feature is missing or infinite. Fill it in.")
        return value
    words = tuple(value)
    if not all(isinstance(word, str) and word for word in words):
        raise DataError(f"Sequence {number} should be words that are not empty, or an array (time, features).")
    return words


def _check_alike(sequences: Sequence[Steps_]) -> None:
    shapes = [one.shape[1] if isinstance(one, np.ndarray) else 0 for one in sequences]
    for number, width in enumerate(shapes, 1):
        if width != shapes[0]:
            told = [f"{w} features" if w else "words" for w in (width, shapes[0])]
            raise DataError(f"Sequence {number} has {told[0]} at each step, and those before {told[1]}.")


def scheme_for(data: Labelled, config: TagConfig) -> Scheme | None:
    """The scheme that the config names, or that is found in the tags."""
    if config.scheme == "none":
        return None
    return config.scheme or scheme_of(data.tags)


def check_tags(data: Labelled, scheme: Scheme | None, config: TagConfig) -> int:
    """How many sequences have tags that the scheme does not allow; an error where the config wants one."""
    if scheme is None:
        return 0
    wrong = [n for n, tags in enumerate(data.tags) if first_wrong(tags, scheme) is not None]
    if wrong and config.invalid == "error":
        check(data.tags[wrong[0]], scheme, f"{data.path or 'The data'}, sequence {wrong[0] + 1}")
    return len(wrong)


def split(data: Labelled, config: TagConfig) -> tuple[Labelled, Labelled | None]:
    """Part of the sequences, drawn at random, for validation."""
    count = round(len(data.tags) * config.validation_fraction)
    if config.validation_fraction and not count and len(data.tags) > 1:
        count = 1
    if not count:
        return data, None
    order = np.random.default_rng((config.seed, 7)).permutation(len(data.tags))
    return data.take(sorted(order[count:])), data.take(sorted(order[:count]))


def usual_tags(data: Labelled, tags: TagSet) -> dict[str, str]:
    """The most frequent tag of each word, and of all words under the empty text."""
    counts: dict[str, dict[str, int]] = {"": {}}
    for words, own in zip(data.sequences, data.tags, strict=True):
        names = [""] * len(own) if data.series else words
        for word, tag in zip(names, tags.told(own), strict=True):
            for key in {word, ""}:
                found = counts.setdefault(key, {})
                found[tag] = found.get(tag, 0) + 1
    return {word: max(sorted(found), key=found.__getitem__) for word, found in counts.items()}


def encoded(data: Labelled, inputs: Any, tags: TagSet) -> Batches:
    """Labelled sequences as numbers."""
    return Batches(inputs.encode(data.sequences), [tags.encode(own) for own in data.tags])


def check_learnable(data: Labelled, tags: TagSet, inputs: Any) -> None:
    """Raise DataError where there is nothing to tell apart."""
    if len(tags.tags) < 2:
        raise DataError(f"All steps have the tag '{tags.tags[0]}'; at least two different ones are needed to learn.")
    if isinstance(inputs, SeriesInputs) != data.series:
        raise DataError("The validation data are not of the kind of the training data.")
