import pytest

from ricorso.bench import machine, plan
from ricorso.bench.plan import KINDS, Plan, run
from ricorso.bench.section import SECTIONS
from ricorso.cells import get_cell


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(machine, "PRODUCTS", ((8, 8, 8),))


def test_every_size_of_every_cell_is_asked():
    labels = [label for label, _ in Plan(hidden=(8, 16), batches=(1, 4), cells=(get_cell("mgu"),)).questions()]
    assert labels[0] == "training, lstm, 8 units, batch 1"
    assert "step, rnn, 16 units" in labels
    assert "training, mgu beside a torch loop, 16 units, batch 4" in labels
    assert [label for label in labels if label.startswith("ragged, gru")] == [
        "ragged, gru, 8 units, batch 4",
        "ragged, gru, 16 units, batch 4",
    ]
    assert len(labels) == len(set(labels)) == 2 * (2 * 2 * 4 + 3 + 3)


def test_a_batch_of_one_has_no_different_lengths():
    small = Plan(("ragged",), batches=(1,))
    assert list(small.questions()) == []
    assert "one length" in small.left_out()[0]


def test_without_onnx_runtime_the_rest_is_asked(monkeypatch):
    monkeypatch.setattr(plan, "missing", lambda: "onnx")
    small = Plan(("inference", "step"), hidden=(8,), batches=(2,), steps=5)
    assert "pip install onnx onnxruntime" in small.left_out()[0]
    assert [answer.peers for answer in run(small, 0.01).answers] == [["torch"]] * 6
    assert Plan(("training",)).left_out() == []


def test_it_says_what_is_next():
    heard = []
    report = run(Plan(("training",), hidden=(8,), batches=(2,), steps=5), 0.01, lambda *told: heard.append(told))
    assert heard[0] == (0, 3, "the rate of large products")
    assert [done for done, _, _ in heard] == [0, 0, 1, 2, 3]
    assert [answer.cell for answer in report.answers] == list(KINDS)
    assert report.rate > 0
    assert all(answer.share > 0 for answer in report.answers)


def test_the_machine_is_described():
    about = machine.described()
    assert about["machine"]["threads"] >= 1
    assert about["versions"]["torch"]
    assert machine.memory_rate(0.01, 100) > 0


def test_every_section_names_its_peers():
    assert SECTIONS["step"].peer("torch", "gru") == "torch.nn.GRUCell"
    assert SECTIONS["training"].peer("loop") == "a torch loop"
