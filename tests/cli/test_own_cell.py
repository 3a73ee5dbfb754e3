"""A cell from a file, from training to a run that no longer needs the file."""

import json

import pytest

from ricorso.bundle import read_json, seal
from ricorso.equations import portable
from ricorso.training.loop import Training

TINY = ["--hidden-size", "8", "--sequence-length", "16", "--batch-size", "4", "--samples", "0", "--threads", "1"]
LEAKY = """
from ricorso.equations import Cell, gates, parameters, sigmoid, states, tanh

f, g = gates("f g")
(h,) = states("h")
(w,) = parameters("w")
LEAKY = Cell(
    "leaky",
    gates=(f, g),
    states=(h,),
    parameters=(w,),
    product_of={g: sigmoid(f) * h},
    update={h: sigmoid(f) * h + (1 - sigmoid(f)) * tanh(g + w * h)},
    start={f: 1, w: 0.1},
)
"""


@pytest.fixture
def file(ricorso, tmp_path):
    """A cell in the working folder."""
    path = tmp_path / "mycell.py"
    path.write_text(LEAKY, encoding="utf-8")
    return path


@pytest.fixture
def run(ricorso, file, text_file, tmp_path):
    """A run trained with that cell, the file gone."""
    outcome = ricorso(
        "train", "generate", text_file, *TINY, "--epochs", "1", "--cell", "mycell.py:LEAKY", "--out", "run"
    )
    assert outcome.status == 0, outcome.err
    file.unlink()
    return tmp_path / "run"


def test_the_run_holds_the_equations_and_works_without_the_file(ricorso, run, text_file):
    stored = portable.from_json(read_json(run / "cell.json"))
    assert (stored.name, [str(parameter) for parameter in stored.parameters]) == ("leaky", ["w"])
    assert read_json(run / "config.json")["settings"]["cell"] == "leaky"
    assert "mycell" not in (run / "config.json").read_text()
    assert ricorso("generate", run, "--length", "20", "--seed", "1").status == 0
    assert ricorso("evaluate", run, text_file).status == 0
    assert ricorso("resume", run).status == 0


def test_resuming_uses_the_stored_equations(ricorso, file, text_file, tmp_path, monkeypatch):
    options = ["train", "generate", text_file, *TINY, "--epochs", "2", "--cell", "mycell.py", "--out"]
    assert ricorso(*options, "straight").status == 0
    original = Training._look_around

    def stop_at_ten(self):
        original(self)
        self.stop.made = self.stop.made or self.cursor.step == 10

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_look_around", stop_at_ten)
        assert ricorso(*options, "stopped").status == 1
    file.write_text("raise RuntimeError('not to be run')\n", encoding="utf-8")
    assert ricorso("resume", "stopped").status == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "stopped")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"update": [["h", ["system", "f"]]]}, "'system', which is outside the vocabulary"),
        ({"update": [["h", ["add", "f", "gone"]]]}, "'gone', which it does not declare"),
        ({"product_of": [["g", ["multiply", "h", "g"]]]}, "'g' of cell 'leaky' depends on itself"),
        ({"start": [["w", 1e400]]}, "not finite"),
        ({"update": [["h", ["power", "f", 5000]]]}, "to the power 5000"),
        ({"update": [["h", ["add", *["f"] * 20000]]]}, "more than 10000 nodes"),
        ({"heads": "two"}, "heads must be a whole number"),
        ({"symbols": "f g h w"}, "not in the expected form"),
    ],
)
def test_a_tampered_cell_is_refused(ricorso, run, change, message):
    (run / "cell.json").write_text(json.dumps(read_json(run / "cell.json") | change), encoding="utf-8")
    seal(run)
    for command in (("generate", run), ("resume", run)):
        outcome = ricorso(*command)
        assert outcome.status == 1
        assert message in outcome.err
        assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("content", ["[" * 100_000, '{"format": 2', "[]", "\x00"])
def test_a_cell_that_is_no_json_object_is_refused(ricorso, run, content):
    (run / "cell.json").write_text(content, encoding="utf-8")
    seal(run)
    outcome = ricorso("generate", run)
    assert outcome.status == 1
    assert "cell.json" in outcome.err


def test_a_changed_cell_is_noticed_by_its_hash(ricorso, run):
    (run / "cell.json").write_text((run / "cell.json").read_text().replace("tanh", "relu"), encoding="utf-8")
    outcome = ricorso("generate", run)
    assert outcome.status == 1
    assert "SHA-256" in outcome.err


def test_settings_from_a_file_do_not_run_code(ricorso, file, text_file, tmp_path):
    (tmp_path / "foreign.json").write_text('{"cell": "mycell.py:LEAKY"}', encoding="utf-8")
    options = ["train", "generate", text_file, *TINY, "--epochs", "1", "--config", "foreign.json"]
    outcome = ricorso(*options, "--out", "run")
    assert outcome.status == 2
    assert "give it yourself, with --cell" in outcome.err
    assert not (tmp_path / "run").exists()
    assert ricorso(*options, "--out", "run", "--cell", "mycell.py:LEAKY").status == 0


@pytest.mark.parametrize(
    ("cell", "status", "message"),
    [
        ("nothing.py:X", 2, "no file 'nothing.py'"),
        ("mycell.py:LEAKI", 2, "Did you mean 'LEAKY'?"),
        ("broken.py:X", 2, "line 1: ZeroDivisionError: division by zero."),
        ("wrong.py:X", 1, "line 6: The equation for 'h' of cell 'x' uses 'lost'"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_leaves_no_folder(ricorso, file, text_file, tmp_path, cell, status, message):
    (tmp_path / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "wrong.py").write_text(
        "from sympy import Symbol\n\nfrom ricorso.equations import Cell, gates, states\n\n(a,), (h,) = gates('a'), "
        "states('h')\nX = Cell('x', (a,), (h,), {h: a + Symbol('lost')})\n",
        encoding="utf-8",
    )
    outcome = ricorso("train", "generate", text_file, *TINY, "--cell", cell, "--out", "run")
    assert outcome.status == status
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
