"""From sentences and series to what the tag task trains and measures on."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.data.conll import read_numbered
from ricorso.data.lengthwise import even_groups, within
from ricorso.data.spans import Scheme, check, first_wrong, kinds_in, scheme_of
from ricorso.data.text import wrong_character
from ricorso.data.tokens import split_words
from ricorso.errors import DataError
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.inputs import Ints, Steps, WordBatch
from ricorso.tasks.tag.series import LARGEST, read_series
from ricorso.tasks.tag.tagset import TagSet

Words = tuple[str, ...]
# the words of a sentence, or the features (time, features) of a series
Steps_ = Words | NDArray[Any]
_STEPS_AT_ONCE = 8192


@dataclass(frozen=True)
class Labelled:
    """Sequences with a tag for each step.

    path: the file they are from, if any. names: of the features, if they have any. lines: of the file in which the
    sequences begin, where it has any.
    """

    sequences: list[Any]
    tags: list[Words]
    path: str | None = None
    names: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()

    def take(self, chosen: Sequence[int]) -> "Labelled":
        """Some of the sequences."""
        return replace(
            self,
            sequences=[self.sequences[n] for n in chosen],
            tags=[self.tags[n] for n in chosen],
            lines=tuple(self.lines[n] for n in chosen) if self.lines else (),
        )

    @property
    def where(self) -> str:
        """What the data are called in messages."""
        return self.path or "The data"

    def place(self, number: int) -> str:
        """Where a sequence is, in words."""
        line = f" (from line {self.lines[number]})" if self.lines else ""
        return f"{self.where}, sequence {number + 1}{line}"

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

    def parts(self) -> list["TagBatch"]:
        """The batch itself, or smaller ones where it would be nearly all padding."""
        groups = even_groups(self.lengths.numpy())
        return [self] if len(groups) == 1 else [self._part(torch.from_numpy(places)) for places in groups]

    def _part(self, places: Tensor) -> "TagBatch":
        lengths = self.lengths[places]
        steps, classes = int(lengths.max()), self.classes
        own = self.steps[:steps, places] if isinstance(self.steps, Tensor) else self.steps.part(steps, places)
        return TagBatch(own, lengths, None if classes is None else classes[:steps, places])


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
        for chosen in within(self.lengths, _STEPS_AT_ONCE):
            yield chosen, self.at(chosen)


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
        found = read_numbered(data, config.word_column, config.tag_column, config.encoding)
        lines = tuple(line for line, _ in found)
        return Labelled([one.tokens for _, one in found], [one.tags for _, one in found], path, lines=lines)
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
        # a condition that NaN does not meet: these are missing
        too_large = np.abs(value) > LARGEST
        if too_large.any():
            step = int(too_large.any(1).argmax()) + 1
            raise DataError(
                f"Sequence {number}, step {step}: a feature is infinite or too large. Correct it, or write NaN if it "
                f"is missing."
            )
        return value
    words = tuple(value)
    if not all(isinstance(word, str) and word for word in words):
        raise DataError(f"Sequence {number} should be words that are not empty, or an array (time, features).")
    for word in words:
        if wrong := wrong_character(word):
            raise DataError(f"Sequence {number}, word {word!r:.40}: {wrong}.")
    return words


def _check_alike(sequences: Sequence[Steps_]) -> None:
    shapes = [one.shape[1] if isinstance(one, np.ndarray) else 0 for one in sequences]
    for number, width in enumerate(shapes, 1):
        if width != shapes[0]:
            told = [f"{w} features" if w else "words" for w in (width, shapes[0])]
            raise DataError(f"Sequence {number} has {told[0]} at each step, and those before {told[1]}.")


def scheme_for(data: Labelled, config: TagConfig) -> Scheme | None:
    """The scheme that the config names, or that is found in the tags. Raises DataError where no tag is of that."""
    if config.scheme == "none":
        return None
    if config.scheme and not kinds_in(data.tags):
        found = ", ".join(f"'{tag}'" for tag in sorted({tag for tags in data.tags for tag in tags})[:5])
        raise DataError(
            f"{data.where}: no tag marks a span as {config.scheme} does, such as 'B-PER'; there are {found}. "
            f"Leave out scheme (--scheme), or look at the column of tags (--tag-column)."
        )
    return config.scheme or scheme_of(data.tags)


def check_tags(data: Labelled, scheme: Scheme | None, config: TagConfig) -> int:
    """How many sequences have tags that the scheme does not allow; an error where the config wants one."""
    if scheme is None:
        return 0
    wrong = [n for n, tags in enumerate(data.tags) if first_wrong(tags, scheme) is not None]
    if wrong and config.invalid == "error":
        check(data.tags[wrong[0]], scheme, data.place(wrong[0]))
    return len(wrong)


def split(data: Labelled, config: TagConfig) -> tuple[Labelled, Labelled | None]:
    """Part of the sequences, drawn at random, for validation; each tag stays in one of training at least."""
    total = len(data.tags)
    wanted = max(1, round(total * config.validation_fraction)) if config.validation_fraction and total > 1 else 0
    kinds = [set(tags) for tags in data.tags]
    left = Counter(tag for own in kinds for tag in own)
    held: list[int] = []
    for n in np.random.default_rng((config.seed, 7)).permutation(total).tolist():
        if len(held) < wanted and all(left[tag] > 1 for tag in kinds[n]):
            held.append(n)
            left.subtract(kinds[n])
    if not held:
        return data, None
    return data.take(sorted({*range(total)} - {*held})), data.take(sorted(held))


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


def check_learnable(train: Labelled, held_out: Labelled | None, tags: TagSet) -> None:
    """Raise DataError where there is nothing to tell apart, or data for validation are of another kind."""
    if len(tags.tags) < 2:
        raise DataError(
            f"{train.where}: all steps have the tag '{tags.tags[0]}'; at least two different ones are needed to learn. "
            f"Look at the column of tags."
        )
    if held_out is not None and held_out.series != train.series:
        got, wanted = ("series of numbers", "words")[:: 1 if held_out.series else -1]
        raise DataError(f"{held_out.where} holds {got}; the training data are {wanted}.")
