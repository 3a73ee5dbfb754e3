"""Naive Bayes over symbols and groups of neighbours: what counting alone says of the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ricorso.bundle import COUNTS
from ricorso.errors import RunError

Ints = NDArray[np.int64]
Reals = NDArray[np.float32]

# kept are the most frequent groups, and not more weights than a model file should carry
_MOST_GROUPS, _MOST_WEIGHTS = 200_000, 4_000_000
# examples are scored in so many parts, each by the others
_PARTS = 10


@dataclass(frozen=True, eq=False)
class Grams:
    """How much each group of neighbouring symbols speaks for each label, learnt from examples.

    Each label is told apart from the rest on its own, by whether a group occurs (Wang & Manning 2012, without the SVM).
    keys: the groups as numbers, rising; weights: (groups, labels); prior: (labels); symbols: how many different ones
    there are; longest: symbols in the longest group.

    >>> texts = [np.array([1, 2]), np.array([1, 3]), np.array([1, 3])]
    >>> grams, _ = Grams.of(texts, np.array([[True, False], [False, True], [False, True]]), symbols=4, longest=1)
    >>> grams.scores([np.array([3])]).argmax().tolist()
    1
    """

    keys: Ints
    weights: Reals
    prior: Reals
    symbols: int
    longest: int

    @classmethod
    def of(
        cls, sequences: Sequence[NDArray[Any]], targets: NDArray[np.bool_], symbols: int, longest: int
    ) -> tuple[Self, Reals]:
        """From sequences (steps) of symbols and targets (examples, labels), with an honest score of each of them.

        The second value, (examples, labels), is what the method says of each tenth of the examples after learning from
        the others. Leaving out one at a time would tell its label: the counts of the others lack just that one.
        """
        rows = [np.unique(groups(own, symbols, longest)) for own in sequences]
        owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        keys, places, often = np.unique(np.concatenate(rows), return_inverse=True, return_counts=True)
        most = max(1, min(_MOST_GROUPS, _MOST_WEIGHTS // targets.shape[1]))
        if len(keys) > most:
            kept = np.sort(np.argsort(-often, kind="stable")[:most])
            place = np.full(len(keys), -1)
            place[kept] = np.arange(most)
            places, keys = place[places], keys[kept]
            owner, places = owner[places >= 0], places[places >= 0]
        counts = _Counts.of(places, targets[owner], len(keys))
        share = targets.mean(0).clip(1e-6, 1 - 1e-6)
        prior = np.log(share / (1 - share))
        honest = np.tile(prior, (len(rows), 1))
        parts = np.random.default_rng(0).permutation(len(rows)) % min(_PARTS, len(rows))
        for part in range(parts.max() + 1):
            own = parts[owner] == part
            others = counts.without(_Counts.of(places[own], targets[owner[own]], len(keys)))
            np.add.at(honest, owner[own], others.weights()[places[own]])
        scale = 1 / max(float(honest.std()), 1e-6)
        weights, prior = ((scale * values).astype(np.float32) for values in (counts.weights(), prior))
        return cls(keys, weights, prior, symbols, longest), (scale * honest).astype(np.float32)

    def scores(self, sequences: Sequence[NDArray[Any]]) -> Reals:
        """Logarithms of odds, in units of their deviation over the examples learnt from, (examples, labels)."""
        found = np.tile(self.prior, (len(sequences), 1))
        for row, own in enumerate(sequences):
            found[row] += self.weights[self._known(np.unique(groups(own, self.symbols, self.longest)))].sum(0)
        return found

    def spoke(self, sequence: NDArray[Any]) -> Reals:
        """How much each step of a sequence spoke for each label, (steps, labels); groups share evenly among theirs."""
        found = np.zeros((len(sequence), len(self.prior)), np.float32)
        for size in range(1, self.longest + 1):
            keys = _groups_of(sequence, size, self.symbols)
            distinct, first, counts = np.unique(keys, return_inverse=True, return_counts=True)
            number, there = self._places(distinct)
            weights = np.where(there[:, None], self.weights[number], 0) / (counts[:, None] * size)
            for offset in range(size if len(keys) else 0):
                found[offset : offset + len(keys)] += weights[first]
        return found

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """What was learnt as named arrays."""
        return {"keys": self.keys, "weights": self.weights, "prior": self.prior}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], symbols: int, longest: int, labels: int) -> Self:
        """From named arrays. Raises RunError when they do not fit together."""
        try:
            keys, weights, prior = (tensors[name] for name in ("keys", "weights", "prior"))
        except KeyError as error:
            raise RunError(f"{COUNTS} holds no {error}; the run folder is damaged.") from error
        kinds = keys.dtype == np.int64 and weights.dtype == prior.dtype == np.float32
        shapes = keys.ndim == 1 and weights.shape == (len(keys), labels) and prior.shape == (labels,)
        if not kinds or not shapes or (np.diff(keys) <= 0).any():
            raise RunError(f"{COUNTS} does not fit the labels and the vocabulary; the run folder is damaged.")
        return cls(keys, weights, prior, symbols, longest)

    def stream(self) -> "GramStream":
        """For a running sequence."""
        return GramStream(self)

    def _known(self, keys: Ints) -> Ints:
        number, there = self._places(keys)
        return number[there]

    def _places(self, keys: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        number = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return number, self.keys[number] == keys


class GramStream:
    """The score after each symbol of a running sequence, with constant work for each."""

    def __init__(self, grams: Grams) -> None:
        self._grams = grams
        self._recent: list[int] = []
        self._seen: set[int] = set()
        self.score = grams.prior.astype(np.float64)

    def push(self, symbol: int) -> None:
        """Read one symbol."""
        grams = self._grams
        self._recent = [*self._recent, symbol][-grams.longest :]
        new = groups(np.array(self._recent), grams.symbols, grams.longest, ending=True).tolist()
        fresh = np.array([key for key in new if key not in self._seen], np.int64)
        self._seen.update(fresh.tolist())
        self.score += grams.weights[grams._known(fresh)].sum(0)


def groups(sequence: NDArray[Any], symbols: int, longest: int, ending: bool = False) -> Ints:
    """The groups of one to `longest` neighbours of a sequence (steps), as numbers; ending: only those at its end.

    >>> groups(np.array([0, 2]), symbols=3, longest=2).tolist()
    [1, 3, 7]
    """
    found = [_groups_of(sequence, size, symbols) for size in range(1, longest + 1)]
    return np.concatenate([own[-1:] if ending else own for own in found])


def _groups_of(sequence: NDArray[Any], size: int, symbols: int) -> Ints:
    """A group is a number in base `symbols` + 1, with digits from 1 on, so that no two are the same."""
    count = max(len(sequence) - size + 1, 0)
    found = np.zeros(count, np.int64)
    for offset in range(size):
        found = found * (symbols + 1) + sequence[offset : offset + count] + 1
    return found


@dataclass(frozen=True, eq=False)
class _Counts:
    """In how many examples each group occurs, of each label and of the rest: (groups, labels)."""

    inside: NDArray[np.float64]
    outside: NDArray[np.float64]

    @classmethod
    def of(cls, places: Ints, targets: NDArray[np.bool_], many: int) -> Self:
        """places: the group of each occurrence; targets: the labels of its example, (occurrences, labels)."""
        whole = np.bincount(places, minlength=many)
        inside = np.empty((many, targets.shape[1]))
        for label in range(targets.shape[1]):
            inside[:, label] = np.bincount(places[targets[:, label]], minlength=many)
        return cls(inside, whole[:, None] - inside)

    def without(self, some: Self) -> Self:
        """What is left without some of the examples."""
        return type(self)(self.inside - some.inside, self.outside - some.outside)

    def weights(self) -> NDArray[np.float64]:
        """What each group speaks for each label; one more of each group is counted, and nothing said of none."""
        there = (self.inside + self.outside > 0).any(1, keepdims=True)
        many = there.sum()
        inside = np.log((self.inside + 1) / (self.inside.sum(0) + many))
        found: NDArray[np.float64] = inside - np.log((self.outside + 1) / (self.outside.sum(0) + many))
        return np.where(there, found, 0)
