"""The derived backward step, evaluated assignment by assignment, against torch's own gradient of the plain step."""

from dataclasses import replace

import pytest
import sympy as sp
import torch

from ricorso.cells import CATALOGUE
from ricorso.engine import noise
from ricorso.engine.call import Call
from ricorso.engine.naive import evaluate, one_step, tree
from ricorso.equations import (
    Cell,
    exp,
    gates,
    inputs,
    log,
    maximum,
    mean,
    normalise,
    parameters,
    products,
    sigmoid,
    softplus,
    states,
    tanh,
    where,
)
from ricorso.equations.derive import adjoint, bias, elementary, matrix, times, times_transposed
from ricorso.equations.symbols import BY_FUNCTION, StaticNoise
from ricorso.equations.transform import folded, layer_normalised, recurrent_dropout, zoneout
from ricorso.kernels.noise import STATIC

HIDDEN, BATCH = 4, 3
a, b = gates("a b")
h, c = states("h c")
(i,), (y,), (w,) = inputs("i"), products("y"), parameters("w")
WIDE = Cell(
    "wide",
    gates=(a, b),
    states=(h, c),
    update={
        c: softplus(a) / (1 + exp(-b)) + c**2 * maximum(a, b),
        h: where(a, tanh(c.new) * h, log(1 + h**2)) + sp.Abs(b) ** sp.Rational(3, 2),
    },
)
NESTED = Cell(
    "nested",
    gates=(a, i, y, b),
    states=(h, c),
    parameters=(w,),
    product_of={y: tanh(c.new) * w, b: normalise(y) + a.x, a: h * c},
    update={c: sigmoid(a.u) * c + i, h: b * mean(a * c.new) - w * h},
)
CELLS = [*CATALOGUE.values(), WIDE, NESTED]
CELLS += [change(CATALOGUE[n]) for n in ("lstm", "gru") for change in (zoneout, recurrent_dropout, layer_normalised)]


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def value(expression, values):
    """An expression of `derive` with tensors for its symbols."""
    for product in expression.atoms(times, times_transposed):
        gate, vector = product.args
        weight = values[gate] if isinstance(product, times_transposed) else values[gate].T
        name = sp.Symbol(str(product))
        values[name] = value(vector, values) @ weight
        expression = expression.xreplace({product: name})
    by_name = {symbol.name: tensor for symbol, tensor in values.items()}
    found = evaluate(tree(expression), by_name.__getitem__, torch.empty(BATCH, HIDDEN, dtype=torch.float64))
    return found if isinstance(found, torch.Tensor) else torch.full((BATCH, HIDDEN), found, dtype=torch.float64)


def example(cell):
    """A call of one step with random numbers, its projected inputs, and the values of all symbols outside `derive`."""
    ours, theirs = len(cell.input_gates), len(cell.product_gates)
    call = Call(
        inputs=draw(1, BATCH, 1),
        weight_ih=None,
        weight_hh=draw(theirs * HIDDEN, HIDDEN) / 2,
        bias_ih=None,
        bias_hh=draw(theirs * HIDDEN),
        parameters=torch.rand(len(cell.parameters), HIDDEN, dtype=torch.float64) + 0.1,
        signals=torch.rand(len(cell.signals), 1, BATCH, dtype=torch.float64),
        initial=draw(len(cell.states), BATCH, HIDDEN),
        seed=7,
    )
    projected = draw(BATCH, ours * HIDDEN)
    values = dict(zip(cell.states, call.initial, strict=True))
    values |= {p: row.expand(BATCH, HIDDEN) for p, row in zip(cell.parameters, call.parameters, strict=True)}
    values |= {s: x[0].unsqueeze(-1).expand(BATCH, HIDDEN) for s, x in zip(cell.signals, call.signals, strict=True)}
    for number, symbol in enumerate(cell.noises):
        step = STATIC if isinstance(symbol, StaticNoise) else 0
        values[symbol] = noise.uniform(7, number, step, call.initial[0])
    for number, gate in enumerate(cell.product_gates):
        values[matrix(gate)] = call.weight_hh.view(theirs, HIDDEN, HIDDEN)[number]
        values[bias(gate)] = call.bias_hh.view(theirs, HIDDEN)[number].expand(BATCH, HIDDEN)
    for gate, x in zip(cell.input_gates, projected.chunk(ours, -1), strict=True):
        together = gate.has_product and gate not in cell.split_gates
        values[gate.x if gate.has_product else gate] = x + values[bias(gate)] if together else x
    return call, projected, values


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.name}-{len(cell.noises)}")
def test_adjoint_is_the_derivative(cell):
    torch.manual_seed(0)
    cell, _ = folded(cell)
    call, projected, values = example(cell)
    initial, parameters = call.initial.clone().requires_grad_(), call.parameters.clone().requires_grad_()
    inputs = projected.clone().requires_grad_()
    watched = replace(call, initial=initial, parameters=parameters)
    signals = None if watched.signals is None else watched.signals[:, 0]
    new = one_step(cell, watched, inputs, signals, 0, tuple(initial.unbind(0)))
    incoming = [draw(BATCH, HIDDEN) for _ in cell.states]
    wanted = torch.autograd.grad(
        new, (inputs, initial, parameters), incoming, materialize_grads=True, allow_unused=True
    )

    derived = adjoint(cell)
    values |= zip(derived.incoming, incoming, strict=True)
    for assignment in [*elementary(cell), *derived.assignments]:
        values[assignment.symbol] = value(assignment.expression, values)
    for state, result in zip(cell.states, new, strict=True):
        torch.testing.assert_close(values[state.new], result.detach())
    of_leaves = [value(expression, values) for expression in derived.of_leaves[: len(cell.input_gates)]]
    torch.testing.assert_close(torch.cat(of_leaves, -1), wanted[0])
    of_states = [value(expression, values) for expression in derived.of_states]
    torch.testing.assert_close(torch.stack(of_states), wanted[1])
    of_parameters = [value(expression, values).sum(0) for expression in derived.of_parameters]
    torch.testing.assert_close(torch.stack(of_parameters) if of_parameters else parameters.detach(), wanted[2])


def test_functions_are_computed_once():
    functions = [a for a in elementary(CATALOGUE["lstm"]) if type(a.expression) in BY_FUNCTION]
    assert len(functions) == 5


def test_equal_vectors_are_computed_once():
    products = [a.expression for a in elementary(CATALOGUE["cfc"]) if isinstance(a.expression, times)]
    assert len(products) == 5
    assert len({product.args[1] for product in products}) == 2
