"""A recurrent cell: its states, its gates and one equation for each new state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp

from ricorso.equations.symbols import BY_FUNCTION, OPERATIONS, Gate, State
from ricorso.errors import CellError


@dataclass(frozen=True, eq=False)
class Cell:
    """The equations of one time step, elementwise over the units.

    name: what users type; title: for people; paper: where it comes from.
    gates: in the order in which their weights are stacked; states: the first is the output.
    update: an expression for each state, in the order of evaluation. An equation may use the gates, the old
    states, and through `state.new` the new states of the equations before it.

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
    bias_start: Mapping[Gate, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "update", {s: sp.sympify(e) for s, e in self.update.items()})
        self._check_names()
        self._check_update()

    def _check_names(self) -> None:
        if not self.name.isidentifier():
            raise CellError(f"Cell name {self.name!r} is not an identifier; use letters, digits and underscores.")
        if not self.states or not self.gates:
            raise CellError(f"Cell '{self.name}' needs at least one gate and one state.")
        names = [gate.name for gate in self.gates] + [state.name for state in self.states]
        names += [part.name for gate in self.gates for part in (gate.x, gate.u)]
        names += [state.new.name for state in self.states]
        for name in names:
            if names.count(name) > 1:
                raise CellError(f"Cell '{self.name}' uses the name '{name}' twice; rename one of the two.")

    def _check_update(self) -> None:
        for state in self.states:
            if state not in self.update:
                raise CellError(f"Cell '{self.name}' has no equation for its state '{state}'; add one to `update`.")
        known: set[sp.Basic] = {part for gate in self.gates for part in (gate, gate.x, gate.u)} | set(self.states)
        used: set[sp.Basic] = set()
        for state, expression in self.update.items():
            if state not in self.states:
                raise CellError(f"Cell '{self.name}' updates '{state}', which is not one of its states.")
            self._check_vocabulary(expression)
            for symbol in sorted(expression.free_symbols, key=str):
                if symbol not in known:
                    raise CellError(
                        f"The equation for '{state}' of cell '{self.name}' uses '{symbol}', which is neither a gate, "
                        f"an old state, nor a new state computed before it. Declare it, or mind the order."
                    )
            used |= expression.free_symbols
            known.add(state.new)
        for gate in self.gates:
            if not used & {gate, gate.x, gate.u}:
                raise CellError(f"Gate '{gate}' of cell '{self.name}' is never used; use it or remove it.")

    def _check_vocabulary(self, expression: sp.Expr) -> None:
        for node in sp.preorder_traversal(expression):
            if node.is_Symbol or node.is_Add or node.is_Mul or (node.is_Number and node.is_finite):
                continue
            if node.is_Pow and node.exp.is_number:
                continue
            if type(node) not in BY_FUNCTION:
                choices = ", ".join(operation.name for operation in OPERATIONS)
                raise CellError(
                    f"Cell '{self.name}' uses '{node}' ({type(node).__name__}), which is outside the vocabulary: "
                    f"sums, products, quotients, constant powers and {choices}."
                )
            if len(node.args) != BY_FUNCTION[type(node)].arity:
                raise CellError(
                    f"Cell '{self.name}': '{node}' has {len(node.args)} arguments, which is not its number."
                )

    @cached_property
    def split_gates(self) -> tuple[Gate, ...]:
        """Gates whose input and recurrent parts the equations use separately."""
        used = set[sp.Basic]().union(*(expression.free_symbols for expression in self.update.values()))
        return tuple(gate for gate in self.gates if used & {gate.x, gate.u})

    @cached_property
    def leaves(self) -> tuple[sp.Symbol, ...]:
        """The gate symbols that the equations are computed from: first one for each gate (the sum, or the input
        part of a split gate), then the recurrent parts of the split gates."""
        first = tuple(gate.x if gate in self.split_gates else gate for gate in self.gates)
        return first + tuple(gate.u for gate in self.split_gates)

    @cached_property
    def saved_columns(self) -> tuple[str, ...]:
        """Names of `leaves`: the columns that one step leaves behind for the backward pass."""
        return tuple(symbol.name for symbol in self.leaves)

    @cached_property
    def equations(self) -> tuple[tuple[State, sp.Expr], ...]:
        """The update in order, split gates written out as `x + u` where their sum is used as well."""
        whole = {gate: gate.x + gate.u for gate in self.split_gates}
        return tuple((state, expression.subs(whole)) for state, expression in self.update.items())
