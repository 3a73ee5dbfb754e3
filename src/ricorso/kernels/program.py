"""The straight-line program that every emitter reads: numbered instructions over a small set of operations."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sympy as sp

from ricorso.equations.cell import Cell
from ricorso.equations.derive import Assignment, adjoint, elementary, times, times_transposed, vector_symbols
from ricorso.equations.symbols import BY_FUNCTION, mean


@dataclass(frozen=True)
class Instruction:
    """`operation` applied to earlier results.

    A constant carries its `value`, an input its `name`. A "product" or "transposed" multiplies its first argument by
    the recurrent matrix of the gate `name` or its transpose, and adds the second argument if there is one. "mean" is
    over the units; all other operations are elementwise, "copy" being the value itself.
    """

    operation: str
    arguments: tuple[int, ...] = ()
    value: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class Program:
    """Instructions in order, and for each output its name and the number of its instruction."""

    instructions: tuple[Instruction, ...]
    outputs: tuple[tuple[str, int], ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(i.name for i in self.instructions if i.operation == "input")


def saved_symbols(cell: Cell) -> tuple[sp.Symbol, ...]:
    """What a forward step keeps for the backward step in the place of each leaf.

    A gate that matters only through one function of it, whose derivative follows from its value, is kept as that
    value; then the backward step need not compute the function again. Any other leaf is kept as it is, and so are all
    leaves of a cell without products: what is there already need not be written.
    """
    if not cell.product_gates:
        return cell.leaves
    steps, derived = elementary(cell), adjoint(cell)
    gradients = [*(a.expression for a in derived.assignments), *derived.of_leaves, *derived.of_states]
    gradients += [*derived.of_parameters, *vector_symbols(cell)]

    def kept(leaf: sp.Symbol) -> sp.Symbol:
        users = [step for step in steps if leaf in step.expression.free_symbols]
        alone = (
            len(users) == 1
            and type(users[0].expression) in BY_FUNCTION
            and not isinstance(users[0].expression, mean)
            and users[0].expression.args == (leaf,)
        )
        needed = any(leaf in expression.free_symbols for expression in gradients)
        return users[0].symbol if alone and not needed else leaf

    return tuple(kept(leaf) for leaf in cell.leaves)


def forward_program(cell: Cell, saving: bool = True) -> Program:
    """Input parts, biases, old states, parameters, signals and noises in.

    Outputs: new states (`new_<state>`) and, if `saving`, `saved_<leaf>`.
    """
    outputs = [(f"new_{state.name}", state.new) for state in cell.states]
    if saving:
        outputs += [(f"saved_{leaf.name}", kept) for leaf, kept in zip(cell.leaves, saved_symbols(cell), strict=True)]
    # A product reads its vector in the type of the output, which the other states are not kept in.
    wide = {symbol for state in cell.states[1:] for symbol in (state, state.new)}
    return _compile(elementary(cell), outputs, wide)


def backward_program(cell: Cell) -> Program:
    """Saved symbols, old states, parameters, signals, noises and gradients of new states (`d_<state>_new`) in.

    Outputs: gradients `d_<leaf>`, `d_<state>`, `d_<parameter>`; `vector_<n>` for each vector of `cell.vectors` that
    is not the previous output, since the gradients of recurrent matrices are made from them.
    """
    derived, saved = adjoint(cell), saved_symbols(cell)
    outputs = [(f"d_{leaf.name}", e) for leaf, e in zip(cell.leaves, derived.of_leaves, strict=True)]
    outputs += [(f"d_{state.name}", e) for state, e in zip(cell.states, derived.of_states, strict=True)]
    outputs += [(f"d_{p.name}", e) for p, e in zip(cell.parameters, derived.of_parameters, strict=True)]
    vectors = zip(cell.vectors, vector_symbols(cell), strict=True)
    outputs += [(f"vector_{n}", v) for n, (vector, v) in enumerate(vectors) if vector != cell.states[0]]
    given = [step for step in elementary(cell) if step.symbol not in saved and step.symbol not in cell.leaves]
    return _compile([*given, *derived.assignments], outputs)


def _compile(
    assignments: Iterable[Assignment], outputs: Sequence[tuple[str, sp.Expr]], wide: Collection[sp.Symbol] = ()
) -> Program:
    expressions = {assignment.symbol: assignment.expression for assignment in assignments}
    builder = _Builder(expressions, wide)
    return Program(
        outputs=tuple((name, builder.number(expression)) for name, expression in outputs),
        instructions=tuple(builder.instructions),
    )


class _Builder:
    """Numbers every distinct value once; only what the outputs need is ever emitted."""

    def __init__(self, expressions: dict[sp.Symbol, sp.Expr], wide: Collection[sp.Symbol]) -> None:
        self.expressions, self.wide = expressions, wide
        self.instructions: dict[Instruction, int] = {}
        self.numbers: dict[sp.Expr, int] = {}

    def number(self, expression: sp.Expr) -> int:
        if expression not in self.numbers:
            self.numbers[expression] = self._number(expression)
        return self.numbers[expression]

    def _number(self, expression: sp.Expr) -> int:
        if expression in self.expressions:
            return self.number(self.expressions[expression])
        if expression.is_Symbol:
            return self._emit(Instruction("input", name=expression.name))
        if expression.is_number:
            return self._emit(Instruction("constant", value=float(expression)))
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            return self._power(expression.base, expression.exp)
        if isinstance(expression, times | times_transposed):
            return self._matrix(expression, ())
        name = BY_FUNCTION[type(expression)].name
        return self._emit(Instruction(name, tuple(self.number(a) for a in expression.args)))

    def _emit(self, instruction: Instruction) -> int:
        return self.instructions.setdefault(instruction, len(self.instructions))

    def _matrix(self, expression: sp.Expr, start: tuple[int, ...]) -> int:
        operation = "product" if isinstance(expression, times) else "transposed"
        both: tuple[sp.Expr, ...] = expression.args
        gate, vector = both
        source = self.number(vector)
        if vector in self.wide:
            source = self._emit(Instruction("copy", (source,)))
        return self._emit(Instruction(operation, (source, *start), name=gate.name.removeprefix("@")))

    def _sum(self, expression: sp.Expr) -> int:
        """Sums begin with what is elementwise, so that products can be added up on top of it."""
        resolved = [self.expressions.get(term, term) for term in expression.args]
        matrices = [term for term in resolved if isinstance(term, times | times_transposed)]
        rest = [
            term
            for term, meaning in zip(expression.args, resolved, strict=True)
            if not isinstance(meaning, times | times_transposed)
        ]
        positive = [term for term in rest if not term.could_extract_minus_sign()]
        negative = [-term for term in rest if term.could_extract_minus_sign()]
        if positive:
            total = self._chain("add", positive)
        elif negative:
            total = self._emit(Instruction("constant", value=0.0))
        for term in negative:
            total = self._emit(Instruction("subtract", (total, self.number(term))))
        start: tuple[int, ...] = (total,) if rest else ()
        for term in matrices:
            start = (self._matrix(term, start),)
        return start[0]

    def _product(self, expression: sp.Expr) -> int:
        below = [f for f in expression.args if f.is_Pow and f.exp.is_number and f.exp < 0]
        above = [f for f in expression.args if f not in below]
        numerator = self._chain("multiply", above) if above else self._emit(Instruction("constant", value=1.0))
        if not below:
            return numerator
        denominator = self._chain("multiply", [1 / f for f in below])
        return self._emit(Instruction("divide", (numerator, denominator)))

    def _chain(self, operation: str, terms: Sequence[sp.Expr]) -> int:
        result = self.number(terms[0])
        for term in terms[1:]:
            result = self._emit(Instruction(operation, (result, self.number(term))))
        return result

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> int:
        if exponent.is_Integer and 0 < exponent <= 8:
            return self._chain("multiply", [base] * int(exponent))
        if exponent.is_number and exponent < 0:
            one = self._emit(Instruction("constant", value=1.0))
            return self._emit(Instruction("divide", (one, self.number(base**-exponent))))
        if exponent == sp.Rational(1, 2):
            return self._emit(Instruction("sqrt", (self.number(base),)))
        logarithm = self._emit(Instruction("log", (self.number(base),)))
        factor = self._emit(Instruction("constant", value=float(exponent)))
        return self._emit(Instruction("exp", (self._emit(Instruction("multiply", (logarithm, factor))),)))
