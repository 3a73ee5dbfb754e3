"""What the steps of sequences are for the model: words with their letters, or rows of numbers."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.data.scale import Scale
from ricorso.errors import DataError, RunError

Ints = NDArray[np.int64]

_DIGIT = re.compile(r"\d")
# of longer words the first and the last letters are read
_LETTERS = 40


def normal(word: str) -> str:
    """A word as it is looked up: in lower case, every digit a 0.

    >>> normal("In1996")
    'in0000'
    """
    return _DIGIT.sub("0", word.lower())


@dataclass(frozen=True)
class WordBatch:
    """Words of a batch, (time, batch), by number; `forms` says which of the distinct ones each is.

    letters: of the distinct words, (letters, words); counts: how many each has, (words). vectors: (time, batch), rows
    in the table of given vectors, where there is one.
    """

    words: Tensor
    forms: Tensor
    letters: Tensor
    counts: Tensor
    vectors: Tensor | None

    def part(self, steps: int, places: Tensor) -> "WordBatch":
        """The first steps of the sequences at these places."""
        distinct, forms = torch.unique(self.forms[:steps, places], return_inverse=True)
        counts = self.counts[distinct]
        return WordBatch(
            self.words[:steps, places],
            forms,
            self.letters[: int(counts.max()), distinct],
            counts,
            None if self.vectors is None else self.vectors[:steps, places],
        )


@dataclass(frozen=True)
class Ragged:
    """Rows of sequences one after the other; `begin` says where each starts, and last where the last one ends."""

    begin: Ints

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Self:
        return cls(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64))

    def lengths(self, chosen: Ints) -> Ints:
        """Of the chosen sequences."""
        found: Ints = self.begin[chosen + 1] - self.begin[chosen]
        return found

    def rows(self, chosen: Ints) -> Ints:
        """(time, chosen): where the rows are; behind the end of a sequence its first row."""
        begin, lengths = self.begin[chosen], self.lengths(chosen)
        steps = np.arange(lengths.max())[:, None]
        return begin + np.where(steps < lengths, steps, 0)


class WordSteps:
    """Sentences as numbers, cut into batches."""

    def __init__(self, ragged: Ragged, words: Ints, forms: Ints, letters: tuple[Ragged, Ints], vectors: Ints | None):
        self._ragged, self.words, self._forms, self._vectors = ragged, words, forms, vectors
        self._spelling, self._letters = letters

    @property
    def lengths(self) -> Ints:
        return np.diff(self._ragged.begin)

    def batch(self, chosen: Ints) -> WordBatch:
        """The chosen sentences side by side."""
        rows = self._ragged.rows(chosen)
        distinct, place = np.unique(self._forms[rows], return_inverse=True)
        return WordBatch(
            torch.from_numpy(self.words[rows]),
            torch.from_numpy(place.reshape(rows.shape)),
            torch.from_numpy(self._letters[self._spelling.rows(distinct)]),
            torch.from_numpy(self._spelling.lengths(distinct)),
            None if self._vectors is None else torch.from_numpy(self._vectors[rows]),
        )


class WordInputs:
    """The words and letters that training sentences hold; 0 stands for every other one.

    words: as `normal` has them. vectors: the words that have a given vector, from row 1 on.
    """

    kind: ClassVar[str] = "words"

    def __init__(self, words: Sequence[str], letters: Sequence[str], vectors: Sequence[str] = ()) -> None:
        self.words, self.letters, self.vectors = tuple(words), tuple(letters), tuple(vectors)
        self._word, self._letter, self._row = (
            {name: n for n, name in enumerate(names, 1)} for names in (self.words, self.letters, self.vectors)
        )

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], minimum_count: int, vectors: Sequence[str] = ()) -> Self:
        """The words and letters of sentences, the most frequent first."""
        forms = Counter(word for words in sentences for word in words)
        counts: Counter[str] = Counter()
        letters: Counter[str] = Counter()
        for form, count in forms.items():
            counts[normal(form)] += count
            for letter in form:
                letters[letter] += count
        kept = [word for word, count in counts.items() if count >= minimum_count]
        return cls(
            sorted(kept, key=lambda word: (-counts[word], word)),
            sorted(letters, key=lambda letter: (-letters[letter], letter)),
            vectors,
        )

    def knows(self, word: str) -> bool:
        """Whether the word was in the training sentences."""
        return normal(word) in self._word

    def encode(self, sentences: Sequence[Sequence[str]]) -> WordSteps:
        """Sentences as numbers."""
        forms: dict[str, int] = {}
        numbers = np.fromiter((forms.setdefault(w, len(forms)) for words in sentences for w in words), np.int64)
        words = np.array([self._word.get(normal(form), 0) for form in forms], np.int64)
        spelt = [form if len(form) <= _LETTERS else form[: _LETTERS // 2] + form[-_LETTERS // 2 :] for form in forms]
        letters = np.fromiter((self._letter.get(letter, 0) for form in spelt for letter in form), np.int64)
        vectors = None
        if self.vectors:
            vectors = np.array([self._vector(form) for form in forms], np.int64)[numbers]
        spelling = Ragged.of([len(form) for form in spelt])
        return WordSteps(
            Ragged.of([len(words) for words in sentences]), words[numbers], numbers, (spelling, letters), vectors
        )

    def _vector(self, form: str) -> int:
        return next((self._row[w] for w in (form, form.lower(), normal(form)) if w in self._row), 0)

    def to_json(self) -> dict[str, Any]:
        """Words and letters as data."""
        lists = {"words": self.words, "letters": self.letters, "vectors": self.vectors}
        return {"kind": self.kind} | {name: list(names) for name, names in lists.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Words and letters from their data. Raises RunError when the data do not describe any."""
        lists = [data.get(name) for name in ("words", "letters", "vectors")]
        for names in lists:
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise RunError("The vocabulary lacks a list of words or letters; the run folder is damaged.")
        return cls(*lists)  # type: ignore[arg-type]


