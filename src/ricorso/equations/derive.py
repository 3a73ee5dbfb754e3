"""From the equations of a cell to those of its backward step.

The update is first written as elementary assignments: a rational expression, one function of the vocabulary, a mean
over the units, or a product with a recurrent matrix. Reverse accumulation over these gives exact derivatives that
reuse what the forward step computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import BY_FUNCTION, Gate, mean


class times(sp.Function):
    """The recurrent matrix of a gate times a vector; the first argument is `matrix(gate)`."""


class times_transposed(sp.Function):
    """The transposed recurrent matrix of a gate times a vector."""


def matrix(gate: Gate) -> sp.Symbol:
    """What stands for the recurrent matrix of a gate in `times`."""
    return sp.Symbol(f"@{gate.name}")


def bias(gate: Gate) -> sp.Symbol:
    """The recurrent bias of a gate whose product stays apart from its input part."""
    return sp.Symbol(f"bias_{gate.name}", real=True)


@dataclass(frozen=True)
class Assignment:
    """`symbol` is given the value of `expression`."""

    symbol: sp.Symbol
    expression: sp.Expr


@dataclass(frozen=True)
class Adjoint:
    """The backward step: from the gradients of the new states to those of gates, old states and parameters.

    incoming: for each state, the symbol of the gradient of its new value.
    assignments: in order; they use the forward assignments' symbols.
    of_leaves, of_states, of_parameters: the gradients asked for, in the cell's order.
    """

    incoming: tuple[sp.Symbol, ...]
    assignments: tuple[Assignment, ...]
    of_leaves: tuple[sp.Expr, ...]
    of_states: tuple[sp.Expr, ...]
    of_parameters: tuple[sp.Expr, ...]


class _Flattening:
    """Writes expressions as elementary assignments; equal subexpressions are computed once."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.steps: list[Assignment] = []
        self.known: dict[sp.Expr, sp.Symbol] = {}
        self.pending = {cell.leaves[cell.recurrent_leaf(gate)]: gate for gate in cell.product_gates}

    def flatten(self, expression: sp.Expr) -> sp.Expr:
        if expression.is_Symbol:
            if expression in self.pending:
                self._define_leaf(expression)
            return expression
        if not expression.args:
            return expression
        arguments = [self.flatten(argument) for argument in expression.args]
        if type(expression) not in BY_FUNCTION:
            return expression.func(*arguments)
        call = expression.func(*(self.name(argument) for argument in arguments))
        return self.name(call) if call.args and type(call) in BY_FUNCTION else call

    def name(self, expression: sp.Expr) -> sp.Expr:
        if not expression.args or expression.is_number:
            return expression
        if expression not in self.known:
            self.known[expression] = sp.Symbol(f"v_{len(self.known)}", real=True)
            self.steps.append(Assignment(self.known[expression], expression))
        return self.known[expression]

    def _define_leaf(self, leaf: sp.Symbol) -> None:
        gate = self.pending.pop(leaf)
        product = times(matrix(gate), self.name(self.flatten(self.cell.vector(gate))))
        apart = gate in self.cell.split_gates or not gate.has_input
        self.steps.append(Assignment(leaf, (bias(gate) if apart else gate.x) + self.name(product)))


def elementary(cell: Cell) -> tuple[Assignment, ...]:
    """The update as assignments with at most one function, mean or product each."""
    return _flattened(cell)[0]


def vector_symbols(cell: Cell) -> tuple[sp.Expr, ...]:
    """For each of `cell.vectors`, the symbol that `elementary` gives it."""
    return _flattened(cell)[1]


def _flattened(cell: Cell) -> tuple[tuple[Assignment, ...], tuple[sp.Expr, ...]]:
    flattening = _Flattening(cell)
    for state, expression in cell.equations:
        flattening.steps.append(Assignment(state.new, flattening.flatten(expression)))
    vectors = tuple(flattening.name(flattening.flatten(vector)) for vector in cell.vectors)
    return tuple(flattening.steps), vectors


def adjoint(cell: Cell) -> Adjoint:
    """Derive the backward step of `cell` by reverse accumulation."""
    incoming = tuple(sp.Symbol(f"d_{state.name}_new", real=True) for state in cell.states)
    contributions: dict[sp.Basic, list[sp.Expr]] = {
        state.new: [gradient] for state, gradient in zip(cell.states, incoming, strict=True)
    }
    assignments: list[Assignment] = []
    received_by: dict[sp.Basic, sp.Expr] = {}
    for forward in reversed(elementary(cell)):
        received = _total(contributions.pop(forward.symbol, []))
        if received == 0:
            continue
        if not received.is_Symbol:
            gradient = sp.Symbol(f"d_{forward.symbol.name}_total", real=True)
            assignments.append(Assignment(gradient, received))
            received = gradient
        received_by[forward.symbol] = received
        for symbol, contribution in _contributions(forward, received):
            contributions.setdefault(symbol, []).append(contribution)

    def of(symbol: sp.Symbol) -> sp.Expr:
        return received_by[symbol] if symbol in received_by else _total(contributions.get(symbol, []))

    return Adjoint(
        incoming,
        tuple(assignments),
        tuple(of(leaf) for leaf in cell.leaves),
        tuple(of(state) for state in cell.states),
        tuple(of(parameter) for parameter in cell.parameters),
    )


def _contributions(forward: Assignment, received: sp.Symbol) -> list[tuple[sp.Basic, sp.Expr]]:
    """What the arguments of an assignment receive when its result receives `received`."""
    expression = forward.expression
    if isinstance(expression, times):
        gate, vector = expression.args
        return [(vector, times_transposed(gate, received))] if vector.is_Symbol else []
    if isinstance(expression, mean):
        return [(expression.args[0], mean(received))]
    if type(expression) in BY_FUNCTION:
        partials = BY_FUNCTION[type(expression)].partials(expression.args, forward.symbol)
        return [(a, received * p) for a, p in zip(expression.args, partials, strict=True) if a.is_Symbol and p != 0]
    return [(s, received * sp.diff(expression, s)) for s in sorted(expression.free_symbols, key=str)]


def _total(terms: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*terms)
