import json

import pytest

from ricorso.cells import CATALOGUE, FAMILIES
from ricorso.engine.path import paths
from ricorso.equations import portable, render
from ricorso.equations.picture import picture

LEAKY = """
from ricorso.equations import Cell, gates, sigmoid, states, tanh

f, g = gates("f g")
(h,) = states("h")
LEAKY = Cell("leaky", gates=(f, g), states=(h,), update={h: sigmoid(f) * h + (1 - sigmoid(f)) * tanh(g)})
"""


@pytest.fixture
def own(ricorso, tmp_path):
    """A file with a cell in the working folder."""
    (tmp_path / "mycell.py").write_text(LEAKY, encoding="utf-8")
    return "mycell.py:LEAKY"


def test_the_list_names_every_cell_under_its_family(ricorso):
    outcome = ricorso("cells")
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["name", "cell", "gates", "states", "recurrence"]
    assert [line.split()[0] for line in lines[1:] if line.startswith("  ")] == list(CATALOGUE)
    assert [line for line in lines if line.removesuffix(":") in FAMILIES] == [f"{family}:" for family in FAMILIES]
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_cell_is_shown_with_its_formulas(ricorso, name):
    outcome = ricorso("cells", name)
    assert outcome.status == 0
    assert CATALOGUE[name].paper in outcome.out
    assert f"\n\n{render.text(CATALOGUE[name])}\n\n" in outcome.out


def test_a_cell_is_shown_with_what_it_trains_and_where_that_starts(ricorso):
    shown = ricorso("cells", "lstm_peephole").out
    assert "recurrence: dense" in shown
    assert "trained numbers: weights 4 H I + 4 H\u00b2, biases 8 H, per unit 3 H" in shown
    assert "starts at:\n  recurrent matrices: orthogonal\n  bias of f = 1" in shown
    assert "with a horizon:\n  bias of f = log" in shown


def test_a_cell_is_shown_with_the_ways_it_runs(ricorso):
    shown = ricorso("cells", "gru").out
    assert all(f"{path.name} " in shown and path.why in shown for path in paths(CATALOGUE["gru"]))


def test_formulas_as_latex(ricorso):
    assert ricorso("cells", "gru", "--latex").out == render.latex(CATALOGUE["gru"]) + "\n"


def test_json_of_a_cell_holds_its_stored_form(ricorso):
    told = json.loads(ricorso("cells", "carry", "--json").out)
    assert portable.from_json(told["equations"]).name == told["name"] == "carry"
    assert told["paths"]["naive"]
    assert told["start"] == ["recurrent matrices: orthogonal", "bias of f = 1"]


def test_json_of_the_list(ricorso):
    told = json.loads(ricorso("cells", "--json").out)
    assert [cell["name"] for cell in told["cells"]] == list(CATALOGUE)
    lstm = told["cells"][list(CATALOGUE).index("lstm")]
    assert (lstm["states"], lstm["family"], lstm["recurrence"]) == (["h", "c"], "LSTM family", "dense")


def test_a_cell_of_a_file_is_shown(ricorso, own):
    outcome = ricorso("cells", own)
    assert outcome.status == 0
    assert outcome.out.startswith("leaky\n\nf = W_f x + b_f + R_f h + d_f\n")


def test_a_picture_is_written(ricorso, own, tmp_path):
    assert ricorso("cells", "lstm", "--picture", "lstm.svg").status == 0
    assert (tmp_path / "lstm.svg").read_text(encoding="utf-8") == picture(CATALOGUE["lstm"])


def test_a_cell_is_checked(ricorso, own):
    outcome = ricorso("cells", own, "--check")
    assert outcome.status == 0
    assert outcome.out.startswith("leaky: every test passed")


def test_a_cell_that_fails_its_check_ends_with_status_1(ricorso, tmp_path):
    (tmp_path / "bad.py").write_text(LEAKY.replace("sigmoid(f) * h", "(f * h * 9) ** 9"), encoding="utf-8")
    outcome = ricorso("cells", "bad.py", "--check", "--json")
    assert outcome.status == 1
    told = json.loads(outcome.out)
    assert told["ok"] is False
    assert [row["name"] for row in told["findings"] if not row["ok"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mycell.py:LEAKI"], "Did you mean 'LEAKY'?"),
        (["nothing.py:X"], "There is no file 'nothing.py'"),
        (["lstn"], "Did you mean 'lstm'?"),
        (["--check"], "--check needs the name of a cell"),
        (["--latex"], "--latex needs the name of a cell"),
    ],
)
def test_a_mistake_is_told_in_one_line(ricorso, own, arguments, message):
    outcome = ricorso("cells", *arguments)
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
