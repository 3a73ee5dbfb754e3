"""The derived adjoint against SymPy's own derivative of the whole expression, at random points."""

import random

import pytest
import sympy as sp

from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, exp, gates, log, maximum, softplus, states, tanh, where
from ricorso.equations.derive import adjoint, elementary
from ricorso.equations.symbols import sigmoid

a, b = gates("a b")
h, c = states("h c")
WIDE = Cell(
    "wide",
    gates=(a, b),
    states=(h, c),
    update={
        c: softplus(a) / (1 + exp(-b)) + c**2 * maximum(a, b),
        h: where(a, tanh(c.new) * h, log(1 + h**2)) + sp.Abs(b) ** sp.Rational(3, 2),
    },
)


def plain(expression):
    """The expression in SymPy's own functions."""
    v = sp.Dummy(real=True)
    expression = expression.replace(softplus, lambda x: sp.log(1 + sp.exp(x)))
    expression = expression.replace(sigmoid, lambda x: 1 / (1 + sp.exp(-x)))
    expression = expression.replace(maximum, lambda x, y: sp.Piecewise((x, x > y), (y, True)))
    expression = expression.replace(where, lambda x, y, z: sp.Piecewise((y, x > 0), (z, True)))
    for name in ("relu", "step"):
        function = {f.func for f in expression.atoms(sp.Function) if f.func.__name__ == name}
        for f in function:
            top = (lambda x: x) if name == "relu" else (lambda x: sp.Integer(1))
            expression = expression.replace(f, lambda x, top=top: sp.Piecewise((top(x), x > 0), (sp.Integer(0), True)))
    assert v not in expression.free_symbols
    return expression


@pytest.mark.parametrize("cell", [*CATALOGUE.values(), WIDE], ids=lambda cell: cell.name)
def test_adjoint_is_the_derivative(cell):
    rng = random.Random(0)
    leaves = [*cell.leaves, *cell.states]
    derived = adjoint(cell)
    whole = {}
    for state, expression in cell.equations:
        whole[state.new] = expression.subs(whole)
    total = sum(d * whole[state.new] for d, state in zip(derived.incoming, cell.states, strict=True))
    for _ in range(5):
        point = {symbol: rng.uniform(-2, 2) for symbol in [*leaves, *derived.incoming]}
        values = dict(point)
        for assignment in [*elementary(cell), *derived.assignments]:
            values[assignment.symbol] = float(plain(assignment.expression).subs(values))
        for leaf, found in zip(leaves, [*derived.of_leaves, *derived.of_states], strict=True):
            wanted = float(sp.diff(plain(total), leaf).subs(point))
            assert float(plain(found).subs(values)) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_functions_are_computed_once():
    lstm = elementary(CATALOGUE["lstm"])
    assert len([assignment for assignment in lstm if assignment.symbol.name.startswith("v_")]) == 5
