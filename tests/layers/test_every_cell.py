"""The whole catalogue as layers: stacks, directions, steps, chunks, rows, storage."""

import json

import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.equations import portable
from ricorso.layers import Recurrent

EVERY = pytest.mark.parametrize("cell", CATALOGUE)
STACKS = pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True}], ids=str)


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


def signals(layer, x):
    torch.manual_seed(3)
    return {signal.name: torch.rand(x.shape[:2], dtype=x.dtype) + 0.5 for signal in layer.cell.signals}


def assert_same(a, b, tolerance=1e-12):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-3)


def layer_for(cell, *sizes, **options):
    torch.manual_seed(0)
    return Recurrent(cell, *sizes, dtype=torch.float64, **options)


@EVERY
@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}], ids=str)
def test_gradients_against_finite_differences(cell, options):
    layer = layer_for(cell, 2, 8, **options)
    x = torch.randn(2, 2, 2, dtype=torch.float64, requires_grad=True)
    given = signals(layer, x)
    names = list(dict(layer.named_parameters()))

    def run(x, *weights):
        output, states = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,), given)
        return output, *as_tuple(states)

    # relu has no derivative where two finite steps meet its corner; these sizes and seed stay clear of it
    assert torch.autograd.gradcheck(run, (x, *layer.parameters()), atol=3e-5, fast_mode=True)
    assert layer.path.startswith("llvm")


@EVERY
def test_token_ids_equal_one_hot_vectors(cell):
    layer = layer_for(cell, 6, 8, num_layers=2)
    ids = torch.randint(0, 6, (5, 4))
    one_hot = torch.nn.functional.one_hot(ids, 6).double()
    given = signals(layer, one_hot)
    gradients = [torch.autograd.grad(layer(x, **given)[0].sin().sum(), layer.parameters()) for x in (ids, one_hot)]
    for found, wanted in zip(*gradients, strict=True):
        assert_same(found, wanted)


@EVERY
@STACKS
def test_chunks_with_carried_states_equal_the_whole(cell, options):
    if options.get("bidirectional"):
        pytest.skip("a chunk does not know what comes after it")
    layer = layer_for(cell, 3, 8, **options)
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    given = signals(layer, x)
    whole, finals = layer(x, **given)
    first, states = layer(x[:4], **{name: value[:4] for name, value in given.items()})
    second, again = layer(x[4:], states, **{name: value[4:] for name, value in given.items()})
    assert_same(torch.cat([first, second]), whole)
    for a, b in zip(as_tuple(again), as_tuple(finals), strict=True):
        assert_same(a, b)


@EVERY
@pytest.mark.parametrize("tokens", [False, True])
def test_steps_equal_the_sequence(cell, tokens):
    layer = layer_for(cell, 5, 8, num_layers=2)
    x = torch.randint(0, 5, (6, 3)) if tokens else torch.randn(6, 3, 5, dtype=torch.float64)
    given = signals(layer, torch.empty(6, 3, dtype=torch.float64))
    whole, finals = layer(x, **given)
    stepper = layer.stepper(batch_size=3, tokens=tokens)
    for t in range(6):
        output = stepper.step(x[t].numpy(), **{name: value[t].numpy() for name, value in given.items()})
        assert_same(torch.from_numpy(output), whole[t])
    for found, wanted in zip(stepper.states, as_tuple(finals), strict=True):
        assert_same(torch.from_numpy(found), wanted)


@EVERY
def test_rows_do_not_touch_each_other(cell):
    layer = layer_for(cell, 3, 100)
    x = torch.randn(3, 17, 3, dtype=torch.float64)
    together, _ = layer(x)
    for row in (0, 7, 16):
        assert_same(layer(x[:, row : row + 1])[0], together[:, row : row + 1])


@EVERY
def test_saved_and_loaded_it_is_the_same(cell, tmp_path):
    layer = layer_for(cell, 3, 8, num_layers=2, bidirectional=True)
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    stored = json.dumps(portable.to_json(layer.cell))
    again = Recurrent(
        portable.from_json(json.loads(stored)), 3, 8, num_layers=2, bidirectional=True, dtype=torch.float64
    )
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    assert_same(again(x)[0], layer(x)[0])


ALSO_LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("lstm_layer_norm", "slstm", "lem", "cfc", "sru")]


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before", "lru", *ALSO_LONG])
def test_the_oracle_gives_the_same(cell, monkeypatch):
    layer = layer_for(cell, 3, 8, num_layers=2, bidirectional=True, zoneout=(0.1, 0.2), recurrent_dropout=0.3)
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    results = []
    for path in ("llvm", "naive"):
        monkeypatch.setenv("RICORSO_PATH", path)
        for training in (True, False):
            torch.manual_seed(5)
            output, _ = layer.train(training)(x)
            assert layer.path.startswith(path)
            results.append((output, *torch.autograd.grad(output.sin().sum(), layer.parameters())))
    for fast, slow in zip(results[:2], results[2:], strict=True):
        for a, b in zip(fast, slow, strict=True):
            assert_same(a, b, 1e-10)


@EVERY
def test_starting_values_are_finite_and_of_their_size(cell):
    for horizon in (None, 100.0):
        layer = Recurrent(cell, 3, 100, horizon=horizon)
        assert all(parameter.isfinite().all() for parameter in layer.parameters())
        output, _ = layer(torch.randn(300, 2, 3))
        assert output.isfinite().all()
        assert output.abs().max() < 1000
