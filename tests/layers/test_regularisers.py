"""Zoneout, dropouts, weight-drop, autocast and segments on whole layers."""

import pytest
import torch

from ricorso.engine.path import multiplies_bfloat16
from ricorso.errors import ShapeError, UsageError
from ricorso.layers import LSTM, Recurrent

REGULARISED = {"zoneout": 0.3, "recurrent_dropout": 0.3, "input_dropout": 0.3, "weight_drop": 0.3}


@pytest.mark.parametrize("name", REGULARISED)
def test_acts_in_training_only_and_follows_the_seed(name):
    layer = Recurrent("gru", 5, 100, num_layers=2, dtype=torch.float64, **{name: REGULARISED[name]})
    x = torch.randn(6, 3, 5, dtype=torch.float64)

    def run(seed):
        torch.manual_seed(seed)
        return layer(x)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    layer.eval()
    assert torch.equal(run(1), run(2))


@pytest.mark.parametrize("name", REGULARISED)
def test_the_same_units_whatever_the_number_of_threads(name):
    layer = Recurrent("lstm", 5, 100, dtype=torch.float64, **{name: REGULARISED[name]})
    x = torch.randn(20, 40, 5, dtype=torch.float64)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            found.append(layer(x)[0])
    finally:
        torch.set_num_threads(before)
    # rounding may differ with the split of a product, a mask would differ by far more
    assert all(torch.allclose(again, found[0], atol=1e-12) for again in found)


def test_zoneout_keeps_about_its_share_of_the_output():
    layer = Recurrent("gru", 4, 100, zoneout=0.25, dtype=torch.float64)
    output, _ = layer(torch.randn(50, 8, 4, dtype=torch.float64))
    kept = (output[1:] == output[:-1]).float().mean()
    assert 0.22 < kept < 0.28


def test_zoneout_of_states_leaves_the_output_alone():
    torch.manual_seed(0)
    layer = Recurrent("lstm", 4, 100, zoneout=(0.0, 0.5), dtype=torch.float64)
    output, _ = layer(torch.randn(50, 8, 4, dtype=torch.float64))
    assert (output[1:] == output[:-1]).float().mean() < 0.01


def test_recurrent_dropout_keeps_its_units_over_time():
    layer = Recurrent("elman_relu", 4, 100, recurrent_dropout=0.5, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.eye(100))
    output, _ = layer(torch.cat([torch.full((1, 40, 4), 2.0), torch.zeros(9, 40, 4)]).double())
    carried = output[1] > 0
    started = output[0] > 0
    assert (carried & started).any()
    assert (~carried & started).any()
    assert torch.equal(output[-1] > 0, carried)


def test_layer_norm_adds_scales_and_shifts():
    layer = Recurrent("gru", 3, 100, layer_norm=True, dtype=torch.float64)
    assert layer.cell.name == "gru_normalised"
    assert layer.scale_r_l0.tolist() == [1.0] * 100
    assert layer(torch.randn(4, 2, 3, dtype=torch.float64) * 1e4)[0].isfinite().all()


@pytest.mark.skipif(not multiplies_bfloat16(), reason="this processor has no instructions for bfloat16")
def test_autocast_computes_in_bfloat16_and_keeps_gradients_in_float32():
    layer, x = LSTM(16, 32), torch.randn(7, 4, 16)
    exact, _ = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, (h, _c) = layer(x)
    assert output.dtype == h.dtype == torch.bfloat16
    assert layer.path.startswith("llvm")
    assert (output.float() - exact).norm() < 0.02 * exact.norm()
    output.float().square().sum().backward()
    assert layer.weight_hh_l0.grad.dtype == torch.float32


@pytest.mark.skipif(not multiplies_bfloat16(), reason="this processor has no instructions for bfloat16")
@pytest.mark.parametrize(("cell", "hidden"), [("carry", 5), ("slstm", 12)])
def test_bfloat16_in_heads_of_odd_size_takes_the_oracle(cell, hidden):
    layer = Recurrent(cell, 3, hidden).bfloat16()
    assert layer(torch.zeros(2, 1, 3, dtype=torch.bfloat16))[0].dtype == torch.bfloat16
    assert layer.path.startswith("naive: bfloat16 is multiplied in pairs")
    assert Recurrent("mingru", 3, 5).bfloat16()(torch.zeros(2, 1, 3, dtype=torch.bfloat16))[0].isfinite().all()


@pytest.mark.parametrize("options", [{"segment": 4}, {"memory_budget": 3000}], ids=str)
def test_segments_change_nothing_but_the_memory(options):
    torch.manual_seed(0)
    whole = Recurrent("lstm", 3, 8, num_layers=2, bidirectional=True, dtype=torch.float64)
    parts = Recurrent("lstm", 3, 8, num_layers=2, bidirectional=True, dtype=torch.float64, **options)
    parts.load_state_dict(whole.state_dict())
    x = torch.randn(30, 2, 3, dtype=torch.float64)
    gradients = [torch.autograd.grad(layer(x)[0].sin().sum(), layer.parameters()) for layer in (whole, parts)]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-13)


def test_signals_are_checked_by_name_and_shape():
    layer = Recurrent("cfc", 3, 8, batch_first=True)
    x = torch.randn(2, 5, 3)
    gaps = torch.rand(2, 5)
    assert torch.equal(layer(x, dt=torch.ones(2, 5))[0], layer(x)[0])
    assert not torch.equal(layer(x, dt=gaps)[0], layer(x)[0])
    with pytest.raises(UsageError, match="takes dt"):
        layer(x, gap=gaps)
    with pytest.raises(ShapeError, match="one value for each step"):
        layer(x, dt=torch.rand(5, 5))
    with pytest.raises(UsageError, match="detach"):
        layer(x, dt=gaps.requires_grad_())
    with pytest.raises(UsageError, match="takes no signals"):
        LSTM(3, 4)(torch.zeros(2, 1, 3), dt=gaps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "heads=3 does not divide"),
        ({"init": "glorot"}, "recommended or torch"),
        ({"horizon": 1}, "horizon"),
        ({"zoneout": 1.5}, "zoneout"),
        ({"weight_drop": -0.1}, "weight_drop"),
        ({"segment": 0}, "segment"),
        ({"memory_budget": 0.5}, "memory_budget"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        Recurrent("lstm", 3, 8, **options)


def test_a_horizon_starts_the_forget_gate_with_long_time_constants():
    torch.manual_seed(0)
    layer = Recurrent("lstm", 3, 400, horizon=1000)
    forget = layer.bias_ih_l0[400:800]
    constants = forget.exp() + 1
    assert 1 < constants.min() < 60
    assert 800 < constants.max() < 1000
    assert torch.allclose(layer.bias_ih_l0[:400], -forget)


def test_recurrent_matrices_start_orthogonal():
    layer = Recurrent("gru", 3, 8)
    for matrix in layer.weight_hh_l0.split(8):
        assert torch.allclose(matrix @ matrix.T, torch.eye(8), atol=1e-5)
