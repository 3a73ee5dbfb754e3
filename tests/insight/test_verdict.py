import math

import pytest

from ricorso.insight.gates import Activation, Gates
from ricorso.insight.reach import Reach
from ricorso.insight.verdict import Setting, judge, worst

GATED = Setting("lstm", True, 64, 1.0, 8e-3)
PLAIN = Setting("elman_sigmoid", False, 64, 0.0, 8e-3)


def falling(rate, steps=200):
    return Reach(1, [rate**k for k in range(steps)], [])


@pytest.mark.parametrize(
    ("reach", "name"),
    [
        (falling(0.5), "vanishing"),
        (falling(0.7), "vanishing"),
        (falling(0.9), "healthy"),
        (falling(1.0), "healthy"),
        (falling(1.02), "exploding"),
        (Reach(1, [1.0, math.inf, math.nan], []), "exploding"),
        (Reach(1, [1.0, 1.0] + [0.0] * 100, []), "vanishing"),
    ],
)
def test_names(reach, name):
    assert judge(reach, GATED).name == name


def test_what_counts_is_how_far_training_looks():
    near = Setting("lstm", True, 16, 1.0, 8e-3)
    assert judge(falling(0.5), near).name == "healthy"
    assert judge(falling(0.5, steps=10), GATED).name == "healthy"


def test_advice_names_settings_that_fit():
    advice = " ".join(judge(falling(0.5), PLAIN).advice)
    assert "cell: lstm" in advice
    assert "sequence_length: of its 64" in advice
    assert "horizon" in " ".join(judge(falling(0.5), GATED).advice)
    growing = " ".join(judge(falling(1.1), PLAIN).advice)
    assert "clip: set it" in growing
    assert "cell: one with gates" in growing
    assert "clip: lower it (it is 1)" in " ".join(judge(falling(1.1), GATED).advice)


def test_saturation_is_named():
    flat = Activation("sigmoid(p)", "sigmoid", 0.1, 0.7, 0.1, 0.0)
    gates = Gates(1, [flat], 8, [], {}, {})
    assert any("sigmoid(p) is saturated at 80%" in line for line in judge(falling(0.5), PLAIN, gates).advice)


def test_a_gradient_that_arrives_from_everywhere_asks_for_longer_sequences():
    assert "above 64" in judge(falling(0.99), GATED).advice[0]
    assert judge(falling(0.9), GATED).advice == []


def test_the_sentence_has_the_figures():
    assert "halves every 1.0 steps" in judge(falling(0.5), GATED).why
    assert "6 steps back" in judge(falling(0.5), GATED).why


def test_one_healthy_layer_is_enough():
    healthy, vanishing, exploding = (judge(falling(rate), GATED) for rate in (0.95, 0.5, 1.1))
    assert worst([vanishing, healthy]) == "healthy"
    assert worst([vanishing, vanishing]) == "vanishing"
    assert worst([healthy, exploding]) == "exploding"


def test_whole_sequences_have_no_sequence_length_to_change():
    whole = Setting("lstm", True, 64, 1.0, 8e-3, "half of the texts have 64 words or more", "What it means.")
    vanishing, growing = judge(falling(0.5), whole), judge(falling(1.1), whole)
    assert "where half of the texts have 64 words or more" in vanishing.why
    assert vanishing.advice[-1] == "What it means."
    assert "sequence_length" not in " ".join(vanishing.advice + growing.advice)
    assert judge(falling(0.999, steps=9), whole).why.endswith("8 steps back, as far as it was followed.")
    assert judge(falling(0.99), whole).advice == []
