import math

import pytest
import torch

from ricorso.cells import CATALOGUE, get_cell
from ricorso.engine.naive import Step
from ricorso.equations import exp, maximum, relu, sigmoid, states, tanh
from ricorso.insight.keep import derivative, loops, time_constants

HIDDEN = 4
c, d = states("c d")


def step_of(cell, shift=None):
    """A step with every gate given, so that it stays as it is when an old state is shifted."""
    generator = torch.Generator().manual_seed(5)

    def draw():
        return torch.rand(3, HIDDEN, dtype=torch.float64, generator=generator) + 0.1

    known = {state.name: draw() for state in cell.states}
    for gate in cell.gates:
        x, u = draw(), draw()
        known |= {gate.x.name: x, gate.u.name: u, gate.name: x + u}
    known |= {symbol.name: draw() for symbol in (*cell.parameters, *cell.signals)}
    known |= {rate.name: torch.full((3, HIDDEN), float(v), dtype=torch.float64) for rate, v in cell.defaults.items()}
    if shift:
        known[shift[0]] = known[shift[0]] + shift[1]
    return Step(cell, known, None, None)


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_kept_is_the_slope_while_gates_are_held(name):
    cell = get_cell(name)
    for loop in loops(cell):
        for row, state in zip(loop.matrix, loop.states, strict=True):
            for slope, old in zip(row, loop.states, strict=True):
                up, down = (step_of(cell, (old.name, change)) for change in (1e-6, -1e-6))
                up.run()
                down.run()
                expected = (up.value(state.new.name) - down.value(state.new.name)) / 2e-6
                torch.testing.assert_close(step_of(cell).tensor(slope), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "found"),
    [("lstm", ["c"]), ("gru", ["h"]), ("elman_tanh", []), ("lru", ["s_re, s_im"]), ("slstm", ["c", "n", "m"])],
)
def test_states_that_feed_each_other_are_one_loop(name, found):
    assert [loop.name for loop in loops(get_cell(name))] == found


def test_a_rotation_keeps_its_radius():
    cell = get_cell("lru")
    step = step_of(cell)
    step.known["nu"] = torch.full((3, HIDDEN), math.log(-math.log(0.9)), dtype=torch.float64)
    torch.testing.assert_close(loops(cell)[0].kept(step), torch.full((3, HIDDEN), 0.9, dtype=torch.float64))


@pytest.mark.parametrize(
    "expression",
    [c**3 * d, tanh(c) / (1 + c), exp(c * d) - c, relu(c - d), maximum(c, d), sigmoid(c) ** 2, c],
    ids=str,
)
def test_derivatives_of_the_vocabulary(expression):
    def value(of, change=0.0):
        known = {"c": 0.7 + change, "d": 0.4, "h": 0.0}
        tensors = {name: torch.tensor([number], dtype=torch.float64) for name, number in known.items()}
        return Step(get_cell("gru"), tensors, None, None).tensor(of)

    expected = (value(expression, 1e-6) - value(expression, -1e-6)) / 2e-6
    torch.testing.assert_close(value(derivative(expression, c)), expected, rtol=1e-6, atol=1e-8)
    assert derivative(expression.xreplace({c: d}), c) == 0


def test_time_constants_average_the_logarithm():
    kept = torch.tensor([[[0.5, 1.0, 0.0, 0.25]], [[0.5, 1.0, 0.0, 1.0]]], dtype=torch.float64)
    found = time_constants(kept)
    assert found[0].item() == pytest.approx(1 / math.log(2))
    assert found[1].item() == math.inf
    assert 0 < found[2].item() < 0.1
    assert found[3].item() == pytest.approx(1 / math.log(2))
