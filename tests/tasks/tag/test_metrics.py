import pytest

from ricorso.tasks.tag.metrics import accuracy_where, span_figures, token_figures

TRUTH = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]]
FOUND = [["B-PER", "O", "O", "B-LOC"], ["B-PER", "B-LOC"]]


def test_tokens_by_hand() -> None:
    figures = token_figures(TRUTH, FOUND)
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["tags"]["O"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert figures["tags"]["I-PER"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_spans_by_hand() -> None:
    figures = span_figures(TRUTH, FOUND)
    # right: both places; told: two persons and two places; wanted: one person, two places
    assert figures["precision"] == pytest.approx(2 / 4)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["f1"] == pytest.approx(4 / 7)
    assert figures["kinds"]["LOC"]["f1"] == 1.0
    assert figures["kinds"]["PER"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_some_words_only() -> None:
    words = [["a", "b", "c", "d"], ["e", "f"]]
    assert accuracy_where(words, TRUTH, FOUND, lambda word: word in "be") == {"accuracy": 0.0, "tokens": 2}
    assert accuracy_where(words, TRUTH, FOUND, lambda word: word == "z") == {"accuracy": None, "tokens": 0}
