import pytest
import torch

from ricorso.bench import sequence, stream
from ricorso.bench.question import OURS, ask, largest_difference
from ricorso.cells import get_cell
from ricorso.errors import UsageError

QUESTIONS = {
    "training": lambda kind: sequence.training(kind, 8, 3, 7),
    "training of a stack": lambda kind: sequence.training(kind, 8, 3, 7, num_layers=2, bidirectional=True),
    "ragged": lambda kind: sequence.ragged(kind, 8, 5, 9, padded=True),
    "inference": lambda kind: sequence.inference(kind, 8, 3, 7, onnx=False),
    "step": lambda kind: stream.step(kind, 8, 2, steps=3, onnx=False),
}


@pytest.mark.parametrize("kind", sequence.PAIRS)
@pytest.mark.parametrize("name", QUESTIONS)
def test_sides_compute_the_same(name, kind):
    found = ask(QUESTIONS[name](kind), 0.01, rate=1e12)
    assert found.refusal == ""
    assert "torch" in found.times


@pytest.mark.parametrize("name", QUESTIONS)
def test_other_weights_are_noticed(name, monkeypatch):
    pair = sequence.pair

    def other(*arguments, **options):
        ours, theirs = pair(*arguments, **options)
        with torch.no_grad():
            next(theirs.parameters()).add_(0.01)
        return ours, theirs

    monkeypatch.setattr(sequence, "pair", other)
    monkeypatch.setattr(stream, "pair", other)
    assert "from torch" in ask(QUESTIONS[name]("gru"), 0.01).refusal


@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_is_left_of_the_run_before(name):
    for side in QUESTIONS[name]("lstm").sides.values():
        first = [tensor.clone() for tensor in side()]
        assert largest_difference(side(), first) < 1e-6


@pytest.mark.parametrize("section", ["training", "inference"])
def test_any_cell_has_a_loop_beside_it(section):
    found = ask(sequence.of_cell(section, get_cell("mgu"), 8, 3, 7), 0.01, rate=1e12)
    assert (found.cell, found.peers, found.refusal) == ("mgu", ["loop"], "")


def test_a_question_about_a_noisy_layer_is_refused():
    from ricorso.equations.transform import zoneout

    with pytest.raises(UsageError, match="random numbers"):
        sequence.of_cell("training", zoneout(get_cell("gru")), 8, 3, 7)


def test_padding_is_left_out_of_the_comparison():
    question = sequence.ragged("gru", 8, 5, 9, padded=True)
    ours, padded = question.sides[OURS](), question.sides["padded"]()
    assert largest_difference(padded, ours) > 0.1
    assert largest_difference(question.comparable(padded), question.comparable(ours)) < 1e-5


def test_lengths_reach_from_low_to_high():
    torch.manual_seed(0)
    lengths = sequence.lengths_between(3, 12, 400)
    assert (int(lengths.min()), int(lengths.max()), int(lengths[0])) == (3, 12, 12)


def test_operations_are_those_of_the_products():
    ours, _ = sequence.pair("gru", 8, 8)
    # three gates, for the input and for the output before; a multiplication and an addition
    assert sequence.product_operations(ours, rows=10, training=False) == 10 * 2 * 3 * (8 * 8 + 8 * 8)
    assert sequence.product_operations(ours, rows=10, training=True) == 3 * 10 * 2 * 3 * 128
