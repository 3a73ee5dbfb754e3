import time

import numpy as np
import pytest

from ricorso.data.bpe import BpeVocabulary
from ricorso.data.vocabulary import UNKNOWN_TEXT, ByteVocabulary, CharacterVocabulary, Vocabulary, check_encodable
from ricorso.errors import DataError, RunError, UsageError

TEXT = "Grün ist e\u0301 das Gras, 床前明月光\nand 👩🏾\u200d⚕\ufe0f says hi to 🇩🇪 and 🇫🇷.\r\n\n" * 3


def vocabularies() -> list[Vocabulary]:
    return [CharacterVocabulary.of(TEXT), ByteVocabulary(), BpeVocabulary.of(TEXT, 300)]


@pytest.mark.parametrize("vocabulary", vocabularies(), ids=lambda v: v.kind)
def test_text_comes_back(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode(TEXT)
    assert ids.dtype == np.int32
    assert ids.min() >= 0
    assert ids.max() < len(vocabulary)
    assert vocabulary.decode(ids) == TEXT
    assert vocabulary.decode(vocabulary.encode("")) == ""
    assert vocabulary.unknown_in(TEXT) == []


@pytest.mark.parametrize("vocabulary", vocabularies(), ids=lambda v: v.kind)
def test_a_stream_never_emits_part_of_a_character(vocabulary: Vocabulary) -> None:
    decoder = vocabulary.decoder()
    pieces = [decoder.push(int(symbol)) for symbol in vocabulary.encode(TEXT)]
    assert "".join(pieces) == TEXT
    assert decoder.flush() == ""
    assert not any(UNKNOWN_TEXT in piece for piece in pieces)


@pytest.mark.parametrize("vocabulary", vocabularies(), ids=lambda v: v.kind)
def test_json_form_is_the_same_vocabulary(vocabulary: Vocabulary) -> None:
    data = vocabulary.to_json()
    again = ByteVocabulary() if data["kind"] == "byte" else type(vocabulary).from_json(data)  # type: ignore[attr-defined]
    assert len(again) == len(vocabulary)
    assert again.encode(TEXT).tolist() == vocabulary.encode(TEXT).tolist()
    assert again.to_json() == data


@pytest.mark.parametrize("vocabulary", vocabularies(), ids=lambda v: v.kind)
def test_writing_starts_with_a_line_break(vocabulary: Vocabulary) -> None:
    assert vocabulary.decode([vocabulary.start_id]) == "\n"


def test_without_line_breaks_writing_starts_with_the_commonest() -> None:
    vocabulary = CharacterVocabulary.of("abbbc")
    assert vocabulary.decode([vocabulary.start_id]) == "b"


def test_clusters_are_one_symbol_each() -> None:
    vocabulary = CharacterVocabulary.of(TEXT)
    assert {"e\u0301", "👩🏾\u200d⚕\ufe0f", "🇩🇪", "\r\n"} <= set(vocabulary.symbols)
    assert "\u0301" not in vocabulary.symbols
    assert len(vocabulary.encode("e\u0301🇩🇪")) == 2


def test_unknown_and_rare_symbols_share_symbol_zero() -> None:
    vocabulary = CharacterVocabulary.of("aabbc", minimum_count=2)
    assert vocabulary.encode("abcz\U0001f600").tolist() == [1, 2, 0, 0, 0]
    assert vocabulary.encode("a\u0301").tolist() == [0]
    assert vocabulary.unknown_in("azcz") == ["z", "c"]
    assert vocabulary.decode([0]) == UNKNOWN_TEXT


def test_fast_and_cluster_paths_agree() -> None:
    vocabulary = CharacterVocabulary.of("ab\u00e9床e\u0301\n")
    plain = "ab\u00e9床x\n" * 4
    assert vocabulary.encode(plain + "e\u0301").tolist()[:-1] == vocabulary.encode(plain).tolist()


def test_half_a_character_at_the_end_becomes_the_replacement() -> None:
    decoder = ByteVocabulary().decoder()
    assert decoder.push(0xE5) == ""
    assert decoder.flush() == UNKNOWN_TEXT


@pytest.mark.parametrize("extra", ["", "e\u0301"], ids=["plain", "clusters"])
def test_a_megabyte_is_encoded_within_a_second(extra: str) -> None:
    text = "the quick brown fox jumps over the lazy dog\n" * 24_000 + extra
    vocabulary = CharacterVocabulary.of(text)
    began = time.process_time()
    vocabulary.encode(text)
    assert time.process_time() - began < 1.0


def test_bpe_merges_and_never_over_a_line_break() -> None:
    vocabulary = BpeVocabulary.of("banana\n" * 50, 260)
    assert len(vocabulary) <= 260
    assert len(vocabulary.encode("banana")) < 6
    assert (
        vocabulary.encode("banana\nbanana").tolist()[: len(vocabulary.encode("banana\n"))]
        == vocabulary.encode("banana\n").tolist()
    )


def test_bpe_needs_a_symbol_for_each_byte() -> None:
    with pytest.raises(UsageError, match="256"):
        BpeVocabulary.of("text", 255)


def test_bpe_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"ricorso\[text\]"):
        BpeVocabulary.of("text", 300)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"symbols": "abc"},
        {"symbols": ["a", 1]},
        {"symbols": ["a", ""]},
        {"symbols": ["a", "a"]},
    ],
)
def test_damaged_character_data_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(RunError):
        CharacterVocabulary.from_json(data)


@pytest.mark.parametrize("tokenizer", [None, {}, {"version": "1.0"}, "text"])
def test_damaged_bpe_data_are_refused(tokenizer: object) -> None:
    with pytest.raises(RunError):
        BpeVocabulary.from_json({"tokenizer": tokenizer})


def test_half_a_surrogate_pair_is_named_with_its_place() -> None:
    with pytest.raises(DataError, match=r"line 2, column 3: U\+D83D"):
        check_encodable("ab\ncd\ud83d", "The text")


def test_bpe_learns_from_words_of_any_length() -> None:
    vocabulary = BpeVocabulary.of("banana " * 50 + "ab" * 20_000, 300)
    text = "banana " + "ab" * 3000
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary.encode("ab" * 3000)) < 100
