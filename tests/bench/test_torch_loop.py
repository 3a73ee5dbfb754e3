import pytest
import torch
from sympy import sqrt

from ricorso.bench.torch_loop import TorchLoop
from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, Noise, gates, mean, products, states, tanh
from ricorso.errors import UsageError
from ricorso.layers import Recurrent


def both(cell, monkeypatch):
    """Outputs, final states and gradients of a layer through the oracle, and of the loop."""
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, 8, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    x = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
    monkeypatch.setenv("RICORSO_PATH", "naive")
    found = []
    for run in (layer, TorchLoop(layer)):
        output, last = run(x)
        finals = [last] if isinstance(last, torch.Tensor) else list(last)
        torch.manual_seed(1)
        weights = [torch.randn_like(output), *(torch.randn_like(final) for final in finals)]
        leaves = [x, *layer.parameters()]
        found.append([output, *finals, *torch.autograd.grad([output, *finals], leaves, weights, allow_unused=True)])
    return found


@pytest.mark.parametrize("name", CATALOGUE)
def test_it_computes_what_the_oracle_does(name, monkeypatch):
    for wanted, found in zip(*both(name, monkeypatch), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_gates_that_multiply_the_same_vector_share_a_product(monkeypatch):
    layer = Recurrent("lstm", 3, 8)
    loop = TorchLoop(layer)
    assert list(loop.shared.values()) == [["i", "f", "g", "o"]]
    assert list(TorchLoop(Recurrent("gru_reset_before", 3, 8)).shared.values()) == [["r", "z"], ["n"]]


@pytest.mark.parametrize(("name", "count"), [("lstm_layer_norm", 5), ("gru_layer_norm", 4), ("lstm", 0)])
def test_normalisation_is_torchs_own(name, count):
    operations = [i.operation for _, i in TorchLoop(Recurrent(name, 3, 8)).instructions]
    assert operations.count("layer_norm") == count
    assert ("mean" in operations) is False


def test_what_only_resembles_a_normalisation_is_left_as_it_is(monkeypatch):
    (p,), (h,) = gates("p"), states("h")
    centred = p - mean(p)
    right = sqrt(mean(centred**2) + 1e-5)
    for update in (centred / sqrt(mean(centred**2) + 1e-3), centred / sqrt(mean(p**2) + 1e-5), h * centred / right):
        cell = Cell("nearly", gates=(p,), states=(h,), update={h: update})
        assert "layer_norm" not in [i.operation for _, i in TorchLoop(Recurrent(cell, 3, 8)).instructions]
        for wanted, found in zip(*both(cell, monkeypatch), strict=True):
            torch.testing.assert_close(found, wanted)


def test_gates_without_input_have_their_bias(monkeypatch):
    (p,), (q,), (h,) = gates("p"), products("q"), states("h")
    cell = Cell("both", gates=(p, q), states=(h,), update={h: tanh(p) + tanh(q)})
    for wanted, found in zip(*both(cell, monkeypatch), strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_cell_that_draws_numbers_is_refused():
    (p,), (h,) = gates("p"), states("h")
    cell = Cell("noisy", gates=(p,), states=(h,), update={h: tanh(p) * Noise("u", real=True)})
    with pytest.raises(UsageError, match="random numbers"):
        TorchLoop(Recurrent(cell, 3, 8))
