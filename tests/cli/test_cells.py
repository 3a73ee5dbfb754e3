import json

import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations import portable, render


def test_the_list_names_every_cell(ricorso):
    outcome = ricorso("cells")
    assert outcome.status == 0
    assert [line.split()[0] for line in outcome.out.splitlines()[: len(CATALOGUE)]] == list(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_cell_is_shown_with_its_formulas(ricorso, name):
    outcome = ricorso("cells", name)
    assert outcome.status == 0
    assert CATALOGUE[name].paper in outcome.out
    assert outcome.out.endswith(render.text(CATALOGUE[name]) + "\n")


def test_formulas_as_latex(ricorso):
    assert ricorso("cells", "gru", "--latex").out == render.latex(CATALOGUE["gru"]) + "\n"


def test_json_of_a_cell_holds_its_stored_form(ricorso):
    told = json.loads(ricorso("cells", "carry", "--json").out)
    assert portable.from_json(told["equations"]).name == told["name"] == "carry"


def test_json_of_the_list(ricorso):
    told = json.loads(ricorso("cells", "--json").out)
    assert [cell["name"] for cell in told["cells"]] == list(CATALOGUE)
    assert told["cells"][list(CATALOGUE).index("lstm")]["states"] == ["h", "c"]
