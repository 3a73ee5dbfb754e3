import numpy as np
import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.errors import ShapeError, UsageError
from ricorso.kernels import available
from ricorso.layers import LSTM, Recurrent


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def tolerance(request, monkeypatch):
    """Of streams compared with compiled sequences."""
    if request.param == "plain":
        monkeypatch.setattr(available, "missing", lambda: "this test wants none")
        return 1e-5
    return 1e-6


def test_which_it_is(request):
    (layer,) = Recurrent("gru", 4, 7).stepper()._layers
    assert type(layer).__name__.lower().startswith(request.node.callspec.params["tolerance"])


def test_signals_stay_as_they_were():
    torch.manual_seed(0)
    stepper = Recurrent("cfc", 4, 7).stepper()
    kept, x = stepper.states, np.ones((1, 4), np.float32)
    first = stepper.step(x, dt=3.0).copy()
    stepper.states = kept
    assert np.array_equal(stepper.step(x), first)
    stepper.states = kept
    assert not np.array_equal(stepper.step(x, dt=1.0), first)


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CATALOGUE)
def test_steps_equal_the_sequence(cell, layers, tokens, tolerance):
    torch.manual_seed(0)
    layer = Recurrent(cell, 6, 100, layers, bias=layers == 1)
    x = torch.randint(0, 6, (9, 3)) if tokens else torch.randn(9, 3, 6)
    output, states = layer(x)
    stepper = layer.stepper(batch_size=3, tokens=tokens)
    for t in range(9):
        assert stepper.step(x[t].numpy()) == pytest.approx(output[t].detach().numpy(), abs=tolerance)
    states = (states,) if isinstance(states, torch.Tensor) else states
    for found, wanted in zip(stepper.states, states, strict=True):
        assert found == pytest.approx(wanted.detach().numpy(), abs=tolerance)


def test_states_can_be_kept_and_put_back():
    stepper = Recurrent("lstm", 4, 7).stepper(tokens=True)
    stepper.step(1)
    kept = stepper.states
    first = stepper.step(2).copy()
    stepper.step(3)
    stepper.states = kept
    assert np.array_equal(stepper.step(2), first)
    stepper.reset()
    assert not any(state.any() for state in stepper.states)


def test_weights_are_those_of_the_moment_it_was_made():
    layer = Recurrent("gru", 4, 7)
    stepper = layer.stepper(tokens=True)
    before = stepper.step(1).copy()
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.zero_()
    stepper.reset()
    assert np.array_equal(stepper.step(1), before)


def test_wrong_use_is_named():
    stepper = Recurrent("gru", 4, 7).stepper(tokens=True)
    with pytest.raises(ShapeError, match="0 to 3"):
        stepper.step(4)
    with pytest.raises(ShapeError, match="states of shape"):
        stepper.states = (np.zeros((2, 1, 7), np.float32),)
    with pytest.raises(ShapeError, match="features of shape"):
        Recurrent("gru", 4, 7).stepper().step(np.zeros((1, 5), np.float32))
    with pytest.raises(UsageError, match="look ahead"):
        LSTM(4, 7, bidirectional=True).stepper()
