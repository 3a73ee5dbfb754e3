"""Gates at work: how often they are saturated, which units are dead, how long units keep what they hold."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import sympy as sp
import torch
from torch import Tensor

from ricorso.engine.naive import Step
from ricorso.equations import Cell
from ricorso.equations.symbols import relu, sigmoid
from ricorso.insight.keep import loops, time_constants
from ricorso.insight.reach import place
from ricorso.insight.trace import LayerTrace

LOW, HIGH = 0.1, 0.9
# a unit whose output moves less than this over the whole text is taken to be dead
STILL = 1e-4
WATCHED = (sigmoid, sp.tanh, relu)


@dataclass(frozen=True)
class Activation:
    """One activation of a layer over a text.

    low, high: share of its values that are saturated: below 0.1 and above 0.9 of a sigmoid, below -0.9 and above 0.9 of
    a tanh; of a relu, low is the share of zeros. stuck: share of the units that are saturated on one side at 99 of
    100 steps; of a relu, units that are never on.
    """

    name: str
    function: str
    mean: float
    low: float
    high: float
    stuck: float


@dataclass(frozen=True)
class Gates:
    """What the gates of one layer do. dead: units whose output never changes.

    direction: "forward" or "backward" where there are both. time_constants: by state, for each unit, in steps.
    spectral_radius: of each recurrent matrix, by gate.
    """

    layer: int
    activations: list[Activation]
    units: int
    dead: list[int]
    time_constants: dict[str, list[float]]
    spectral_radius: dict[str, float]
    direction: str | None = None

    @property
    def place(self) -> str:
        """The layer, and the direction where there are two."""
        return place(self.layer, self.direction)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data; an infinite time constant is None."""
        constants = {
            name: [value if math.isfinite(value) else None for value in values]
            for name, values in self.time_constants.items()
        }
        told = asdict(self) | {"time_constants": constants}
        if self.direction is None:
            del told["direction"]
        return told


def gates(trace: LayerTrace, layer: int, direction: str | None = None) -> Gates:
    """Look at the gates of one layer, in one direction, over what was traced."""
    step = trace.steps()
    output = step.value(trace.cell.states[0].new.name).flatten(0, 1)
    still = (output.amax(0) - output.amin(0)) < STILL
    return Gates(
        layer,
        [_activation(name, expression, step) for name, expression in activations(trace.cell)],
        output.shape[1],
        still.nonzero().flatten().tolist(),
        {loop.name: time_constants(loop.kept(step)).tolist() for loop in loops(trace.cell)},
        {gate.name: spectral_radius(step, n) for n, gate in enumerate(trace.cell.product_gates)},
        direction,
    )


@cache
def activations(cell: Cell) -> tuple[tuple[str, sp.Expr], ...]:
    """The sigmoids, tanhs and relus of a cell, each named after the gate or the state it squashes.

    >>> from ricorso.cells import get_cell
    >>> [name for name, _ in activations(get_cell("gru"))]
    ['sigmoid(r)', 'sigmoid(z)', 'tanh(n)']
    """
    shown: dict[sp.Symbol, str] = {part: gate.name for gate in cell.gates for part in (gate, gate.x, gate.u)}
    shown_states = {state: state.name for state in cell.states} | {state.new: f"{state}'" for state in cell.states}
    order = [gate.name for gate in cell.gates] + list(shown_states.values())
    parts = {p: None for e in cell.expressions() for p in sp.preorder_traversal(e) if type(p) in WATCHED}
    found: list[tuple[int, str, sp.Expr]] = []
    for part in parts:
        symbols = set(_outer_symbols(part.args[0]))
        names = {shown[s] for s in symbols & set(shown)} or {shown_states[s] for s in symbols & set(shown_states)}
        if names:
            inside = sorted(names, key=order.index)
            found.append((order.index(inside[0]), f"{type(part).__name__}({'+'.join(inside)})", part))
    labels = [label for _, label, _ in found]
    # two activations of one gate, as in JANET, are told apart by what is inside
    named = [(n, label if labels.count(label) == 1 else str(part), part) for n, label, part in found]
    return tuple((name, part) for _, name, part in sorted(named, key=lambda item: (item[0], len(item[1]))))


def _outer_symbols(expression: sp.Expr) -> Iterator[sp.Symbol]:
    """The symbols of an expression that stand inside no other activation."""
    if expression.is_Symbol:
        yield expression
    elif type(expression) not in WATCHED:
        for argument in expression.args:
            yield from _outer_symbols(argument)


def _activation(name: str, expression: sp.Expr, step: Step) -> Activation:
    values = step.tensor(expression).flatten(0, -2)
    kind = type(expression)
    if kind is relu:
        low, high = values <= 0, torch.zeros_like(values, dtype=torch.bool)
    else:
        low, high = values < (LOW if kind is sigmoid else -HIGH), values > HIGH
    most = 1.0 if kind is relu else 0.99
    stuck = (_share(low, 0) >= most) | (_share(high, 0) >= most)
    figures = (values.mean(), low.double().mean(), high.double().mean(), stuck.double().mean())
    return Activation(name, kind.__name__, *(float(figure) for figure in figures))


def _share(true: Tensor, over: int) -> Tensor:
    return true.double().mean(over)


def spectral_radius(step: Step, gate: int) -> float:
    """The largest modulus of the eigenvalues of a gate's recurrent matrix, over its blocks."""
    assert step.weight_hh is not None
    depth = step.weight_hh.shape[1]
    hidden = step.like.shape[-1]
    blocks = step.weight_hh[gate * hidden : (gate + 1) * hidden].view(-1, depth, depth)
    return float(torch.linalg.eigvals(blocks).abs().max())
