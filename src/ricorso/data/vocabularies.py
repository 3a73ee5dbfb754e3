"""Vocabularies of every kind, from what a run folder says of them."""

from collections.abc import Mapping
from typing import Any

from ricorso.data.bpe import BpeVocabulary
from ricorso.data.tokens import TokenVocabulary
from ricorso.data.vocabulary import ByteVocabulary, CharacterVocabulary
from ricorso.data.words import WordVocabulary
from ricorso.errors import RunError

# kinds that can be written out again as text, and one that can only be read
Written = CharacterVocabulary | ByteVocabulary | WordVocabulary | BpeVocabulary
Read = Written | TokenVocabulary


def read_vocabulary(data: Mapping[str, Any]) -> Written:
    """A vocabulary that text can be written with, from its data. Raises RunError when it is of no such kind."""
    found = read_any_vocabulary(data)
    if isinstance(found, TokenVocabulary):
        raise _unknown(found.kind)
    return found


def read_any_vocabulary(data: Mapping[str, Any]) -> Read:
    """A vocabulary from its data. Raises RunError when it is of no known kind."""
    kind = data.get("kind")
    if kind == ByteVocabulary.kind:
        return ByteVocabulary()
    for known in (CharacterVocabulary, WordVocabulary, BpeVocabulary, TokenVocabulary):
        if kind == known.kind:
            return known.from_json(data)
    raise _unknown(kind)


def _unknown(kind: object) -> RunError:
    return RunError(f"The vocabulary is of the unknown kind {kind!r}; the run folder is damaged.")
