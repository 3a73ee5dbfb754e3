"""All steps at once against the oracle."""

import pytest
import torch
from problem import assert_close, kernel_cell, oracle, problem, results

from ricorso.cells import CATALOGUE
from ricorso.engine import scan
from ricorso.equations import Cell, inputs, sigmoid, states, tanh
from ricorso.equations.linear import linear, linear_form
from ricorso.equations.transform import zoneout
from ricorso.layers import Recurrent

LINEAR = {"sru", "qrnn", "mingru", "minlstm", "rglru", "lru"}


def test_linear_cells_are_recognised_from_their_equations():
    assert {name for name, cell in CATALOGUE.items() if linear(cell)} == LINEAR


def test_a_state_inside_a_function_or_a_product_of_states_is_not_linear():
    (z, n), (h, c) = inputs("z n"), states("h c")
    for new in (tanh(h) + z, h * c + z, h**2 + z):
        assert linear_form(Cell("bent", gates=(z, n), states=(h, c), update={h: new, c: n + c})) is None
    mixed = linear_form(Cell("mixed", gates=(z, n), states=(h, c), update={h: (h + sigmoid(z) * c) * n, c: h - z}))
    assert mixed is not None
    assert mixed.matrix == ((n, n * sigmoid(z)), (1, 0))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16, 33])
@pytest.mark.parametrize("name", sorted(LINEAR))
def test_equals_the_oracle(name, steps, reverse):
    cell = kernel_cell(CATALOGUE[name])
    call = problem(cell, (steps, 3, 4, 5), torch.float64, reverse=reverse)
    assert_close(results(lambda c: scan.run(cell, c), call), oracle(cell, call), 1e-10)


def test_zoneout_leaves_the_linear_form_out_of_training_only():
    assert linear(zoneout(CATALOGUE["mingru"], training=False))
    assert not linear(zoneout(CATALOGUE["mingru"]))


def test_a_layer_runs_it_when_asked(monkeypatch):
    layer = Recurrent("mingru", 3, 8, num_layers=2, bidirectional=True)
    x = torch.randn(9, 2, 3)
    wanted, _ = layer(x)
    monkeypatch.setenv("RICORSO_PATH", "scan")
    found, _ = layer(x)
    assert layer.path.startswith("scan")
    assert torch.allclose(found, wanted, atol=1e-5)
