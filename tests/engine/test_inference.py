"""Runs that keep nothing for a backward pass, and the packed weights they keep."""

import gc
import weakref

import pytest
import torch
from problem import KINDS_UNLESS_LONG, kernel_cell, problem, ragged, use_plan

from ricorso import Recurrent
from ricorso.cells import CATALOGUE
from ricorso.engine import fast, inference
from ricorso.equations.transform import zoneout
from ricorso.errors import ShapeError

CELLS = {name: kernel_cell(cell) for name, cell in CATALOGUE.items()}
CELLS["zoneout_lstm"] = kernel_cell(zoneout(CATALOGUE["lstm"]))


def assert_same_bits(cell, hidden, dtype, monkeypatch):
    for plan, tokens, reverse in (("alone", False, False), ("alone", True, True), ("units", False, False)):
        use_plan(monkeypatch, plan)
        call = problem(cell, (4, 5, 3, hidden), dtype, tokens and bool(cell.input_gates), reverse=reverse)
        for own in (call, ragged(call, (4, 3, 3, 1, 0))):
            output, finals, _ = fast.forward(cell, own)
            inferred, inferred_finals = fast.infer(cell, own)
            assert torch.equal(inferred, output)
            assert torch.equal(inferred_finals, finals)


@pytest.mark.parametrize("name", CELLS)
def test_same_bits_as_in_training(name, monkeypatch):
    assert_same_bits(CELLS[name], 8, torch.float64, monkeypatch)


@pytest.mark.parametrize("name", [*KINDS_UNLESS_LONG, "zoneout_lstm"])
def test_same_bits_as_in_training_in_single_precision(name, monkeypatch):
    assert_same_bits(CELLS[name], 100, torch.float32, monkeypatch)


@pytest.mark.parametrize("plan", ["alone", "rows", "units"])
@pytest.mark.parametrize("steps", [1, 3, 7])
@pytest.mark.parametrize("name", [*KINDS_UNLESS_LONG, "zoneout_lstm"])
def test_same_bits_where_inputs_are_projected_piece_by_piece(name, steps, plan, monkeypatch):
    cell, batch, hidden = CELLS[name], 5, 100
    use_plan(monkeypatch, plan)
    call = problem(cell, (8, batch, 3, hidden), torch.float32, False)
    output, finals, _ = fast.forward(cell, call)
    pieces = []
    run = inference.Prepared._run_in_pieces
    monkeypatch.setattr(inference.Prepared, "_run_in_pieces", lambda *given: pieces.append(given[3]) or run(*given))
    monkeypatch.setattr(inference, "_MOST_BYTES", 0)
    monkeypatch.setattr(inference, "_PIECE_BYTES", steps * batch * len(cell.input_gates) * hidden * 4)
    inferred, inferred_finals = fast.infer(cell, call)
    assert torch.equal(inferred, output)
    assert torch.equal(inferred_finals, finals)
    assert pieces == ([steps] if len(cell.states) <= 2 and not cell.signals else [])


def layer_and_input(kind="lstm", dtype=torch.float32):
    torch.manual_seed(0)
    layer = Recurrent(kind, 3, 8, dtype=dtype)
    return layer, torch.randn(4, 2, 3, dtype=dtype)


def in_training(layer, x):
    return layer(x)[0].detach()


@pytest.fixture
def packings(monkeypatch):
    done = []
    pack = inference.Prepared._pack
    monkeypatch.setattr(inference.Prepared, "_pack", lambda *given: done.append(1) or pack(*given))
    return done


def swap_rows(weight):
    weight.data[[0, 1]] = weight.data[[1, 0]]


CHANGES = {
    "in place": lambda weight: weight.detach().mul_(1.01),
    "through data": lambda weight: weight.data.mul_(1.01),
    "rows changed places": swap_rows,
    "signs": lambda weight: weight.data.neg_(),
    "one element": lambda weight: weight.data[5].fill_(0.5),
    "another storage": lambda weight: setattr(weight, "data", weight.data * 0.5),
}


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_weights_are_packed_again_when_they_change(change, name, kind, packings):
    layer, x = layer_and_input(kind)
    layer.bias_ih_l0.data.normal_()
    layer.bias_hh_l0.data.normal_()
    for _ in range(3):
        with torch.no_grad():
            layer(x)
    assert len(packings) == 1
    change(layer.get_parameter(name))
    with torch.no_grad():
        output = layer(x)[0]
    assert len(packings) == 2
    assert torch.equal(output, in_training(layer, x))