class SeriesSteps:
    """Series of features, cut into batches."""

    def __init__(self, ragged: Ragged, features: NDArray[np.float32]) -> None:
        self._ragged, self._features = ragged, features

    @property
    def lengths(self) -> Ints:
        return np.diff(self._ragged.begin)

    def batch(self, chosen: Ints) -> Tensor:
        """The chosen series side by side, (time, batch, features)."""
        return torch.from_numpy(self._features[self._ragged.rows(chosen)])


class SeriesInputs:
    """Rows of numbers, each column on the scale of the training data.

    names: of the columns, where they have any.
    """

    kind: ClassVar[str] = "series"

    def __init__(self, scale: Scale, names: Sequence[str] = ()) -> None:
        self.scale, self.names = scale, tuple(names)

    @classmethod
    def of(cls, series: Sequence[NDArray[Any]], names: Sequence[str] = ()) -> Self:
        """The columns of series (time, features), NaN where a value is missing."""
        return cls(Scale.of(series), names)

    @property
    def size(self) -> int:
        """Numbers of a step."""
        return self.scale.size

    def knows(self, step: Any) -> bool:
        """There are no unknown numbers."""
        return True

    def encode(self, series: Sequence[NDArray[Any]]) -> SeriesSteps:
        """Series as the model reads them. Raises DataError for another number of features."""
        wanted = len(self.scale.mean)
        for number, one in enumerate(series, 1):
            if one.shape[1] != wanted:
                raise DataError(f"Series {number} has {one.shape[1]} features; the model was trained on {wanted}.")
        ragged = Ragged.of([len(one) for one in series])
        return SeriesSteps(ragged, self.scale(np.concatenate(series)))

    def to_json(self) -> dict[str, Any]:
        """The columns as data."""
        return {"kind": self.kind, **self.scale.to_json(), "names": list(self.names)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The columns from their data. Raises RunError when the data do not describe any."""
        names = data.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RunError("The names of the features are missing; the run folder is damaged.")
        return cls(Scale.from_json(data), names)


Inputs = WordInputs | SeriesInputs
Steps = WordSteps | SeriesSteps


def read_inputs(data: Mapping[str, Any]) -> Inputs:
    """Inputs from their data. Raises RunError for data that describe none."""
    kinds: dict[Any, type[WordInputs] | type[SeriesInputs]] = {kind.kind: kind for kind in (WordInputs, SeriesInputs)}
    if data.get("kind") not in kinds:
        raise RunError(f"The inputs are of the unknown kind {data.get('kind')!r}; the run folder is damaged.")
    return kinds[data["kind"]].from_json(data)
