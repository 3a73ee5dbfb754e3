"""Cells that are linear in their state, recognised from their equations.

A state is carried when an equation or a recurrent product reads what the step before left of it. Where every carried
state is a linear function of the carried states, with coefficients that depend on the input alone, all steps can be
computed at once by a parallel scan (Blelloch 1990; Martin and Cundy 2018, arXiv:1709.04057); the other states follow
from the carried ones, step by step for itself.
"""

from dataclasses import dataclass
from functools import cache

import sympy as sp

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import BY_FUNCTION, State


@dataclass(frozen=True)
class LinearForm:
    """new carried states = matrix * old carried states + constant, entries being expressions of the input's gates."""

    carried: tuple[State, ...]
    matrix: tuple[tuple[sp.Expr, ...], ...]
    constant: tuple[sp.Expr, ...]


def carried_states(cell: Cell) -> tuple[State, ...]:
    """The states whose old values some expression uses."""
    used = cell.used_symbols | {symbol for vector in cell.vectors for symbol in vector.free_symbols}
    return tuple(state for state in cell.states if state in used)


@cache
def linear_form(cell: Cell) -> LinearForm | None:
    """The coefficients of a cell that is linear in its state, else None."""
    carried = carried_states(cell)
    written: dict[sp.Symbol, sp.Expr] = {}
    for state, expression in cell.equations:
        written[state.new] = expression.subs(written)
    expressions = [written[state.new] for state in carried]
    products = {leaf for gate in cell.product_gates for leaf in (gate, gate.u)}
    if not carried or any(e.free_symbols & products for e in expressions):
        return None
    split = [_split(sp.expand(e), carried) for e in expressions]
    if any(parts is None for parts in split):
        return None
    rows = [parts for parts in split if parts is not None]
    return LinearForm(carried, tuple(row for row, _ in rows), tuple(constant for _, constant in rows))


def _split(expression: sp.Expr, carried: tuple[State, ...]) -> tuple[tuple[sp.Expr, ...], sp.Expr] | None:
    """Coefficients of the carried states in a sum, and the rest; None where one of them is inside anything else."""
    coefficients: dict[State, list[sp.Expr]] = {state: [] for state in carried}
    rest: list[sp.Expr] = []
    for term in sp.Add.make_args(expression):
        factors = sp.Mul.make_args(term)
        inside = [factor for factor in factors if factor.free_symbols & set(carried)]
        if not inside:
            rest.append(term)
        elif len(inside) == 1 and inside[0] in carried and type(inside[0]) not in BY_FUNCTION:
            coefficients[inside[0]].append(sp.Mul(*(factor for factor in factors if factor is not inside[0])))
        else:
            return None
    return tuple(sp.Add(*coefficients[state]) for state in carried), sp.Add(*rest)


def linear(cell: Cell) -> bool:
    """Whether the steps of a cell can be computed all at once.

    >>> from ricorso.cells import get_cell
    >>> linear(get_cell("mingru")), linear(get_cell("gru"))
    (True, False)
    """
    return linear_form(cell) is not None
