"""Words of any running text as symbols: letters and digits together, marks alone, Chinese and Japanese by character."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ricorso.data.vocabulary import Ids, read_symbols
from ricorso.errors import RunError

# ideographs, kana: written without blanks, each says much
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
# a tag of a web page, a word (with an apostrophe inside), a character that stands alone, or a mark
_TOKEN = re.compile(rf"</?[a-zA-Z][^<>]{{0,40}}>|[^\W_{_ALONE}]+(?:['’][^\W\d_{_ALONE}]+)*|[{_ALONE}]|[^\w\s]|_")


def split_words(text: str, lower: bool = True) -> list[str]:
    """The words and marks of a text, in order.

    >>> split_words("It's 5 o'clock, 你好!")
    ["it's", '5', "o'clock", ',', '你', '好', '!']
    """
    return _TOKEN.findall(text.lower() if lower else text)


class TokenVocabulary:
    """One symbol for each word or mark of running text; symbol 0 stands for every other one.

    >>> vocabulary = TokenVocabulary.of(["To be, or not to be"])
    >>> vocabulary.symbols, vocabulary.encode("Be afraid, be").tolist()
    (('be', 'to', ',', 'not', 'or'), [1, 0, 3, 1])
    """

    kind: ClassVar[str] = "token"

    def __init__(self, symbols: Iterable[str], lower: bool = True) -> None:
        self.symbols, self.lower = tuple(symbols), lower
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols, 1)}

    @classmethod
    def of(cls, texts: Iterable[str], lower: bool = True, minimum_count: int = 1, most: int | None = None) -> Self:
        """The vocabulary of texts, the most frequent first; without those below `minimum_count` and beyond `most`."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split_words(text, lower))
        kept = (word for word, count in counts.items() if count >= minimum_count)
        return cls(sorted(kept, key=lambda word: (-counts[word], word))[:most], lower)

    def __len__(self) -> int:
        return len(self.symbols) + 1

    def encode(self, text: str) -> Ids:
        """The symbols of a text, (words,)."""
        known = self._ids
        return np.array([known.get(word, 0) for word in split_words(text, self.lower)], np.int32)

    def pieces(self, text: str) -> list[str]:
        """What of the text each symbol stands for."""
        return split_words(text, self.lower)

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as data."""
        return {"kind": self.kind, "symbols": list(self.symbols), "lower": self.lower}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The vocabulary from its data. Raises RunError when the data do not describe one."""
        if not isinstance(data.get("lower"), bool):
            raise RunError("The vocabulary does not say whether it is in lower case; the run folder is damaged.")
        return cls(read_symbols(data), data["lower"])
