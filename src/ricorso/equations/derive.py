"""From the equations of a cell to those of its backward step.

The update is first written as elementary assignments, each a rational expression or one function of the vocabulary.
Reverse accumulation over these gives exact derivatives that reuse what the forward step computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import BY_FUNCTION


@dataclass(frozen=True)
class Assignment:
    """`symbol` is given the value of `expression`."""

    symbol: sp.Symbol
    expression: sp.Expr


@dataclass(frozen=True)
class Adjoint:
    """The backward step: from the gradients of the new states to those of gates and old states.

    incoming: for each state, the symbol of the gradient of its new value.
    assignments: in order; they use the forward assignments' symbols.
    of_leaves, of_states: the gradients asked for, in the order of `cell.leaves` and `cell.states`.
    """

    incoming: tuple[sp.Symbol, ...]
    assignments: tuple[Assignment, ...]
    of_leaves: tuple[sp.Expr, ...]
    of_states: tuple[sp.Expr, ...]


def elementary(cell: Cell) -> tuple[Assignment, ...]:
    """The update as assignments with at most one function each; equal subexpressions are computed once."""
    steps: list[Assignment] = []
    known: dict[sp.Expr, sp.Symbol] = {}

    def flatten(expression: sp.Expr) -> sp.Expr:
        if not expression.args:
            return expression
        arguments = [flatten(argument) for argument in expression.args]
        if type(expression) not in BY_FUNCTION:
            return expression.func(*arguments)
        call = expression.func(*(name(argument) for argument in arguments))
        return name(call) if call.args and type(call) in BY_FUNCTION else call

    def name(expression: sp.Expr) -> sp.Expr:
        if not expression.args or expression.is_number:
            return expression
        if expression not in known:
            known[expression] = sp.Symbol(f"v_{len(known)}", real=True)
            steps.append(Assignment(known[expression], expression))
        return known[expression]

    for state, expression in cell.equations:
        steps.append(Assignment(state.new, flatten(expression)))
    return tuple(steps)


def adjoint(cell: Cell) -> Adjoint:
    """Derive the backward step of `cell` by reverse accumulation."""
    incoming = tuple(sp.Symbol(f"d_{state.name}_new", real=True) for state in cell.states)
    contributions: dict[sp.Basic, list[sp.Expr]] = {
        state.new: [gradient] for state, gradient in zip(cell.states, incoming, strict=True)
    }
    assignments: list[Assignment] = []
    for forward in reversed(elementary(cell)):
        received = _total(contributions.pop(forward.symbol, []))
        if received == 0:
            continue
        if not received.is_Symbol:
            gradient = sp.Symbol(f"d_{forward.symbol.name}_total", real=True)
            assignments.append(Assignment(gradient, received))
            received = gradient
        for symbol, partial in _partials(forward):
            contributions.setdefault(symbol, []).append(received * partial)
    return Adjoint(
        incoming,
        tuple(assignments),
        tuple(_total(contributions.get(leaf, [])) for leaf in cell.leaves),
        tuple(_total(contributions.get(state, [])) for state in cell.states),
    )


def _partials(forward: Assignment) -> list[tuple[sp.Basic, sp.Expr]]:
    expression = forward.expression
    if type(expression) in BY_FUNCTION:
        partials = BY_FUNCTION[type(expression)].partials(expression.args, forward.symbol)
        return [(a, p) for a, p in zip(expression.args, partials, strict=True) if a.is_Symbol and p != 0]
    return [(symbol, sp.diff(expression, symbol)) for symbol in sorted(expression.free_symbols, key=str)]


def _total(terms: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*terms)
