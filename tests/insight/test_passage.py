import numpy as np
import pytest
import torch

from ricorso.data.vocabulary import ByteVocabulary, CharacterVocabulary
from ricorso.errors import DataError
from ricorso.insight.passage import WINDOWS, take

VOCABULARY = CharacterVocabulary.of("abcdefghij")
TEXT = "abcdefghij" * 30


def test_windows_go_on_where_the_one_before_ended():
    passage = take(TEXT, VOCABULARY, steps=20, units=8)
    assert passage.inputs.shape == (20, passage.windows)
    assert passage.in_order(passage.inputs).tolist() == passage.ids[:-1].tolist()
    assert passage.targets.tolist()[:-1] == passage.inputs[0, 1:].tolist()
    assert VOCABULARY.decode(passage.ids) == "".join(passage.pieces)
    assert "".join(passage.pieces) in TEXT


def test_a_short_text_is_one_window():
    passage = take(TEXT[:40], VOCABULARY, steps=200, units=8)
    assert (passage.windows, passage.steps) == (1, 39)


def test_a_large_model_reads_fewer_windows():
    long = TEXT * 100
    assert take(long, VOCABULARY, steps=100, units=8).windows == WINDOWS
    assert take(long, VOCABULARY, steps=100, units=10_000).windows == 4
    assert take(long, VOCABULARY, steps=100, units=10**7).windows == 2


def test_the_seed_chooses_the_place():
    places = [take(TEXT, VOCABULARY, steps=10, units=40_000, seed=seed).ids for seed in (1, 1, 2)]
    assert np.array_equal(places[0], places[1])
    assert not np.array_equal(places[0], places[2])


@pytest.mark.parametrize(("end", "begins"), [("\n", "one"), ("\n\n", "two")])
def test_it_begins_with_a_line_or_better_a_paragraph(end, begins):
    text = "two\none" + end + "two\none" + end + "two\none\n" * 30
    for seed in range(5):
        passage = take(text, CharacterVocabulary.of(text), steps=50, units=8 * 10**4, seed=seed)
        assert "".join(passage.pieces).startswith((begins, "two"))


def test_a_text_of_a_few_symbols_is_refused():
    with pytest.raises(DataError, match="more than 32"):
        take(TEXT[:32], VOCABULARY, steps=10, units=8)


def test_parts_of_a_character_have_no_text_of_their_own():
    passage = take("é" * 40, ByteVocabulary(), steps=10, units=8)
    assert set(passage.pieces) == {"", "é"}


def test_states_are_those_of_reading_on(generator, text):
    passage = take(text, generator.vocabulary_, steps=16, units=16)
    h, c = passage.starts(generator.model_)
    assert h.shape == c.shape == (2, passage.windows, 8)
    assert not h[:, 0].any()
    with torch.no_grad():
        _, (expected, _) = generator.model_(torch.from_numpy(passage.ids[: 3 * 16])[:, None])
    torch.testing.assert_close(h[:, 3:4], expected, rtol=1e-4, atol=1e-5)
