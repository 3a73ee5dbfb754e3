"""The vocabulary in which cells are written: gates, states and a closed set of functions.

A gate g stands for its pre-activation `x_g + u_g`, where `x_g = W_g x_t + b_g` comes from the input and
`u_g = R_g h_{t-1} + d_g` from the previous output. A cell that treats the two differently uses `g.x` and `g.u`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp


class Gate(sp.Symbol):
    """The pre-activation of one gate, `x + u`."""

    @property
    def x(self) -> sp.Symbol:
        """The part that comes from the input, bias included."""
        return sp.Symbol(f"x_{self.name}", real=True)

    @property
    def u(self) -> sp.Symbol:
        """The part that comes from the previous output, bias included."""
        return sp.Symbol(f"u_{self.name}", real=True)


class State(sp.Symbol):
    """A state as the previous step left it; `new` is what this step makes of it."""

    @property
    def new(self) -> sp.Symbol:
        return sp.Symbol(f"{self.name}_new", real=True)


def gates(names: str) -> tuple[Gate, ...]:
    """Gates by name, in the order in which their weights are stacked.

    >>> gates("i f g o")
    (i, f, g, o)
    """
    return tuple(Gate(name, real=True) for name in names.split())


def states(names: str) -> tuple[State, ...]:
    """States by name; the first is the output and feeds the recurrent product.

    >>> states("h c")
    (h, c)
    """
    return tuple(State(name, real=True) for name in names.split())


class sigmoid(sp.Function):
    """1 / (1 + exp(-x))."""


class relu(sp.Function):
    """max(x, 0)."""


class softplus(sp.Function):
    """log(1 + exp(x))."""


class step(sp.Function):
    """1 where x > 0, else 0."""


class maximum(sp.Function):
    """The larger of two values."""


class where(sp.Function):
    """where(condition, a, b): a where condition > 0, else b."""


@dataclass(frozen=True)
class Operation:
    """One function of the vocabulary: how it is called, and its partial derivatives.

    `partials(arguments, result)` may use the result, so that backward code reuses what forward computed.
    """

    name: str
    function: type[sp.Function]
    arity: int
    partials: Callable[[tuple[sp.Expr, ...], sp.Expr], tuple[sp.Expr, ...]]
    latex: str


_ZERO = sp.Integer(0)

OPERATIONS: tuple[Operation, ...] = (
    Operation("sigmoid", sigmoid, 1, lambda _, y: (y * (1 - y),), r"\sigma"),
    Operation("tanh", sp.tanh, 1, lambda _, y: (1 - y * y,), r"\tanh"),
    Operation("relu", relu, 1, lambda _, y: (step(y),), r"\operatorname{relu}"),
    Operation("softplus", softplus, 1, lambda a, _: (sigmoid(a[0]),), r"\operatorname{softplus}"),
    Operation("exp", sp.exp, 1, lambda _, y: (y,), r"\exp"),
    Operation("log", sp.log, 1, lambda a, _: (1 / a[0],), r"\log"),
    Operation("abs", sp.Abs, 1, lambda a, _: (2 * step(a[0]) - 1,), r"\operatorname{abs}"),
    Operation("step", step, 1, lambda _a, _y: (_ZERO,), r"\operatorname{step}"),
    Operation("maximum", maximum, 2, lambda a, _: (step(a[0] - a[1]), 1 - step(a[0] - a[1])), r"\max"),
    Operation("where", where, 3, lambda a, _: (_ZERO, step(a[0]), 1 - step(a[0])), r"\operatorname{where}"),
)
BY_NAME = {operation.name: operation for operation in OPERATIONS}
BY_FUNCTION = {operation.function: operation for operation in OPERATIONS}
