"""From a text to what the generate task trains and measures on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ricorso.data.bpe import BpeVocabulary
from ricorso.data.text import is_file_name, read_text
from ricorso.data.vocabulary import ByteVocabulary, CharacterVocabulary, Ids, Vocabulary, check_encodable
from ricorso.data.words import WordVocabulary
from ricorso.errors import DataError, RunError
from ricorso.tasks.generate.config import GenerateConfig

_SMALL_ALPHABET = 256
_FEW_WORDS = 20_000


@dataclass(frozen=True)
class Source:
    """A text and where it came from; `path` is None for one that is in no file of its own."""

    text: str
    path: Path | None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Length and hash, by which the text is recognised again."""
        return {
            "path": str(self.path) if self.path else None,
            "characters": len(self.text),
            "sha256": hashlib.sha256(self.text.encode()).hexdigest(),
        }


@dataclass(frozen=True)
class TextData:
    """Symbols to train on, symbols to validate on (may be empty), and what they mean."""

    train: Ids
    validation: Ids
    vocabulary: Vocabulary


def read_source(text_or_path: str | Path, encoding: str) -> Source:
    """A text as given, or read from the file that is named. Raises DataError as `read_text` does."""
    if is_file_name(text_or_path):
        text = read_text(text_or_path, encoding)
        path = None if str(text_or_path) == "-" else Path(text_or_path).resolve()
    else:
        text, path = str(text_or_path), None
    check_encodable(text, str(path) if path else "The text")
    return Source(text, path)


def prepare(
    source: Source, validation: Source | None, config: GenerateConfig, vocabulary: Vocabulary | None = None
) -> TextData:
    """Split off the end of the text for validation, unless there is a text for that, and number the symbols.

    The vocabulary, unless given, is learnt from the training part alone.
    """
    text = source.text
    assert config.sequence_length is not None
    if validation is None:
        cut = int(len(text) * (1 - config.validation_fraction)) if config.validation_fraction else len(text)
        train_text, validation_text = text[:cut], text[cut:]
    else:
        train_text, validation_text = text, validation.text
    vocabulary = vocabulary or _learn_vocabulary(train_text, config)
    train, held_out = vocabulary.encode(train_text), vocabulary.encode(validation_text)
    if len(train) <= config.sequence_length:
        raise DataError(
            f"The text is too short: {len(train)} symbols are left for training, but sequence_length="
            f"{config.sequence_length} needs at least {config.sequence_length + 1}. "
            f"Use a longer text or a smaller sequence_length."
        )
    if len(held_out) < 2 and (validation is not None or config.validation_fraction):
        raise DataError(
            f"The validation text is too short: {len(held_out)} symbols, at least 2 are needed. "
            f"Use a longer text, a larger validation_fraction, or validation_fraction=0 for none."
        )
    return TextData(train, held_out, vocabulary)


def check_same(source: Source, fingerprint: dict[str, Any]) -> None:
    """Raise RunError unless a text is the one with that fingerprint."""
    found = source.fingerprint
    if found["sha256"] != fingerprint.get("sha256"):
        raise RunError(
            f"The text is not the one this run was trained on: it has {found['characters']:,} characters and another "
            f"hash; the run's had {fingerprint.get('characters'):,}. Bring the original back, or train a new run."
        )


def _learn_vocabulary(text: str, config: GenerateConfig) -> Vocabulary:
    if config.level == "byte":
        return ByteVocabulary()
    if config.level == "bpe":
        return BpeVocabulary.of(text, config.vocabulary_size)
    kind, small = (WordVocabulary, _FEW_WORDS) if config.level == "word" else (CharacterVocabulary, _SMALL_ALPHABET)
    if config.minimum_count is not None:
        return kind.of(text, config.minimum_count)
    everything = kind.of(text)
    # in a large alphabet the rare symbols teach what an unknown one is like; in a small one each is wanted
    return everything if len(everything.symbols) <= small else kind.of(text, 2)
