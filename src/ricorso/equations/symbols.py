"""The vocabulary in which cells are written: gates, states, parameters and a closed set of functions.

A gate g stands for its pre-activation `x_g + u_g`, where `x_g = W_g x_t + b_g` comes from the input and
`u_g = R_g v + d_g` from the previous output, or from whatever vector v the cell says it multiplies. A cell that
treats the two differently uses `g.x` and `g.u`.
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
        """The part that comes from the recurrent product, bias included."""
        return sp.Symbol(f"u_{self.name}", real=True)

    @property
    def has_input(self) -> bool:
        """Whether the gate has weights for the input."""
        return not isinstance(self, Product)

    @property
    def has_product(self) -> bool:
        """Whether the gate has recurrent weights."""
        return not isinstance(self, Input)


class Input(Gate):
    """A gate fed by the input alone, `W x + b`."""


class Product(Gate):
    """A gate fed by a recurrent product alone, `R v + d`."""


class State(sp.Symbol):
    """A state as the previous step left it; `new` is what this step makes of it."""

    @property
    def new(self) -> sp.Symbol:
        return sp.Symbol(f"{self.name}_new", real=True)


class Parameter(sp.Symbol):
    """A trained value for each unit, such as a peephole weight."""


class Scalar(Parameter):
    """A trained value that all units share."""


class Signal(sp.Symbol):
    """A value given with each step of each sequence, the same for all units, such as the time since the last step."""


class Noise(sp.Symbol):
    """A random number, uniform in [0, 1), drawn anew for each step, sequence and unit."""


class StaticNoise(Noise):
    """A random number, uniform in [0, 1), drawn for each sequence and unit and kept for all steps."""


class Rate(sp.Symbol):
    """A number that the user of a layer sets and that may change while training, such as a dropout rate."""


class Draw(sp.Symbol):
    """In starting values only: a number drawn uniformly from (0, 1) for each unit."""


HORIZON = sp.Symbol("horizon", positive=True)


def _named(kind: type[sp.Symbol], names: str) -> tuple[sp.Symbol, ...]:
    return tuple(kind(name, real=True) for name in names.split())


def gates(names: str) -> tuple[Gate, ...]:
    """Gates by name, in the order in which their weights are stacked.

    >>> gates("i f g o")
    (i, f, g, o)
    """
    return _named(Gate, names)


def inputs(names: str) -> tuple[Input, ...]:
    """Gates that see the input alone, `W x + b`, by name.

    >>> inputs("z n")
    (z, n)
    """
    return _named(Input, names)


def products(names: str) -> tuple[Product, ...]:
    """Gates that see a recurrent product alone, `R v + d`, by name."""
    return _named(Product, names)


def states(names: str) -> tuple[State, ...]:
    """States by name; the first is the output and feeds the recurrent product.

    >>> states("h c")
    (h, c)
    """
    return _named(State, names)


def parameters(names: str) -> tuple[Parameter, ...]:
    """Trained values for each unit, by name."""
    return _named(Parameter, names)


def scalars(names: str) -> tuple[Scalar, ...]:
    """Trained values shared by all units, by name."""
    return _named(Scalar, names)


def signals(names: str) -> tuple[Signal, ...]:
    """Values given with each step, by name."""
    return _named(Signal, names)


def rates(names: str) -> tuple[Rate, ...]:
    """Numbers that may change while training, by name; `Cell(defaults=...)` says what they are."""
    return _named(Rate, names)


def draws(names: str) -> tuple[Draw, ...]:
    """Uniform random numbers for starting values, by name; one name is one number for each unit."""
    return _named(Draw, names)


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


class sine(sp.Function):
    """The sine, for arguments of moderate size."""


class cosine(sp.Function):
    """The cosine, for arguments of moderate size."""


class mean(sp.Function):
    """The mean over the units of one sequence at one step, the same for each unit."""


def normalise(x: sp.Expr, epsilon: float = 1e-5) -> sp.Expr:
    """Layer normalisation: over the units, mean 0 and variance 1 (Ba, Kiros and Hinton 2016, arXiv:1607.06450)."""
    centred = x - mean(x)
    return centred / sp.sqrt(mean(centred * centred) + epsilon)


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
    Operation("sine", sine, 1, lambda a, _: (cosine(a[0]),), r"\sin"),
    Operation("cosine", cosine, 1, lambda a, _: (-sine(a[0]),), r"\cos"),
    Operation("step", step, 1, lambda _a, _y: (_ZERO,), r"\operatorname{step}"),
    Operation("maximum", maximum, 2, lambda a, _: (step(a[0] - a[1]), 1 - step(a[0] - a[1])), r"\max"),
    Operation("where", where, 3, lambda a, _: (_ZERO, step(a[0]), 1 - step(a[0])), r"\operatorname{where}"),
)
# `mean` is no function of one unit; it is its own adjoint, since each unit's share of the mean's gradient is the
# mean of all units' gradients.
MEAN = Operation("mean", mean, 1, lambda _a, _y: (_ZERO,), r"\operatorname{mean}")
BY_NAME = {operation.name: operation for operation in (*OPERATIONS, MEAN)}
BY_FUNCTION = {operation.function: operation for operation in (*OPERATIONS, MEAN)}
