"""What a unit keeps of its state from one step to the next on its own, without recurrent products.

That is the derivative of the new state with respect to the old one while all gates are held: the forget gate of an
LSTM, the update gate of a GRU, the decay of a linear cell; it exists for every cell and is derived from its equations.
"""

from dataclasses import dataclass
from functools import cache

import sympy as sp
import torch
from torch import Tensor

from ricorso.engine.naive import Step
from ricorso.equations import Cell
from ricorso.equations.symbols import BY_FUNCTION, State, mean

SMALLEST = 1e-12


@dataclass(frozen=True)
class Loop:
    """States that feed each other, and the derivatives of their new values with respect to their old ones."""

    states: tuple[State, ...]
    matrix: tuple[tuple[sp.Expr, ...], ...]

    @property
    def name(self) -> str:
        return ", ".join(state.name for state in self.states)

    def kept(self, step: Step) -> Tensor:
        """The share that each unit keeps, of the shape of a state: the spectral radius of its own small matrix."""
        entries = [[step.tensor(entry) for entry in row] for row in self.matrix]
        if len(entries) == 1:
            return entries[0][0].abs()
        matrix = torch.stack([torch.stack(row, -1) for row in entries], -2)
        radius: Tensor = torch.linalg.eigvals(matrix).abs().amax(-1)
        return radius


@cache
def loops(cell: Cell) -> tuple[Loop, ...]:
    """The loops of a cell through which its units keep states; none for a plain network.

    >>> from ricorso.cells import get_cell
    >>> [(loop.name, loop.matrix) for loop in loops(get_cell("lstm"))]
    [('c', ((sigmoid(f),),))]
    >>> loops(get_cell("elman_tanh"))
    ()
    """
    written: dict[sp.Symbol, sp.Expr] = {}
    for state, expression in cell.equations:
        written[state.new] = expression.subs(written)
    slopes = {(a, b): derivative(written[a.new], b) for a in cell.states for b in cell.states}
    reached = {a: {b for b in cell.states if slopes[a, b] != 0} for a in cell.states}
    for _ in cell.states:
        reached = {a: found.union(*(reached[b] for b in found)) for a, found in reached.items()}
    groups: list[tuple[State, ...]] = []
    for state in cell.states:
        group = tuple(other for other in cell.states if other in reached[state] and state in reached[other])
        if state in group and group not in groups:
            groups.append(group)
    return tuple(Loop(group, tuple(tuple(slopes[a, b] for b in group) for a in group)) for group in groups)


def derivative(expression: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """The derivative of an expression of the vocabulary with respect to a symbol, other symbols held.

    >>> from ricorso.equations import sigmoid, states
    >>> c, d = states("c d")
    >>> derivative(sigmoid(c * d), c)
    d*(1 - sigmoid(c*d))*sigmoid(c*d)
    """
    if expression == symbol:
        return sp.Integer(1)
    if symbol not in expression.free_symbols or isinstance(expression, mean):
        return sp.Integer(0)  # a unit's own share of a mean is one part in as many as there are units
    if expression.is_Add or expression.is_Mul or expression.is_Pow:
        stand_ins = [sp.Dummy(real=True) for _ in expression.args]
        outer = expression.func(*stand_ins)
        back = dict(zip(stand_ins, expression.args, strict=True))
        partials = [sp.diff(outer, stand_in).xreplace(back) for stand_in in stand_ins]
    else:
        partials = list(BY_FUNCTION[type(expression)].partials(expression.args, expression))
    inner = [derivative(argument, symbol) for argument in expression.args]
    return sp.Add(*(partial * slope for partial, slope in zip(partials, inner, strict=True) if slope != 0))


def time_constants(kept: Tensor) -> Tensor:
    """In how many steps what a unit keeps falls to 1/e, (hidden_size), from shares (time, batch, hidden_size).

    The product of the shares over the steps is what decays, so that their logarithms are averaged. A unit that keeps
    all has an infinite one.
    """
    rate = -kept.clamp(min=SMALLEST).log().flatten(0, -2).mean(0)
    return torch.where(rate > 0, 1 / rate, torch.inf)
