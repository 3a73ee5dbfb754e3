"""Regularisers and normalisation of cells, as the oracle runs them, against the same by hand in torch."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from ricorso.cells import CATALOGUE
from ricorso.engine import noise
from ricorso.engine.call import Call
from ricorso.engine.naive import evaluate, run, tree
from ricorso.equations import Cell, gates, normalise, states, tanh
from ricorso.equations.symbols import StaticNoise
from ricorso.equations.transform import (
    RECURRENT_DROPOUT,
    ZONEOUT_OUTPUT,
    ZONEOUT_STATES,
    folded,
    layer_normalised,
    recurrent_dropout,
    uses_means,
    zoneout,
)
from ricorso.kernels.noise import STATIC

TIME, BATCH, INPUTS, HIDDEN = 6, 3, 4, 5


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64) / 2


def call_of(cell, rates=(), parameters=()):
    """A call with random weights; rates and parameters by name, evaluated as a layer does it."""
    torch.manual_seed(1)
    inner, expressions = folded(cell)
    given = {symbol.name: value for symbol, value in {**dict(rates), **dict(parameters)}.items()}
    rows, like = [], torch.empty(HIDDEN, dtype=torch.float64)
    for expression in expressions:
        found = evaluate(tree(expression), lambda name: given[name] + torch.zeros_like(like), like)
        rows.append(found if isinstance(found, torch.Tensor) else torch.full_like(like, found))
    ours, theirs = len(cell.input_gates) * HIDDEN, len(cell.product_gates) * HIDDEN
    return inner, Call(
        inputs=draw(TIME, BATCH, INPUTS),
        weight_ih=draw(ours, INPUTS),
        weight_hh=draw(theirs, HIDDEN),
        bias_ih=draw(ours),
        bias_hh=draw(theirs),
        parameters=torch.stack(rows) if rows else None,
        signals=None,
        initial=draw(len(cell.states), BATCH, HIDDEN),
        seed=5,
    )


def lstm_steps(call, keep=None, dropped=None):
    """The LSTM by hand: keep(t, name, new, old) is what becomes of a new state, dropped scales what R multiplies."""
    h, c = call.initial
    outputs = []
    for t in range(TIME):
        product = (h if dropped is None else dropped * h) @ call.weight_hh.T + call.bias_hh
        i, f, g, o = (call.inputs[t] @ call.weight_ih.T + call.bias_ih + product).chunk(4, -1)
        new_c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        new_h = torch.sigmoid(o) * torch.tanh(new_c)
        c, h = (keep(t, "c", new_c, c), keep(t, "h", new_h, h)) if keep else (new_c, new_h)
        outputs.append(h)
    return torch.stack(outputs), torch.stack((h, c))


def assert_same(found, wanted):
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_zoneout_keeps_single_units_and_computes_the_output_from_the_new_state():
    cell = zoneout(CATALOGUE["lstm"])
    inner, call = call_of(cell, {ZONEOUT_OUTPUT: 0.3, ZONEOUT_STATES: 0.6})
    numbers = {symbol.name: number for number, symbol in enumerate(cell.noises)}
    rates, kept = {"h": 0.3, "c": 0.6}, {"h": 0, "c": 0}

    def keep(t, name, new, old):
        old_stays = noise.uniform(5, numbers[f"keep_{name}"], t, new) <= rates[name]
        kept[name] += int(old_stays.sum())
        return torch.where(old_stays, old, new)

    assert_same(run(inner, call), lstm_steps(call, keep))
    assert 0 < kept["h"] < kept["c"] < TIME * BATCH * HIDDEN


def test_zoneout_out_of_training_is_the_expectation():
    cell = zoneout(CATALOGUE["lstm"], training=False)
    inner, call = call_of(cell, {ZONEOUT_OUTPUT: 0.3, ZONEOUT_STATES: 0.6})
    rates = {"h": 0.3, "c": 0.6}
    wanted = lstm_steps(call, lambda _, name, new, old: rates[name] * old + (1 - rates[name]) * new)
    assert cell.noises == ()
    assert_same(run(inner, call), wanted)


@pytest.mark.parametrize("training", [True, False])
def test_zoneout_of_rate_zero_changes_nothing(training):
    inner, call = call_of(zoneout(CATALOGUE["lstm"], training), {ZONEOUT_OUTPUT: 0.0, ZONEOUT_STATES: 0.0})
    assert_same(run(inner, call), lstm_steps(call))


def test_recurrent_dropout_keeps_its_mask_for_the_whole_sequence():
    cell = recurrent_dropout(CATALOGUE["lstm"])
    inner, call = call_of(cell, {RECURRENT_DROPOUT: 0.4})
    (mask,) = cell.noises
    assert isinstance(mask, StaticNoise)
    alive = noise.uniform(5, 0, STATIC, call.initial[0]) > 0.4
    assert 0 < int(alive.sum()) < alive.numel()
    assert_same(run(inner, call), lstm_steps(call, dropped=alive / 0.6))


def test_recurrent_dropout_acts_on_what_a_gate_multiplies():
    cell = CATALOGUE["gru_reset_before"]
    changed = recurrent_dropout(cell)
    n = next(gate for gate in cell.gates if gate.name == "n")
    assert changed.product_of[n] / cell.product_of[n] == changed.product_of[cell.gates[0]] / cell.states[0]


def test_layer_normalised_normalises_the_sum_of_each_gate_and_parts_apart():
    cell = layer_normalised(CATALOGUE["gru"])
    torch.manual_seed(2)
    given = {parameter: draw(HIDDEN) + 1 for parameter in cell.parameters}
    by_name = {parameter.name: value for parameter, value in given.items()}
    inner, call = call_of(cell, parameters=given)

    def normalised(x, part):
        return functional.layer_norm(x, (HIDDEN,), by_name[f"scale_{part}"], by_name[f"shift_{part}"])

    (h,), outputs = call.initial, []
    for t in range(TIME):
        x_r, x_z, x_n = (call.inputs[t] @ call.weight_ih.T + call.bias_ih).chunk(3, -1)
        u_r, u_z, u_n = (h @ call.weight_hh.T + call.bias_hh).chunk(3, -1)
        r, z = torch.sigmoid(normalised(x_r + u_r, "r")), torch.sigmoid(normalised(x_z + u_z, "z"))
        h = (1 - z) * torch.tanh(normalised(x_n, "x_n") + r * normalised(u_n, "u_n")) + z * h
        outputs.append(h)
    assert_same(run(inner, call), (torch.stack(outputs), h.unsqueeze(0)))


def test_layer_normalised_moves_starting_values_to_the_shifts():
    cell, lstm = layer_normalised(CATALOGUE["lstm"]), CATALOGUE["lstm"]
    start = {symbol.name: value for symbol, value in cell.start.items()}
    assert [float(start[name]) for name in ("shift_f", "shift_i", "scale_f")] == [1, 0, 1]
    long = {symbol.name: value for symbol, value in cell.long_start.items()}
    forget = next(gate for gate in lstm.gates if gate.name == "f")
    assert (long["shift_f"], long["shift_o"], long["scale_i"]) == (lstm.long_start[forget], 0, 1)
    assert cell.name == "lstm_normalised"


def test_a_gate_that_is_used_whole_and_in_parts_is_normalised_in_parts():
    (a,), (h,) = gates("a"), states("h")
    cell = layer_normalised(Cell("x", (a,), (h,), {h: tanh(a) * a.x}))
    scales = {p.name: p for p in cell.parameters}
    part = scales["scale_x_a"] * normalise(a.x) + scales["shift_x_a"]
    assert cell.update[h] == tanh(part + scales["scale_u_a"] * normalise(a.u) + scales["shift_u_a"]) * part


@pytest.mark.parametrize("name", ["lru", "fastgrnn", "rglru", "lstm_peephole", "indrnn"])
def test_folded_computes_the_same_with_constants_taken_out(name):
    cell = CATALOGUE[name]
    torch.manual_seed(3)
    given = {parameter: torch.rand(HIDDEN, dtype=torch.float64) for parameter in cell.parameters}
    inner, call = call_of(cell, parameters=given)
    whole = replace(call, parameters=torch.stack([given[parameter] for parameter in cell.parameters]))
    assert_same(run(inner, call), run(cell, whole))
    left = {symbol for expression in inner.update.values() for symbol in expression.free_symbols}
    assert not left & set(cell.parameters)


def test_folded_leaves_a_cell_without_parameters_as_it_is():
    assert folded(CATALOGUE["gru"]) == (CATALOGUE["gru"], ())


def test_which_cells_use_means():
    assert {name for name, cell in CATALOGUE.items() if uses_means(cell)} == {
        "lstm_layer_norm",
        "gru_layer_norm",
        "ligru",
    }
    assert uses_means(layer_normalised(CATALOGUE["gru"]))


def test_a_change_can_follow_another():
    cell = zoneout(recurrent_dropout(layer_normalised(CATALOGUE["mgu"])))
    assert {rate.name for rate in cell.rates} == {"zoneout_output", "recurrent_dropout"}
    assert [noise.name for noise in cell.noises] == ["drop", "keep_h"]
