"""Runs that keep nothing for a backward pass, and the packed weights they keep."""

import gc
import weakref

import pytest
import torch
from problem import KINDS_UNLESS_LONG, kernel_cell, problem, ragged, use_plan

from ricorso import Recurrent
from ricorso.cells import CATALOGUE
from ricorso.engine import fast, packed
from ricorso.equations.transform import zoneout

CELLS = {name: kernel_cell(cell) for name, cell in CATALOGUE.items()}
CELLS["zoneout_lstm"] = kernel_cell(zoneout(CATALOGUE["lstm"]))


def assert_same_bits(cell, hidden, dtype, monkeypatch):
    for plan, tokens, reverse in (("alone", False, False), ("alone", True, True), ("units", False, False)):
        use_plan(monkeypatch, fast, plan)
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


def layer_and_input(kind="lstm", dtype=torch.float32):
    torch.manual_seed(0)
    layer = Recurrent(kind, 3, 8, dtype=dtype)
    return layer, torch.randn(4, 2, 3, dtype=dtype)


def in_training(layer, x):
    return layer(x)[0].detach()


@pytest.fixture
def packings(monkeypatch):
    done = []
    pack = packed._pack
    monkeypatch.setattr(packed, "_pack", lambda *given: done.append(1) or pack(*given))
    return done


def swap_rows(weight):
    weight.data[[0, 1]] = weight.data[[1, 0]]


@pytest.mark.parametrize(
    "change",
    [
        lambda weight: weight.detach().mul_(1.01),
        lambda weight: weight.data.mul_(1.01),
        swap_rows,
        lambda weight: weight.data.__setitem__((5, 2), 0.5),
        lambda weight: setattr(weight, "data", weight.data * 0.5),
    ],
    ids=["in place", "through data", "rows changed places", "one element", "another storage"],
)
def test_weights_are_packed_again_when_they_change(change, packings):
    layer, x = layer_and_input()
    for _ in range(3):
        with torch.no_grad():
            layer(x)
    assert len(packings) == 1
    change(layer.weight_hh_l0)
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
    kept = weakref.ref(packed._KEPT[layer.weight_hh_l0][2])
    del layer
    gc.collect()
    assert kept() is None


def test_weights_made_in_inference_mode_are_packed_each_time(packings):
    with torch.inference_mode():
        layer, x = layer_and_input()
        first = layer(x)[0]
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
