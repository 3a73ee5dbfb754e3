"""Words of running text as symbols."""

import pytest

from ricorso.data.tokens import TokenVocabulary, split_words
from ricorso.errors import RunError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's good.", ["it's", "good", "."]),
        ("don’t stop", ["don’t", "stop"]),
        ("酒店很好, ok", ["酒", "店", "很", "好", ",", "ok"]),
        ("a<br />b", ["a", "<br />", "b"]),
        ("3 < 5 and 7 > 2", ["3", "<", "5", "and", "7", ">", "2"]),
        ("héllo ÉTÉ", ["héllo", "été"]),
        ("snake_case", ["snake", "_", "case"]),
        ("  ", []),
    ],
)
def test_words_and_marks(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_case_is_kept_when_wanted() -> None:
    assert split_words("New York", lower=False) == ["New", "York"]
    vocabulary = TokenVocabulary.of(["New new"], lower=False)
    assert vocabulary.encode("New new NEW").tolist() == [1, 2, 0]


def test_rare_words_and_too_many_are_unknown() -> None:
    texts = ["a a a b b c", "a b d"]
    assert TokenVocabulary.of(texts, minimum_count=2).symbols == ("a", "b")
    assert TokenVocabulary.of(texts, most=3).symbols == ("a", "b", "c")


def test_it_survives_as_data_and_damage_is_told() -> None:
    vocabulary = TokenVocabulary.of(["to be or not to be"])
    again = TokenVocabulary.from_json(vocabulary.to_json())
    assert again.symbols == vocabulary.symbols
    assert again.lower
    with pytest.raises(RunError, match="damaged"):
        TokenVocabulary.from_json({"symbols": ["a"]})


def test_a_cell_of_a_megabyte_without_blanks_takes_no_longer_than_its_length() -> None:
    assert len(split_words("<" * 500_000)) == 500_000
    assert split_words("x" * 1_000_000) == ["x" * 1_000_000]
