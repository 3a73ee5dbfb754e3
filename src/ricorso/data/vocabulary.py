"""Text to numbers and back: characters as a reader sees them, or bytes."""

import codecs
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ricorso.data.grapheme import graphemes, has_clusters
from ricorso.errors import DataError, RunError

Ids = NDArray[np.int32]

UNKNOWN_TEXT = "\ufffd"


class Decoder(Protocol):
    """Turns symbols into text one at a time; never emits a part of a character."""

    def push(self, symbol: int) -> str:
        """The text that is complete with this symbol; may be empty."""

    def flush(self) -> str:
        """What is left at the end: incomplete characters as U+FFFD."""


class Vocabulary(Protocol):
    """A numbering of symbols, from 0 to len - 1."""

    kind: ClassVar[str]

    def __len__(self) -> int: ...

    @property
    def unknown_id(self) -> int | None:
        """The symbol that stands for what the vocabulary does not know; None where it knows everything."""

    @property
    def start_id(self) -> int:
        """The symbol to begin with when there is no prompt: the line break, or the most frequent symbol."""

    def encode(self, text: str) -> Ids:
        """The symbols of a text."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of symbols."""

    def decoder(self) -> Decoder:
        """A fresh decoder for a stream of symbols."""

    def unknown_in(self, text: str) -> list[str]:
        """The different pieces of the text that the vocabulary does not know, in order of appearance."""

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as data."""


class CharacterVocabulary:
    """One symbol for each grapheme cluster; symbol 0 stands for every one that is not in `symbols`.

    >>> vocabulary = CharacterVocabulary.of("banana")
    >>> vocabulary.encode("nab!").tolist(), vocabulary.decode([3, 1, 2])
    ([2, 1, 3, 0], 'ban')
    """

    kind: ClassVar[str] = "character"
    unknown_id: int | None = 0

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = tuple(symbols)
        self._texts = (UNKNOWN_TEXT, *self.symbols)
        self._ids = {symbol: i for i, symbol in enumerate(self._texts) if i}
        singles = {ord(symbol): i for symbol, i in self._ids.items() if len(symbol) == 1}
        # one more than the highest code point: everything above lands on the last entry, which is unknown
        self._table = np.zeros(max(singles, default=0) + 2, np.int32)
        self._table[list(singles)] = list(singles.values())

    @classmethod
    def of(cls, text: str, minimum_count: int = 1) -> Self:
        """The vocabulary of a text, the most frequent symbol first, those below `minimum_count` left out."""
        counts = Counter(graphemes(text) if has_clusters(set(text)) else text)
        kept = (symbol for symbol, count in counts.items() if count >= minimum_count)
        return cls(sorted(kept, key=lambda symbol: (-counts[symbol], symbol)))

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def start_id(self) -> int:
        """The line break, or the most frequent symbol."""
        return self._ids.get("\n", min(1, len(self._texts) - 1))

    def encode(self, text: str) -> Ids:
        """The symbols of a text, (symbols,)."""
        if has_clusters(set(text)):
            known = self._ids
            return np.array([known.get(symbol, 0) for symbol in graphemes(text)], np.int32)
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        return self._table[np.minimum(points, len(self._table) - 1)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of symbols; U+FFFD for the unknown one."""
        return "".join([self._texts[i] for i in ids])

    def decoder(self) -> "_WholeSymbols":
        """A decoder for a stream: each symbol is a whole character."""
        return _WholeSymbols(self._texts)

    def unknown_in(self, text: str) -> list[str]:
        """The different characters of the text that are not in the vocabulary, in order of appearance."""
        return [symbol for symbol in dict.fromkeys(graphemes(text)) if symbol not in self._ids]

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as data."""
        return {"kind": self.kind, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The vocabulary from its data. Raises RunError when the data do not describe one."""
        return cls(read_symbols(data))


def read_symbols(data: Mapping[str, Any]) -> list[str]:
    """The symbols of a vocabulary from its data. Raises RunError when the data do not hold any."""
    symbols = data.get("symbols")
    if not isinstance(symbols, list) or not all(isinstance(s, str) and s for s in symbols):
        raise RunError("The vocabulary's `symbols` must be a list of texts; the run folder is damaged.")
    if len(set(symbols)) != len(symbols):
        raise RunError("The vocabulary lists a symbol twice; the run folder is damaged.")
    return symbols


class ByteVocabulary:
    """The 256 byte values of UTF-8 text; knows every text.

    >>> ByteVocabulary().encode("é").tolist()
    [195, 169]
    """

    kind: ClassVar[str] = "byte"
    unknown_id: int | None = None
    start_id = ord("\n")

    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> Ids:
        """The bytes of a text in UTF-8, (bytes,)."""
        return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of bytes; U+FFFD where they are not UTF-8."""
        return bytes(list(ids)).decode("utf-8", errors="replace")

    def decoder(self) -> "Utf8Stream":
        """A decoder for a stream of bytes."""
        return Utf8Stream(tuple(bytes([i]) for i in range(256)))

    def unknown_in(self, text: str) -> list[str]:
        """Nothing: every text has bytes."""
        return []

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as data."""
        return {"kind": self.kind}


class _WholeSymbols:
    """A decoder where each symbol has a text of its own."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts

    def push(self, symbol: int) -> str:
        """The symbol's text."""
        return self._texts[symbol]

    def flush(self) -> str:
        """Nothing is ever left."""
        return ""


class Utf8Stream:
    """A decoder where symbols are runs of bytes; holds bytes back until their character is whole.

    >>> stream = Utf8Stream((b"\\xc3", b"\\xa9"))
    >>> stream.push(0), stream.push(1)
    ('', 'é')
    """

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._pieces = pieces
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def push(self, symbol: int) -> str:
        """The characters that are whole with this symbol."""
        return self._decode(self._pieces[symbol])

    def flush(self) -> str:
        """U+FFFD when bytes of an unfinished character are left, else nothing."""
        return self._decode(b"", True)


def check_encodable(text: str, name: str) -> None:
    """Raise DataError for half a surrogate pair, which is no character and cannot be written to a file."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        column = error.start - text.rfind("\n", 0, error.start)
        raise DataError(
            f"{name}, line {line}, column {column}: U+{ord(text[error.start]):04X} is half of a surrogate pair, "
            f"not a character. Read the text with its right encoding."
        ) from error
