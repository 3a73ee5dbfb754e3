"""A cell whose products are somebody else's: what is left of one step when they are done beforehand."""

from dataclasses import dataclass, replace
from functools import cache

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import Input


@dataclass(frozen=True)
class Span:
    """Neighbouring leaves that neighbouring recurrent matrices feed: the first leaf, the first matrix, how many."""

    leaf: int
    matrix: int
    count: int


def has_plain_products(cell: Cell) -> bool:
    """Whether a step needs nothing but its input, dense products of the old output, and the old states."""
    return (
        cell.heads == 1
        and cell.vectors == (cell.states[0],)
        and not (cell.parameters or cell.signals or cell.rates or cell.noises)
        and bool(cell.input_gates)
    )


@cache
def given(cell: Cell) -> Cell:
    """The same step from its leaves, which are input alone: `cell.leaves` in order.

    >>> from ricorso.cells import GRU
    >>> given(GRU).gates
    (r, z, x_n, u_n)
    """
    leaves = {leaf: Input(leaf.name, real=True) for leaf in cell.leaves}
    return Cell(
        f"{cell.name}_given",
        gates=tuple(leaves.values()),
        states=cell.states,
        update={state: expression.xreplace(leaves) for state, expression in cell.equations},
    )


@cache
def spans(cell: Cell) -> tuple[Span, ...]:
    """Which recurrent matrices feed which leaves, as few spans as there can be.

    >>> from ricorso.cells import GRU
    >>> spans(GRU)
    (Span(leaf=0, matrix=0, count=2), Span(leaf=3, matrix=2, count=1))
    """
    found: list[Span] = []
    for matrix, gate in enumerate(cell.product_gates):
        leaf, last = cell.recurrent_leaf(gate), found[-1] if found else None
        if last and last.leaf + last.count == leaf:
            found[-1] = replace(last, count=last.count + 1)
        else:
            found.append(Span(leaf, matrix, 1))
    return tuple(found)
