"""Words as symbols, for text that is already divided into them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ricorso.data.vocabulary import UNKNOWN_TEXT, Ids, read_symbols

_BREAK = "\n"


class WordVocabulary:
    """One symbol for each word between blanks, and one for the line break; symbol 0 stands for every other word.

    >>> vocabulary = WordVocabulary.of("to be or not to be \\n")
    >>> vocabulary.encode("be not afraid").tolist(), vocabulary.decode([1, 2, 3, 1])
    ([1, 4, 0], 'be to\\nbe')
    """

    kind: ClassVar[str] = "word"
    unknown_id: int | None = 0

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = tuple(symbols)
        self._texts = (UNKNOWN_TEXT, *self.symbols)
        self._ids = {symbol: i for i, symbol in enumerate(self._texts) if i}

    @classmethod
    def of(cls, text: str, minimum_count: int = 1) -> Self:
        """The vocabulary of a text, the most frequent word first, those below `minimum_count` left out."""
        counts = Counter(_words(text))
        kept = (word for word, count in counts.items() if count >= minimum_count)
        return cls(sorted(kept, key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def start_id(self) -> int:
        """The line break, or the most frequent word."""
        return self._ids.get(_BREAK, min(1, len(self._texts) - 1))

    def encode(self, text: str) -> Ids:
        """The symbols of a text, (symbols,)."""
        known = self._ids
        return np.array([known.get(word, 0) for word in _words(text)], np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of symbols, words a blank apart; U+FFFD for the unknown one."""
        stream = self.decoder()
        return "".join([stream.push(i) for i in ids])

    def decoder(self) -> "_Words":
        """A decoder for a stream."""
        return _Words(self._texts)

    def unknown_in(self, text: str) -> list[str]:
        """The different words of the text that are not in the vocabulary, in order of appearance."""
        return [word for word in dict.fromkeys(_words(text)) if word not in self._ids]

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as data."""
        return {"kind": self.kind, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The vocabulary from its data. Raises RunError when the data do not describe one."""
        return cls(read_symbols(data))


class _Words:
    """Puts words together again."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts
        self._at_start = True

    def push(self, symbol: int) -> str:
        """The word, after a blank unless it begins a line."""
        text = self._texts[symbol]
        blank = "" if self._at_start or text == _BREAK else " "
        self._at_start = text == _BREAK
        return blank + text

    def flush(self) -> str:
        """Nothing is ever left."""
        return ""


def _words(text: str) -> list[str]:
    lines = text.split(_BREAK)
    words = [word for line in lines[:-1] for word in (*line.split(), _BREAK)]
    return words + lines[-1].split()
