import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations.render import adjoint_latex, latex, text


def test_text_of_the_gru_shows_its_split_gate():
    shown = text(CATALOGUE["gru"])
    assert "x_n = W_n x + b_n" in shown
    assert "h' = h*sigmoid(z) + (1 - sigmoid(z))*tanh(u_n*sigmoid(r) + x_n)" in shown


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=lambda cell: cell.name)
def test_latex_names_every_state_and_balances_its_brackets(cell):
    for shown in (latex(cell), adjoint_latex(cell)):
        assert shown.count("{") == shown.count("}")
        assert "_new" not in shown
    assert all(f"{state.name}_t &=" in latex(cell) for state in cell.states)
    assert rf"\delta {cell.states[0].name}_t" in adjoint_latex(cell)
