import json

import pytest

from ricorso.bench.summary import as_json, means, sentences, times_as_fast


def test_means_are_geometric_and_by_section_cell_and_peer(report):
    first = means(report.answers)[0]
    assert (first.section, first.cell, first.peer, first.count) == ("training", "lstm", "torch", 2)
    assert (first.ratio, first.low, first.high) == (pytest.approx(2.0), pytest.approx(1.0), pytest.approx(4.0))
    assert len(means(report.answers)) == 7


def test_each_result_is_told_in_a_sentence(report):
    first, second, third, fourth, last = sentences(report.answers)
    assert first == "A training step of the LSTM is 2.00 times as fast as torch.nn (1.00 to 4.00 over 2 sizes)."
    assert second == "A training step of the GRU is slower than torch.nn, 0.50 times as fast."
    assert third == "A training step of the cell 'lem' is 40.0 times as fast as a torch loop."
    assert fourth.startswith("Inference with the LSTM is 2.00 times as fast as torch.nn and slower than ONNX Runtime, ")
    assert last.startswith("One step of a stream through the LSTM is 10.0 times as fast as torch.nn.LSTMCell and 2.00 ")


def test_a_small_difference_is_none(report):
    assert "about as fast as torch.nn." in sentences(report.answers[:1])[0]


@pytest.mark.parametrize(("ratio", "told"), [(0.123, "0.12"), (9.994, "9.99"), (12.34, "12.3"), (123.4, "123")])
def test_ratios_have_three_digits_or_so(ratio, told):
    assert times_as_fast(ratio) == told


def test_plain_data_hold_everything(report):
    told = json.loads(json.dumps(as_json(report), allow_nan=False))
    assert told["product_rate_flops"] == 2e11
    assert told["answers"][1]["ratio"] == {"torch": pytest.approx(4.0)}
    assert told["answers"][-1]["refusal"]
    assert told["geometric_means"][0]["ratio"] == pytest.approx(2.0)
    assert told["sentences"] == sentences(report.answers)
    assert told["refused"] == 1