def test_packed_weights_go_with_the_layer(packings):
    layer, x = layer_and_input()
    with torch.inference_mode():
        layer(x)
        layer(x)
    assert len(packings) == 1
    kept = weakref.ref(inference._KEPT[layer.weight_hh_l0][2])
    del layer
    gc.collect()
    assert kept() is None


def test_weights_made_in_inference_mode_are_seen_to_change(packings):
    with torch.inference_mode():
        layer, x = layer_and_input()
        first = layer(x)[0]
        assert torch.equal(layer(x)[0], first)
        layer.weight_hh_l0.mul_(0.5)
        assert not torch.equal(layer(x)[0], first)
    assert len(packings) == 2


def test_optimiser_steps_are_seen(packings):
    layer, x = layer_and_input("gru")
    optimiser = torch.optim.SGD(layer.parameters(), 0.1)
    for number in range(3):
        with torch.no_grad():
            evaluated = layer(x)[0]
        assert torch.equal(evaluated, in_training(layer, x))
        assert len(packings) == number + 1
        layer(x)[0].sum().backward()
        optimiser.step()


def test_nothing_is_kept_where_no_gradient_is_wanted():
    layer, x = layer_and_input()
    layer.requires_grad_(False)
    output, _ = layer(x)
    assert output.grad_fn is None


STACKS = [
    {},
    {"num_layers": 2, "dropout": 0.5},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False},
    {"zoneout": 0.3},
    {"layer_norm": True},
    {"heads": 2},
    {"learned_start": True},
]


@pytest.mark.parametrize("options", STACKS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("kind", ["lstm", "gru", "mingru"])
def test_a_layer_gives_the_same_bits_with_and_without_gradients(kind, dtype, options):
    torch.manual_seed(0)
    layer = Recurrent(kind, 5, 8, dtype=dtype, **options).eval()
    for x in (torch.randn(7, 3, 5, dtype=dtype), torch.randn(1, 7, 5, dtype=dtype), torch.randn(4, 1, 5, dtype=dtype)):
        output, states = layer(x)
        with torch.no_grad():
            inferred, inferred_states = layer(x)
        assert not inferred.requires_grad
        assert torch.equal(inferred, output)
        assert inferred.stride() == output.stride()
        pairs = zip([states] if torch.is_tensor(states) else states,
                    [inferred_states] if torch.is_tensor(states) else inferred_states, strict=True)  # fmt: skip
        assert all(torch.equal(one, other) for one, other in pairs)


def test_what_a_call_without_gradients_gives_belongs_to_the_caller():
    layer, x = layer_and_input()
    with torch.no_grad():
        output, states = layer(x)
        kept = [tensor.clone() for tensor in (output, *states)]
        output.zero_()
        states[0].zero_()
        assert torch.equal(states[1], kept[2])
        again, last = layer(x)
    assert all(torch.equal(one, other) for one, other in zip((again, *last), kept, strict=True))


def test_a_layer_that_drops_in_training_drops_without_gradients_too():
    torch.manual_seed(0)
    x = torch.ones(6, 2, 4)
    for options in ({"input_dropout": 0.5}, {"weight_drop": 0.5}, {"zoneout": 0.5}):
        layer = Recurrent("gru", 4, 8, **options)
        with torch.no_grad():
            assert not torch.equal(layer(x)[0], layer(x)[0])
            layer.eval()
            assert torch.equal(layer(x)[0], layer(x)[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_wrong_input_gets_the_same_error_without_gradients(batch_first):
    layer = Recurrent("lstm", 3, 8, batch_first=batch_first)
    for wrong in (torch.zeros(4, 2, 5), torch.zeros(4, 2, 3, 1), torch.zeros(4, 2, 3, dtype=torch.float64)):
        with pytest.raises(ShapeError) as told:
            layer(wrong)
        with torch.no_grad(), pytest.raises(ShapeError) as again:
            layer(wrong)
        assert str(again.value) == str(told.value)
