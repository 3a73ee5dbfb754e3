"""Byte-pair encoding: frequent runs of bytes become one symbol (needs the extra `text`)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ricorso.data.vocabulary import Ids, Utf8Stream
from ricorso.errors import RunError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


_LONG_WORD = re.compile(r"\S{1000}")


class BpeVocabulary:
    """Byte-level byte-pair encoding, learnt from a text line by line; knows every text.

    Raises UsageError when the package `tokenizers` is not installed.
    """

    kind: ClassVar[str] = "bpe"
    unknown_id: int | None = None

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        to_byte = {character: byte for byte, character in _byte_characters().items()}
        names = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if [number for _, number in names] != list(range(len(names))):
            raise RunError("The vocabulary's tokens are not numbered 0, 1, 2 ...; the run folder is damaged.")
        try:
            self._pieces = tuple(bytes(to_byte[character] for character in name) for name, _ in names)
        except KeyError as error:
            raise RunError(f"The vocabulary holds the token character {error}, which stands for no byte.") from error

    @classmethod
    def of(cls, text: str, size: int) -> Self:
        """Learn a vocabulary of at most `size` symbols (256 or more) from a text."""
        tokenizers = _tokenizers()
        if size < 256:
            raise UsageError(f"vocabulary_size must be 256 or more for level='bpe' (one symbol a byte), got {size}.")
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size,
            show_progress=False,
            initial_alphabet=sorted(_byte_characters().values()),
        )
        lines = (part for line in text.splitlines(keepends=True) for part in _without_long_words(line))
        tokenizer.train_from_iterator(lines, trainer)
        return cls(tokenizer)

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def start_id(self) -> int:
        """The line break."""
        return int(self.encode("\n")[0])

    def encode(self, text: str) -> Ids:
        """The symbols of a text, (symbols,); no symbol reaches over a line break."""
        lines = self._tokenizer.encode_batch_fast(text.splitlines(keepends=True), add_special_tokens=False)
        return np.fromiter((symbol for line in lines for symbol in line.ids), np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of symbols; U+FFFD where their bytes are not UTF-8."""
        return b"".join([self._pieces[i] for i in ids]).decode("utf-8", errors="replace")

    def decoder(self) -> Utf8Stream:
        """A decoder for a stream of symbols."""
        return Utf8Stream(self._pieces)

    def unknown_in(self, text: str) -> list[str]:
        """Nothing: every text has bytes."""
        return []

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as data."""
        return {"kind": self.kind, "tokenizer": json.loads(self._tokenizer.to_str())}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The vocabulary from its data. Raises RunError when the data do not describe one."""
        try:
            tokenizer = _tokenizers().Tokenizer.from_str(json.dumps(data.get("tokenizer")))
        except UsageError:
            raise
        except Exception as error:
            raise RunError(
                f"The vocabulary's tokenizer cannot be read ({error}); the run folder is damaged."
            ) from error
        return cls(tokenizer)


def _without_long_words(line: str) -> Iterator[str]:
    """The line in parts without words of more than so many characters, which take the trainer their square in time."""
    begin = 0
    for run in _LONG_WORD.finditer(line):
        yield line[begin : run.end()]
        begin = run.end()
    yield line[begin:]


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise UsageError("level='bpe' needs the package `tokenizers`: pip install 'ricorso[text]'.") from error
    return tokenizers


def _byte_characters() -> dict[int, str]:
    """The printable character that stands for each byte in byte-level tokens (the convention of GPT-2)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
