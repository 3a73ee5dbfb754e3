"""A recurrent cell: its states, its gates and one equation for each new state."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, fsum, isfinite, log, prod, tanh

import sympy as sp

from ricorso.equations.symbols import (
    BY_FUNCTION,
    HORIZON,
    Draw,
    Gate,
    Noise,
    Parameter,
    Rate,
    Signal,
    State,
    mean,
)
from ricorso.errors import CellError

Expressions = Mapping[sp.Symbol, sp.Expr]
RESERVED = re.compile(r"v_\d+|d_.*|bias_.*|weight_.*|.*_new|.*_total")
# the functions that SymPy knows; the others stay as they are when their argument is a number
_OF_NUMBERS: dict[type[sp.Expr], Callable[[float], float]] = {sp.exp: exp, sp.log: log, sp.tanh: tanh, sp.Abs: abs}
RECURRENT_STARTS = ("uniform", "orthogonal", "identity")


@dataclass(frozen=True, eq=False)
class Cell:
    """The equations of one time step, elementwise over the units.

    name: what users type; title: for people; paper: where it comes from.
    gates: in the order in which their weights are stacked; states: the first is the output.
    update: an expression for each state, in the order of evaluation. An equation may use the gates, the old
    states, the parameters and signals, and through `state.new` the new states of the equations before it.
    parameters: trained values for each unit; signals: values that come with each step.
    product_of: for gates whose recurrent weights multiply something else than the previous output, what they
    multiply: `{n: sigmoid(r) * h}`.
    heads: the recurrent matrices are block-diagonal with that many blocks.
    start: starting values of parameters, and of gates for their bias; numbers or expressions over draws, HORIZON and
    other parameters. long_start: what replaces them when the user says how long dependencies are.
    recurrent_start: how recurrent matrices start: "orthogonal", "identity" or "uniform".
    defaults: values of the rates.

    Raises CellError, naming the symbol, when the equations do not hold together.

    >>> from ricorso.equations import Cell, gates, states, tanh
    >>> (p,), (h,) = gates("p"), states("h")
    >>> Cell("plain", gates=(p,), states=(h,), update={h: tanh(p)}).saved_columns
    ('p',)
    """

    name: str
    gates: tuple[Gate, ...]
    states: tuple[State, ...]
    update: Mapping[State, sp.Expr]
    title: str = ""
    paper: str = ""
    parameters: tuple[Parameter, ...] = ()
    signals: tuple[Signal, ...] = ()
    product_of: Mapping[Gate, sp.Expr] = field(default_factory=dict)
    heads: int = 1
    start: Expressions = field(default_factory=dict)
    long_start: Expressions = field(default_factory=dict)
    recurrent_start: str = "orthogonal"
    defaults: Mapping[Rate, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("update", "product_of", "start", "long_start"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise CellError(f"`{name}` of cell '{self.name}' must map symbols to expressions, not be {given!r}.")
            object.__setattr__(self, name, {symbol: self._expression(value) for symbol, value in given.items()})
        for name in ("gates", "states", "parameters", "signals"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_names()
        for rate, value in self.defaults.items():
            if type(value) not in (int, float) or not isfinite(value):
                raise CellError(f"Rate '{rate}' of cell '{self.name}' is {value!r} by default; wanted a finite number.")
        self._check_products()
        self._check_update()
        self._check_starts()

    def __deepcopy__(self, memo: dict[int, object]) -> "Cell":
        """Itself: a cell never changes, and kernels are known by it."""
        return self

    def _expression(self, value: object) -> sp.Expr:
        if isinstance(value, sp.Expr):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return sp.sympify(value)
        raise CellError(f"Cell '{self.name}' holds {value!r} where an expression or a number was expected.")

    @property
    def rates(self) -> tuple[Rate, ...]:
        """What the user of a layer may set while it is trained."""
        return tuple(self.defaults)

    @property
    def own(self) -> tuple[sp.Symbol, ...]:
        """Everything declared, in order."""
        return (*self.gates, *self.states, *self.parameters, *self.signals, *self.rates)

    def _check_names(self) -> None:
        if type(self.name) is not str or not self.name.isidentifier():
            raise CellError(f"Cell name {self.name!r} is not an identifier; use letters, digits and underscores.")
        if not self.states or not self.gates:
            raise CellError(f"Cell '{self.name}' needs at least one gate and one state.")
        wanted = {"gates": Gate, "states": State, "parameters": Parameter, "signals": Signal, "rates": Rate}
        for field_name, kind in wanted.items():
            for symbol in getattr(self, field_name):
                if not isinstance(symbol, kind):
                    raise CellError(
                        f"'{symbol}' among the {field_name} of cell '{self.name}' is a {type(symbol).__name__}; make "
                        f'it with `{field_name}("{symbol}")` from ricorso.equations.'
                    )
        names = [symbol.name for symbol in self.own]
        names += [part.name for gate in self.gates for part in (gate.x, gate.u)]
        names += [state.new.name for state in self.states]
        starts = {s for given in (self.start, self.long_start) for e in given.values() for s in e.free_symbols}
        names += [symbol.name for symbol in {HORIZON, *self.noises, *starts} if symbol not in self.own]
        for name in names:
            if names.count(name) > 1:
                raise CellError(f"Cell '{self.name}' uses the name '{name}' twice; rename one of the two.")
        for symbol in self.own:
            if RESERVED.fullmatch(symbol.name) or not symbol.name.isidentifier():
                raise CellError(
                    f"Cell '{self.name}' calls something '{symbol}'. Use letters, digits and underscores; names like "
                    f"v_1, d_x, bias_x, weight_x and x_new are kept for what is derived. Rename it."
                )
        if type(self.heads) is not int or self.heads < 1:
            raise CellError(f"Cell '{self.name}': heads must be a whole number of at least 1, not {self.heads!r}.")

    def _check_products(self) -> None:
        for gate in self.product_of:
            if gate not in self.gates:
                raise CellError(f"Cell '{self.name}' says what '{gate}' multiplies, which is not one of its gates.")
            if not gate.has_product:
                raise CellError(f"Gate '{gate}' of cell '{self.name}' sees the input alone; make it with `gates`.")

    def _check_update(self) -> None:
        for state in self.states:
            if state not in self.update:
                raise CellError(f"Cell '{self.name}' has no equation for its state '{state}'; add one to `update`.")
        always: set[sp.Basic] = {*self.states, *self.parameters, *self.signals, *self.rates}
        new: set[sp.Basic] = set()
        used: set[sp.Basic] = set()
        for state, expression in self.update.items():
            if state not in self.states:
                raise CellError(f"Cell '{self.name}' updates '{state}', which is not one of its states.")
            self._check_vocabulary(expression)
            used |= self._check_symbols(state, expression, always | new, (), set())
            new.add(state.new)
        for gate in self.gates:
            if gate not in used:
                raise CellError(f"Gate '{gate}' of cell '{self.name}' is never used; use it or remove it.")
        for kind, symbols in (("Parameter", self.parameters), ("Signal", self.signals)):
            for symbol in symbols:
                if symbol not in used:
                    raise CellError(f"{kind} '{symbol}' of cell '{self.name}' is never used; use it or remove it.")

    def _check_symbols(
        self, state: State, expression: sp.Expr, known: set[sp.Basic], inside: tuple[Gate, ...], done: set[Gate]
    ) -> set[sp.Basic]:
        """The declared symbols that an expression uses, through the vectors that its gates multiply as well."""
        parts = {part: gate for gate in self.gates for part in (gate, *self._parts(gate))}
        used: set[sp.Basic] = set()
        for symbol in sorted(expression.free_symbols, key=str):
            if symbol in known or isinstance(symbol, Noise):
                used.add(symbol)
            elif symbol in parts:
                gate = parts[symbol]
                if gate in inside:
                    raise CellError(
                        f"Gate '{gate}' of cell '{self.name}' depends on itself through the vector it multiplies."
                    )
                used.add(gate)
                if gate in self.product_of and gate not in done:
                    self._check_vocabulary(self.product_of[gate])
                    used |= self._check_symbols(state, self.product_of[gate], known, (*inside, gate), done)
                    done.add(gate)
            else:
                raise CellError(
                    f"The equation for '{state}' of cell '{self.name}' uses '{symbol}', which is neither a gate, "
                    f"an old state, a parameter, nor a new state computed before it. Declare it, or mind the order."
                )
        return used

    @staticmethod
    def _parts(gate: Gate) -> tuple[sp.Symbol, ...]:
        return (gate.x, gate.u) if gate.has_input and gate.has_product else ()

    def _check_vocabulary(self, expression: sp.Expr) -> None:
        for node in sp.preorder_traversal(expression):
            if node.is_number and not is_finite(node):
                raise CellError(f"Cell '{self.name}' uses '{node}', which is no finite real number; write its value.")
            if node.is_Symbol or node.is_Add or node.is_Mul or node.is_Number:
                continue
            if node.is_NumberSymbol or (node.is_Pow and node.exp.is_number):
                continue
            if type(node) not in BY_FUNCTION:
                choices = ", ".join(operation.name for operation in BY_FUNCTION.values())
                raise CellError(
                    f"Cell '{self.name}' uses '{node}' ({type(node).__name__}), which is outside the vocabulary: "
                    f"sums, products, quotients, constant powers and {choices}."
                )
            if len(node.args) != BY_FUNCTION[type(node)].arity:
                raise CellError(
                    f"Cell '{self.name}': '{node}' has {len(node.args)} arguments, which is not its number."
                )

    def _check_starts(self) -> None:
        if self.recurrent_start not in RECURRENT_STARTS:
            choices = ", ".join(RECURRENT_STARTS)
            raise CellError(f"Cell '{self.name}': recurrent_start is {self.recurrent_start!r}; it may be {choices}.")
        for name in ("start", "long_start"):
            known: set[sp.Basic] = set()
            for symbol, expression in getattr(self, name).items():
                if symbol not in self.parameters and symbol not in self.gates:
                    raise CellError(
                        f"`{name}` of cell '{self.name}' sets '{symbol}', which is neither a gate nor a parameter."
                    )
                self._check_vocabulary(expression)
                if expression.has(mean):
                    raise CellError(f"`{name}` of cell '{self.name}' uses a mean; starting values know no units.")
                for other in sorted(expression.free_symbols, key=str):
                    if other != HORIZON and not isinstance(other, Draw) and other not in known:
                        raise CellError(
                            f"`{name}` of cell '{self.name}' sets '{symbol}' from '{other}'; it may use draws, HORIZON "
                            f"and parameters that were set before."
                        )
                if isinstance(symbol, Parameter):
                    known.add(symbol)

    def expressions(self) -> Iterable[sp.Expr]:
        """Every expression of the update and of what gates multiply."""
        yield from self.update.values()
        yield from self.product_of.values()

    @cached_property
    def used_symbols(self) -> frozenset[sp.Basic]:
        """Every symbol in `expressions`."""
        return frozenset().union(*(expression.free_symbols for expression in self.expressions()))

    @cached_property
    def noises(self) -> tuple[Noise, ...]:
        """The random numbers that the equations use, in order of name."""
        return tuple(sorted((s for s in self.used_symbols if isinstance(s, Noise)), key=str))

    @cached_property
    def input_gates(self) -> tuple[Gate, ...]:
        """Gates with weights for the input, in order."""
        return tuple(gate for gate in self.gates if gate.has_input)

    @cached_property
    def product_gates(self) -> tuple[Gate, ...]:
        """Gates with recurrent weights, in order."""
        return tuple(gate for gate in self.gates if gate.has_product)

    @cached_property
    def split_gates(self) -> tuple[Gate, ...]:
        """Gates whose input and recurrent parts the equations use separately."""
        return tuple(gate for gate in self.gates if self.used_symbols & set(self._parts(gate)))

    @cached_property
    def leaves(self) -> tuple[sp.Symbol, ...]:
        """The gate symbols that the equations are computed from: first one for each gate that sees the input (the
        sum, or the input part of a split gate), then the recurrent parts of split gates and the pure products."""
        first = tuple(gate.x if gate in self.split_gates else gate for gate in self.input_gates)
        return first + tuple(
            gate.u if gate in self.split_gates else gate
            for gate in self.product_gates
            if gate in self.split_gates or not gate.has_input
        )

    @cached_property
    def joined_biases(self) -> tuple[tuple[int, int], ...]:
        """Gates whose two biases are parts of one sum: (number among the input gates, among the product gates)."""
        return tuple(
            (self.input_gates.index(gate), self.product_gates.index(gate))
            for gate in self.gates
            if gate.has_input and gate.has_product and gate not in self.split_gates
        )

    def recurrent_leaf(self, gate: Gate) -> int:
        """The number of the leaf that a gate's recurrent product goes into."""
        return self.leaves.index(gate.u if gate in self.split_gates else gate)

    def vector(self, gate: Gate) -> sp.Expr:
        """What the recurrent weights of a gate multiply, split gates written out."""
        return self._written_out(self.product_of.get(gate, self.states[0]))

    @cached_property
    def vectors(self) -> tuple[sp.Expr, ...]:
        """The different vectors that recurrent weights multiply."""
        return tuple(dict.fromkeys(self.vector(gate) for gate in self.product_gates))

    @cached_property
    def stores_vectors(self) -> bool:
        """Whether matrices multiply anything else than the previous output, which is kept anyhow."""
        return any(vector != self.states[0] for vector in self.vectors)

    @cached_property
    def saved_columns(self) -> tuple[str, ...]:
        """Names of `leaves`: the columns that one step leaves behind for the backward pass."""
        return tuple(symbol.name for symbol in self.leaves)

    @cached_property
    def equations(self) -> tuple[tuple[State, sp.Expr], ...]:
        """The update in order, split gates written out as `x + u` where their sum is used as well."""
        return tuple((state, self._written_out(expression)) for state, expression in self.update.items())

    def _written_out(self, expression: sp.Expr) -> sp.Expr:
        return expression.subs({gate: gate.x + gate.u for gate in self.split_gates})


def is_finite(number: sp.Expr) -> bool:
    """Whether an expression without symbols is a finite real number.

    Each part is computed in double precision: SymPy's own evaluation of exp(exp(exp(100))) does not end.
    """
    try:
        return isfinite(_value(number))
    except (TypeError, ValueError, ArithmeticError):
        return False


def _value(number: sp.Expr) -> float:
    if number.is_Number or number.is_NumberSymbol:
        return float(number)
    values = [_value(argument) for argument in number.args]
    if number.is_Add:
        return fsum(values)
    if number.is_Mul:
        return prod(values)
    if number.is_Pow:
        return float(values[0] ** values[1])
    if type(number) not in _OF_NUMBERS:
        raise TypeError(f"'{number}' is not evaluated.")
    return _OF_NUMBERS[type(number)](values[0])
