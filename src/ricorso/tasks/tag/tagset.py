"""The tags of a task: as they are in the data, and as they are learnt."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ricorso.data.spans import SCHEMES, Scheme, allowed, convert, first_wrong, kinds_in, marks
from ricorso.errors import RunError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TagSet:
    """tags: what is told. scheme: how they mark spans, or None.

    learnt: the scheme that the model works in. source: the scheme that the training data are in.

    >>> tags = TagSet.of([["B-PER", "I-PER", "O"]], "IOB2", "BIOES")
    >>> tags.tags, tags.classes
    (('O', 'B-PER', 'I-PER'), ('O', 'B-PER', 'I-PER', 'E-PER', 'S-PER'))
    >>> tags.decode(tags.encode(["B-PER", "I-PER", "O"]))
    ['B-PER', 'I-PER', 'O']
    """

    tags: tuple[str, ...]
    scheme: Scheme | None
    learnt: Scheme | None
    source: Scheme | None

    @classmethod
    def of(cls, sentences: Sequence[Iterable[str]], scheme: Scheme | None, learn_as: Scheme) -> Self:
        """The tags of training sentences; spans that were in IOB1 are told in IOB2."""
        if scheme is None:
            return cls(tuple(sorted({tag for tags in sentences for tag in tags})), None, None, None)
        told: Scheme = "IOB2" if scheme == "IOB1" else scheme
        return cls(tuple(marks(kinds_in([list(tags) for tags in sentences]), told)), told, learn_as, scheme)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """What the model tells apart."""
        if self.learnt is None:
            return self.tags
        return tuple(marks(kinds_in([self.tags]), self.learnt))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes)}

    def encode(self, tags: Sequence[str]) -> Ints:
        """The classes of a sentence's tags; -1 for those that were never seen."""
        known = convert(tags, self.learnt) if self.learnt else tags
        return np.array([self._number.get(tag, -1) for tag in known], np.int64)

    def decode(self, classes: Iterable[int]) -> list[str]:
        """The tags of a sentence's classes; a sequence that the scheme does not allow is repaired."""
        tags = [self.classes[number] for number in classes]
        return convert(tags, self.scheme) if self.scheme else tags

    def told(self, tags: Sequence[str]) -> list[str]:
        """Tags of data in the form in which they are told."""
        return convert(tags, self.scheme) if self.scheme else list(tags)

    def wrong(self, sentences: Iterable[Sequence[str]]) -> int:
        """How many sentences have tags that neither the scheme of the training data nor that which is told allows."""
        if self.scheme is None or self.source is None:
            return 0
        either = (self.scheme, self.source)
        return sum(all(first_wrong(tags, scheme) is not None for scheme in either) for tags in sentences)

    def unseen(self, sentences: Iterable[Sequence[str]]) -> list[str]:
        """Tags of data that training did not hold, or that mark nothing where tags mark spans.

        >>> TagSet.of([["B-PER", "I-PER", "O"]], "IOB2", "BIOES").unseen([["I-PER", "B-LOC", "X"]])
        ['B-LOC', 'X']
        """
        found = {tag for tags in sentences for tag in tags}.difference(self.tags)
        if self.scheme:
            known = set(kinds_in([self.tags]))
            found = {tag for tag in found if not known.issuperset(kinds_in([[tag]]) or [""])}
        return sorted(found)

    def allowed(self) -> NDArray[np.bool_] | None:
        """Which class may follow which, as the CRF takes it."""
        return allowed(self.classes, self.learnt) if self.learnt else None

    def sums(self) -> NDArray[np.float32]:
        """What adds probabilities of classes up to those of tags, (classes, tags)."""
        found = np.zeros((len(self.classes), len(self.tags)), np.float32)
        for number, name in enumerate(self.classes):
            if self.scheme == "IOB2":  # a span of one word begins, the last word is inside
                name = {"S": "B", "E": "I"}.get(name[0], name[0]) + name[1:]
            # a model that knows no ends leaves them to the words inside
            if name in self.tags:
                found[number, self.tags.index(name)] = 1.0
        return found

    def to_json(self) -> dict[str, Any]:
        """The tags as data."""
        return {"tags": list(self.tags), "scheme": self.scheme, "learnt": self.learnt, "source": self.source}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The tags from their data. Raises RunError when the data do not describe any."""
        tags, schemes = data.get("tags"), tuple(data.get(name) for name in ("scheme", "learnt", "source"))
        if not isinstance(tags, list) or not tags or not all(isinstance(tag, str) for tag in tags):
            raise RunError("The vocabulary holds no list of tags; the run folder is damaged.")
        if schemes != (None, None, None) and not all(scheme in SCHEMES for scheme in schemes):
            raise RunError(f"The vocabulary names the schemes {schemes}; the run folder is damaged.")
        return cls(tuple(tags), *schemes)
