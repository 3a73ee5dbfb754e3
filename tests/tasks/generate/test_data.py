from pathlib import Path

import pytest

from ricorso.data.vocabularies import read_vocabulary
from ricorso.errors import DataError, RunError
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.data import Source, check_same, prepare, read_source

LENGTH = GenerateConfig().resolved().sequence_length or 0


def source(text: str) -> Source:
    return Source(text, None)


def test_the_end_of_the_text_is_kept_for_validation() -> None:
    config = GenerateConfig.of({"sequence_length": 4})
    data = prepare(source("a" * 90 + "b" * 11), None, config)
    assert data.vocabulary.decode(data.train) == "a" * 90
    assert data.validation.tolist() == [0] * 11, "b was never seen in training"


def test_the_split_of_the_published_figures() -> None:
    data = prepare(source("x" * 1_115_394), None, GenerateConfig.of({}).resolved())
    assert (len(data.train), len(data.validation)) == (1_003_854, 111_540)


def test_a_validation_text_of_its_own_leaves_the_whole_text_to_training() -> None:
    data = prepare(source("abc" * 100), source("cab"), GenerateConfig.of({"sequence_length": 4}))
    assert len(data.train) == 300
    assert data.vocabulary.decode(data.validation) == "cab"


def test_no_validation_at_all() -> None:
    data = prepare(source("abc" * 100), None, GenerateConfig.of({"sequence_length": 4, "validation_fraction": 0.0}))
    assert (len(data.train), len(data.validation)) == (300, 0)


def test_rare_characters_are_unknown_in_large_alphabets_only() -> None:
    small = "".join(chr(0x4E00 + i) for i in range(200)) * 2 + "z"
    large = "".join(chr(0x4E00 + i) for i in range(300)) * 2 + "z"
    config = GenerateConfig.of({"sequence_length": 4, "validation_fraction": 0.0})
    assert prepare(source(small), None, config).vocabulary.unknown_in("z") == []
    assert prepare(source(large), None, config).vocabulary.unknown_in("z") == ["z"]
    asked = GenerateConfig.of({"sequence_length": 4, "validation_fraction": 0.0, "minimum_count": 1})
    assert prepare(source(large), None, asked).vocabulary.unknown_in("z") == []


@pytest.mark.parametrize("level", ["byte", "bpe"])
def test_other_levels(level: str) -> None:
    config = GenerateConfig.of({"sequence_length": 4, "level": level, "vocabulary_size": 300})
    data = prepare(source("grün ist das Gras\n" * 50), None, config)
    assert data.vocabulary.kind == level
    assert data.vocabulary.decode(data.train) == ("grün ist das Gras\n" * 50)[:810]
    assert type(read_vocabulary(data.vocabulary.to_json())) is type(data.vocabulary)


@pytest.mark.parametrize("text", ["a", "abcdef", "a" * LENGTH])
def test_a_text_shorter_than_the_sequence_length_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=rf"too short.*sequence_length={LENGTH} needs at least {LENGTH + 1}"):
        prepare(source(text), None, GenerateConfig.of({}).resolved())


def test_a_validation_text_of_one_symbol_is_refused() -> None:
    with pytest.raises(DataError, match="validation text is too short: 1 symbols"):
        prepare(source("abc" * 100), source("a"), GenerateConfig.of({"sequence_length": 4}))


def test_a_text_may_be_given_as_it_is_or_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    assert read_source(path, "utf-8") == read_source(str(path), "utf-8") == Source("one\ntwo\n", path.resolve())
    assert read_source("one\ntwo\n", "utf-8") == Source("one\ntwo\n", None)
    with pytest.raises(DataError, match="no file 'one two'"):
        read_source("one two", "utf-8")


def test_another_text_is_recognised() -> None:
    check_same(source("abc"), source("abc").fingerprint)
    with pytest.raises(RunError, match="not the one this run was trained on"):
        check_same(source("abd"), source("abc").fingerprint)


def test_an_unknown_kind_of_vocabulary_is_refused() -> None:
    with pytest.raises(RunError, match="'words'"):
        read_vocabulary({"kind": "words"})
