import pytest

from ricorso.data.words import WordVocabulary
from ricorso.errors import RunError

TEXT = " no it was n't <unk>\n it was  N\n\n no "


def test_words_are_what_stands_between_blanks_and_lines_end_with_a_symbol() -> None:
    vocabulary = WordVocabulary.of(TEXT)
    assert vocabulary.symbols == ("\n", "it", "no", "was", "<unk>", "N", "n't")
    assert [vocabulary.symbols[i - 1] for i in vocabulary.encode(TEXT)] == [
        "no", "it", "was", "n't", "<unk>", "\n", "it", "was", "N", "\n", "\n", "no",
    ]  # fmt: skip


def test_decoding_puts_one_blank_between_words() -> None:
    vocabulary = WordVocabulary.of(TEXT)
    assert vocabulary.decode(vocabulary.encode(TEXT)) == "no it was n't <unk>\nit was N\n\nno"
    stream = vocabulary.decoder()
    assert [stream.push(i) for i in vocabulary.encode("it no\nno")] == ["it", " no", "\n", "no"]
    assert stream.flush() == ""


def test_rare_and_new_words_are_unknown() -> None:
    vocabulary = WordVocabulary.of(TEXT, 2)
    assert vocabulary.symbols == ("\n", "it", "no", "was")
    assert vocabulary.encode("it is no").tolist() == [2, 0, 3]
    assert vocabulary.unknown_in("it is no more is") == ["is", "more"]
    assert vocabulary.start_id == 1


def test_it_travels_as_data() -> None:
    vocabulary = WordVocabulary.of(TEXT)
    assert WordVocabulary.from_json(vocabulary.to_json()).symbols == vocabulary.symbols
    with pytest.raises(RunError, match="twice"):
        WordVocabulary.from_json({"symbols": ["a", "a"]})
