"""Cells from cells: regularisers and normalisation as changes of the equations."""

from dataclasses import fields
from functools import cache

import sympy as sp

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import (
    Gate,
    Noise,
    Parameter,
    Rate,
    State,
    StaticNoise,
    mean,
    normalise,
    where,
)

ZONEOUT_OUTPUT, ZONEOUT_STATES = Rate("zoneout_output", real=True), Rate("zoneout_states", real=True)
RECURRENT_DROPOUT = Rate("recurrent_dropout", real=True)


def _changed(cell: Cell, **changes: object) -> Cell:
    given = {field.name: getattr(cell, field.name) for field in fields(cell)}
    return Cell(**given | changes)


@cache
def zoneout(cell: Cell, training: bool = True) -> Cell:
    """Each state keeps its old value with a probability, unit by unit (Krueger et al. 2017, arXiv:1606.01305).

    The new state is computed as without zoneout and then kept or taken; out of training it is their expectation.

    >>> from ricorso.cells import get_cell
    >>> [str(rate) for rate in zoneout(get_cell("gru")).rates]
    ['zoneout_output']
    """
    inside: dict[sp.Symbol, sp.Expr] = {}
    update: dict[State, sp.Expr] = {}
    rates: dict[Rate, float] = {}
    for state, expression in cell.update.items():
        candidate = expression.subs(inside)
        inside[state.new] = candidate
        rate = ZONEOUT_OUTPUT if state == cell.states[0] else ZONEOUT_STATES
        rates[rate] = 0.0
        if training:
            update[state] = where(Noise(f"keep_{state.name}", real=True) - rate, candidate, state)
        else:
            update[state] = rate * state + (1 - rate) * candidate
    product_of = {gate: vector.subs(inside) for gate, vector in cell.product_of.items()}
    return _changed(cell, update=update, product_of=product_of, defaults={**cell.defaults, **rates})


@cache
def recurrent_dropout(cell: Cell) -> Cell:
    """What recurrent matrices multiply loses some units, the same at all steps (Gal and Ghahramani 2016,
    arXiv:1512.05287); what remains is scaled up."""
    kept = where(StaticNoise("drop", real=True) - RECURRENT_DROPOUT, 1 / (1 - RECURRENT_DROPOUT), 0)
    vectors = {gate: kept * cell.product_of.get(gate, cell.states[0]) for gate in cell.product_gates}
    return _changed(cell, product_of=vectors, defaults={**cell.defaults, RECURRENT_DROPOUT: 0.0})


@cache
def layer_normalised(cell: Cell) -> Cell:
    """The sum of each gate is normalised over the units, then scaled and shifted by trained values; the parts of a
    gate that the equations use apart are normalised apart (Ba, Kiros and Hinton 2016, arXiv:1607.06450).

    >>> from ricorso.cells import get_cell
    >>> str(layer_normalised(get_cell("elman_tanh")).parameters)
    '(scale_p, shift_p)'
    """
    parameters: list[Parameter] = []
    start: dict[sp.Symbol, sp.Expr] = {}
    replaced: dict[sp.Symbol, sp.Expr] = {}

    def normalised(part: sp.Symbol, shift: sp.Expr) -> sp.Expr:
        scale, moved = (Parameter(f"{name}_{part.name}", real=True) for name in ("scale", "shift"))
        parameters.extend((scale, moved))
        start.update({scale: sp.Integer(1), moved: shift})
        return scale * normalise(part) + moved

    gate: Gate
    for gate in cell.gates:
        shift = cell.start.get(gate, sp.Integer(0))
        if gate in cell.split_gates:
            replaced[gate.x], replaced[gate.u] = normalised(gate.x, shift), normalised(gate.u, sp.Integer(0))
            replaced[gate] = replaced[gate.x] + replaced[gate.u]
        else:
            replaced[gate] = normalised(gate, shift)
    return _changed(
        cell,
        name=f"{cell.name}_normalised",
        title=f"{cell.title}, gates normalised",
        parameters=(*cell.parameters, *parameters),
        update={state: e.xreplace(replaced) for state, e in cell.update.items()},
        product_of={g: e.xreplace(replaced) for g, e in cell.product_of.items()},
        start={**{s: e for s, e in cell.start.items() if s not in cell.gates}, **start},
        long_start={
            **{s: e for s, e in cell.long_start.items() if s not in cell.gates},
            **start,
            **{s: cell.long_start[g] for g in cell.long_start if isinstance(g, Gate) for s in _shift_of(cell, g)},
        }
        if cell.long_start
        else {},
    )


def _shift_of(cell: Cell, gate: Gate) -> list[Parameter]:
    part = gate.x if gate in cell.split_gates else gate
    return [Parameter(f"shift_{part.name}", real=True)]


@cache
def folded(cell: Cell) -> tuple[Cell, tuple[sp.Expr, ...]]:
    """The cell with everything that depends on parameters and rates alone computed beforehand.

    Returns a cell whose parameters stand for such expressions, and the expressions: they need one evaluation a
    sequence, not one a step.
    """
    constant = {*cell.parameters, *cell.rates}
    names: dict[sp.Expr, Parameter] = {}

    def named(expression: sp.Expr) -> sp.Expr:
        if expression not in names:
            names[expression] = Parameter(f"constant_{len(names)}", real=True)
        return names[expression]

    def fixed(expression: sp.Expr) -> bool:
        return bool(expression.free_symbols) and expression.free_symbols <= constant

    def fold(expression: sp.Expr) -> sp.Expr:
        if fixed(expression):
            return named(expression)
        if not expression.args:
            return expression
        if expression.is_Add or expression.is_Mul:
            together = [argument for argument in expression.args if fixed(argument)]
            rest = [fold(argument) for argument in expression.args if not fixed(argument)]
            if together:
                rest.append(named(expression.func(*together)))
            return expression.func(*rest)
        return expression.func(*(fold(argument) for argument in expression.args))

    if not constant:
        return cell, ()
    update = {state: fold(expression) for state, expression in cell.update.items()}
    product_of = {gate: fold(expression) for gate, expression in cell.product_of.items()}
    inner = _changed(
        cell,
        parameters=tuple(names.values()),
        update=update,
        product_of=product_of,
        start={},
        long_start={},
        defaults={},
    )
    return inner, tuple(names)


def uses_means(cell: Cell) -> bool:
    """Whether a step needs something of all units at once besides products."""
    return any(expression.has(mean) for expression in cell.expressions())
