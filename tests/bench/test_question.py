import math

import pytest
import torch

from ricorso.bench.question import OURS, Question, ask, largest_difference

ONE = torch.tensor([1.0, 2.0])


def question(theirs, **more):
    return Question("training", "gru", 8, 2, 5, {OURS: lambda: [ONE], "torch": lambda: [theirs]}, **more)


def test_equal_sides_are_timed():
    found = ask(question(ONE + 1e-6, operations=100.0, parts=4), 0.01, rate=1e12)
    assert found.refusal == ""
    assert found.peers == ["torch"]
    assert 0 < found.share < 1
    assert found.ratio("torch") > 0
    low, high = found.spread("torch")
    assert low <= found.ratio("torch") <= high
    told = found.as_json()
    assert told["ratio"]["torch"] == found.times["torch"].median / found.times[OURS].median
    assert told["ricorso"]["runs"] == found.times[OURS].runs


def test_different_sides_are_not_timed_and_the_difference_is_told():
    timed = []
    wrong = Question("step", "gru", 8, 1, 5, {OURS: lambda: [ONE], "torch": lambda: timed.append(1) or [ONE * 1.5]})
    found = ask(wrong, 0.01)
    assert not found.times
    assert timed == [1]
    assert "3.3e-01 from torch" in found.refusal
    assert found.as_json()["refusal"] == found.refusal
    assert "ratio" not in found.as_json()


@pytest.mark.parametrize("theirs", [ONE * math.nan, ONE[:1], ONE.unsqueeze(0)], ids=["nan", "shorter", "other shape"])
def test_what_cannot_be_compared_is_not_equal(theirs):
    assert largest_difference([theirs], [ONE]) == math.inf
    found = ask(question(theirs), 0.01)
    assert found.refusal
    assert found.as_json()["largest_relative_difference"] == {"torch": None}


def test_a_nan_does_not_hide_behind_another_tensor():
    assert largest_difference([ONE, ONE * math.nan], [ONE * 1.1, ONE]) == math.inf


def test_a_missing_result_is_an_error():
    with pytest.raises(ValueError, match="longer"):
        largest_difference([ONE], [ONE, ONE])


def test_only_what_is_comparable_is_compared():
    assert ask(question(torch.tensor([1.0, 9.0]), comparable=lambda results: [results[0][:1]]), 0.01).times


def test_the_tolerance_is_the_questions():
    assert ask(question(ONE * 1.01), 0.01).refusal
    assert not ask(question(ONE * 1.01, tolerance=0.02), 0.01).refusal
