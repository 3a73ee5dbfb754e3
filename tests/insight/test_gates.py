import json
import math

import pytest
import torch

from ricorso import Recurrent
from ricorso.cells import CATALOGUE, get_cell
from ricorso.equations.transform import layer_normalised
from ricorso.insight.gates import activations, gates
from ricorso.insight.trace import Traced

HIDDEN = 8


def traced(cell, change=lambda layer: None):
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, HIDDEN, dtype=torch.float64)
    with torch.no_grad():
        change(layer)
    found = Traced(layer)
    found(torch.randn(200, 2, 3, dtype=torch.float64))
    return gates(found.layers[0], 1)


def by_name(found):
    return {a.name: a for a in found.activations}


def test_a_forget_gate_that_is_always_open():
    def open_up(layer):
        for name in ("weight_ih_l0", "weight_hh_l0"):
            getattr(layer, name)[HIDDEN : 2 * HIDDEN] = 0
        layer.bias_ih_l0[HIDDEN : 2 * HIDDEN] = 5.0
        layer.bias_hh_l0[HIDDEN : 2 * HIDDEN] = 0

    found = traced("lstm", open_up)
    forget, start = by_name(found)["sigmoid(f)"], by_name(found)["sigmoid(o)"]
    assert (forget.low, forget.high, forget.stuck) == (0.0, 1.0, 1.0)
    assert forget.mean == pytest.approx(1 / (1 + math.exp(-5)))
    assert start.stuck < 1
    expected = -1 / math.log(1 / (1 + math.exp(-5)))
    assert found.time_constants["c"] == pytest.approx([expected] * HIDDEN)


def test_shares_are_of_all_values():
    def only_the_input(layer):
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.zero_()
        layer.weight_ih_l0[:, 0] = 2.0
        layer.bias_ih_l0.zero_()

    found = by_name(traced("elman_tanh", only_the_input))["tanh(p)"]
    torch.manual_seed(0)
    Recurrent("elman_tanh", 3, HIDDEN, dtype=torch.float64)
    x = torch.tanh(2 * torch.randn(200, 2, 3, dtype=torch.float64)[..., 0])
    assert found.low == pytest.approx((x < -0.9).double().mean().item())
    assert found.high == pytest.approx((x > 0.9).double().mean().item())
    assert found.mean == pytest.approx(x.mean().item())


def test_dead_units_of_a_relu():
    def kill(layer):
        layer.bias_ih_l0[[2, 5]] = -100.0

    found = traced("elman_relu", kill)
    assert found.dead == [2, 5]
    assert by_name(found)["relu(p)"].stuck == pytest.approx(2 / HIDDEN)
    assert found.units == HIDDEN


@pytest.mark.parametrize("heads", [1, 2])
def test_spectral_radius_of_known_matrices(heads):
    torch.manual_seed(0)
    layer = Recurrent("gru", 3, HIDDEN, heads=heads, dtype=torch.float64)
    depth = HIDDEN // heads
    with torch.no_grad():
        for n, radius in enumerate((0.5, 1.5, 2.0)):
            blocks = radius * torch.eye(depth, dtype=torch.float64).repeat(heads, 1)
            # a rotation has complex eigenvalues of its radius
            blocks[:2, :2] = radius * torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
            layer.weight_hh_l0[n * HIDDEN : (n + 1) * HIDDEN] = blocks
    found = Traced(layer)
    found(torch.randn(4, 2, 3, dtype=torch.float64))
    assert gates(found.layers[0], 1).spectral_radius == pytest.approx({"r": 0.5, "z": 1.5, "n": 2.0})


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("lstm", ["sigmoid(i)", "sigmoid(f)", "tanh(g)", "sigmoid(o)", "tanh(c')"]),
        ("gru_reset_before", ["sigmoid(r)", "sigmoid(z)", "tanh(n)"]),
        ("janet", ["sigmoid(f)", "sigmoid(f - 1)", "tanh(g)"]),
        ("ligru", ["sigmoid(z)", "relu(n)"]),
        ("lru", []),
    ],
)
def test_activations_are_named_after_what_they_squash(cell, names):
    assert [name for name, _ in activations(get_cell(cell))] == names


def test_normalised_gates_keep_their_names():
    names = [name for name, _ in activations(layer_normalised(get_cell("gru")))]
    assert names == ["sigmoid(r)", "sigmoid(z)", "tanh(n)"]


@pytest.mark.parametrize("cell", CATALOGUE)
def test_every_cell_can_be_looked_at(cell):
    found = traced(cell)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert json.loads(text)["units"] == HIDDEN
    for a in found.activations:
        assert 0 <= a.low <= 1
        assert 0 <= a.high <= 1 - a.low + 1e-12
    for constants in found.time_constants.values():
        assert len(constants) == HIDDEN
        assert min(constants) > 0
