"""Equations as text and LaTeX, as they appear on the command line and in the documentation."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain

import sympy as sp
from sympy.core.alphabets import greeks
from sympy.printing.latex import LatexPrinter, translate
from sympy.printing.str import StrPrinter

from ricorso.equations.cell import Cell
from ricorso.equations.derive import Adjoint, Assignment, adjoint, elementary, matrix, times, times_transposed
from ricorso.equations.symbols import BY_FUNCTION, Gate, Scalar, Signal, State, StaticNoise, mean

WIDTH = 100
EPSILON = 1e-5


class norm(sp.Function):
    """What `normalise` gives, for readers: the expanded form is hard to recognise. Arguments: x, epsilon."""


def with_norms(expression: sp.Expr) -> sp.Expr:
    """The expression with each layer normalisation as one call of `norm`.

    >>> from ricorso.equations import normalise, states
    >>> (h,) = states("h")
    >>> with_norms(3 * normalise(h))
    3*norm(h, 1.0e-5)
    """
    return expression.replace(lambda e: e.is_Mul, _recognised)


def _recognised(product: sp.Mul) -> sp.Expr:
    for root in product.args:
        if not (root.is_Pow and root.exp == -sp.Rational(1, 2) and root.base.is_Add and len(root.base.args) == 2):
            continue
        epsilon, variance = root.base.args
        if not (epsilon.is_number and isinstance(variance, mean) and variance.args[0].is_Pow):
            continue
        centred, power = variance.args[0].args
        for average in centred.atoms(mean) if power == 2 and centred in product.args else ():
            if centred == average.args[0] - average:
                rest = [factor for factor in product.args if factor not in (root, centred)]
                return sp.Mul(norm(average.args[0], epsilon), *rest)
    return product


def _short(value: sp.Float) -> str:
    return f"{float(value):.12g}".replace("e-0", "e-")


class _Text(StrPrinter):
    def _print_Symbol(self, symbol: sp.Symbol) -> str:
        name = symbol.name
        return name.removesuffix("_new") + "'" if name.endswith("_new") else name

    # by the name of the class SymPy would take this one for its own product over an index
    _print_Product = _print_Symbol

    def _print_Float(self, value: sp.Float) -> str:
        return _short(value)

    def _print_norm(self, call: norm) -> str:
        epsilon = "" if call.args[1] == EPSILON else f", {_short(call.args[1])}"
        return f"normalise({self._print(call.args[0])}{epsilon})"

    def shown(self, expression: sp.Expr) -> str:
        return self.doprint(with_norms(expression))


class _Latex(LatexPrinter):
    """Symbols as in the documentation: c is the old state c_{t-1}, c.new is c_t, a gate is its pre-activation."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self._settings["mul_symbol_latex"] = r" \odot "
        self.names = {state.name: _at(state.name, "t-1") for state in cell.states}
        self.names |= {state.new.name: _at(state.name, "t") for state in cell.states}
        for gate in cell.gates:
            label = _label(gate.name)
            self.names |= {gate.name: f"p_{label}", gate.x.name: f"x_{label}", gate.u.name: f"u_{label}"}
            self.names[matrix(gate).name] = f"R_{label}"
        self.names |= {signal.name: _at(signal.name, "t") for signal in cell.signals}
        self.names |= {f"d_{state.name}_new": rf"\delta {_at(state.name, 't')}" for state in cell.states}

    def shown(self, expression: sp.Expr) -> str:
        return self.doprint(with_norms(expression))

    def _print_Symbol(self, symbol: sp.Symbol, style: str = "plain") -> str:
        return self.names.get(symbol.name) or _symbol(symbol.name)

    _print_Product = _print_Symbol

    def _print_Float(self, value: sp.Float) -> str:
        digits, _, exponent = _short(value).partition("e")
        if not exponent:
            return digits
        return f"10^{{{exponent}}}" if digits == "1" else rf"{digits} \cdot 10^{{{exponent}}}"

    def _print_Mul(self, product: sp.Mul) -> str:
        return re.sub(r"\b(\d+(?:\.\d+)?) \\odot ", r"\1 \\, ", super()._print_Mul(product))

    def _print_call(self, expression: sp.Function, exp: str | None = None) -> str:
        arguments = ", ".join(self._print(argument) for argument in expression.args)
        name = BY_FUNCTION[type(expression)].latex
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"{name}{power}\left({arguments}\right)"

    def _print_Function(self, expression: sp.Function, exp: str | None = None) -> str:
        return self._print_call(expression, exp)

    _print_tanh = _print_log = _print_Abs = _print_call

    def _print_ExpBase(self, expression: sp.Function, exp: str | None = None) -> str:
        return self._print_call(expression, exp)

    def _print_norm(self, call: norm, exp: str | None = None) -> str:
        epsilon = "" if call.args[1] == EPSILON else f", {self._print(call.args[1])}"
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"\operatorname{{norm}}{power}\left({self._print(call.args[0])}{epsilon}\right)"

    def _print_times(self, product: times) -> str:
        return f"{self._print(product.args[0])} {self.vector(product.args[1])}"

    def _print_times_transposed(self, product: times_transposed) -> str:
        return rf"{self._print(product.args[0])}^{{\top}} {self.vector(product.args[1])}"

    def vector(self, expression: sp.Expr) -> str:
        shown = self.shown(expression)
        return shown if expression.is_Symbol else rf"\left({shown}\right)"


def _label(name: str) -> str:
    """A name as an upright subscript."""
    return rf"{{\mathrm{{{name.replace('_', ',')}}}}}"


def _word(word: str) -> str:
    if word.lower() in greeks:
        return translate(word)
    return word if len(word) < 2 or word.isdigit() else rf"\mathrm{{{word}}}"


def _symbol(name: str) -> str:
    base, _, rest = name.partition("_")
    return f"{_word(base)}_{_label(rest)}" if rest else _word(base)


def _at(name: str, time: str) -> str:
    base, _, rest = name.partition("_")
    return f"{_word(base)}^{_label(rest)}_{{{time}}}" if rest else f"{_word(base)}_{{{time}}}"


def plain(expression: sp.Expr) -> str:
    """One expression in plain text."""
    return _Text().shown(expression)


def text(cell: Cell) -> str:
    """The equations in plain text; c' is the new value of c.

    >>> from ricorso.cells import get_cell
    >>> print(text(get_cell("mgu")))
    f = W_f x + b_f + R_f h + d_f
    n = W_n x + b_n + R_n (h*sigmoid(f)) + d_n
    h' = h*(1 - sigmoid(f)) + sigmoid(f)*tanh(n)
    """
    printer = _Text()
    names = {symbol.name for symbol in cell.own}
    x = next(name for name in ("x", "input", "input_") if name not in names)
    lines: list[str] = []
    for gates, state in _in_order(cell):
        for gate in gates:
            name, vector = gate.name, cell.vector(gate)
            shown = printer.shown(vector) if vector.is_Symbol else f"({printer.shown(vector)})"
            ours, theirs = f"W_{name} {x} + b_{name}", f"R_{name} {shown} + d_{name}"
            lines += [f"{left} = {right}" for left, right in _sides(cell, gate, (name, *_parts(gate)), ours, theirs)]
        lines.append(_wrapped(f"{state}' = ", _terms(printer, dict(cell.equations)[state])))
    return "\n".join([*lines, *_declarations(cell)])


def latex(cell: Cell) -> str:
    """The equations as the body of an `aligned` environment."""
    printer = _Latex(cell)
    lines: list[str] = []
    for gates, state in _in_order(cell):
        for gate in gates:
            label = _label(gate.name)
            ours = f"W_{label} x_t + b_{label}"
            theirs = f"R_{label} {printer.vector(cell.vector(gate))} + d_{label}"
            names = tuple(printer.doprint(symbol) for symbol in (gate, gate.x, gate.u))
            lines += [f"{left} &= {right}" for left, right in _sides(cell, gate, names, ours, theirs)]
        lines.append(_line(printer, printer.doprint(state.new), dict(cell.equations)[state]))
    return _aligned(lines)


def adjoint_latex(cell: Cell) -> str:
    """The derived backward step: gradients of gates, old states and parameters from those of the new states.

    v_k are values of the forward step, \u03b4 and a bar stand for a gradient.
    """
    derived, printer = adjoint(cell), _Latex(cell)
    inner = [a for a in elementary(cell) if a.symbol.name.startswith("v_")]
    shown = [a for a in inner if not isinstance(a.expression, times)]
    _name_inner(printer, cell, shown, derived)
    lines = [_line(printer, printer.doprint(a.symbol), a.expression) for a in (*shown, *derived.assignments)]
    wanted = (*cell.leaves, *cell.states, *cell.parameters)
    found = (*derived.of_leaves, *derived.of_states, *derived.of_parameters)
    for symbol, expression in zip(wanted, found, strict=True):
        name = rf"\delta {printer.doprint(symbol)}"
        if expression != 0 and printer.doprint(expression) != name:
            lines.append(_line(printer, name, expression))
    return _aligned(lines)


def _name_inner(printer: _Latex, cell: Cell, shown: Sequence[Assignment], derived: Adjoint) -> None:
    numbers: dict[str, str] = {}
    for name in chain((a.symbol.name for a in shown), (_owner(a) for a in derived.assignments)):
        if name.startswith("v_") and name not in (leaf.name for leaf in cell.leaves):
            numbers.setdefault(name, f"v_{{{len(numbers)}}}")
    printer.names |= numbers
    for assignment in derived.assignments:
        name = _owner(assignment)
        if name in numbers:
            gradient = rf"\bar{{v}}_{numbers[name].removeprefix('v_')}"
        elif name in {state.new.name for state in cell.states}:
            gradient = rf"\overline{{{printer.names[name]}}}"
        else:
            gradient = rf"\delta {printer.names[name]}"
        printer.names[assignment.symbol.name] = gradient


def _owner(assignment: Assignment) -> str:
    """The name of what an assignment of the backward step is the gradient of."""
    return assignment.symbol.name.removeprefix("d_").removesuffix("_total")


def _in_order(cell: Cell) -> list[tuple[list[Gate], State]]:
    """The states in the order of evaluation, each with gates to be told before it: first those that need the old
    states alone, the others where they are used."""
    owner = {part: gate for gate in cell.gates for part in (gate, gate.x, gate.u)}

    @cache
    def below(expression: sp.Expr) -> set[sp.Symbol]:
        found = set(expression.free_symbols)
        for gate in {owner[symbol] for symbol in found & owner.keys()}:
            found |= {gate} | (below(cell.vector(gate)) if gate.has_product else set())
        return found

    new = {state.new for state in cell.states}
    late = [gate for gate in cell.product_gates if below(cell.vector(gate)) & new]
    groups: list[tuple[list[Gate], State]] = []
    waiting = [gate for gate in cell.gates if gate not in late]
    for state, expression in cell.equations:
        waiting += [gate for gate in late if gate in below(expression)]
        groups.append((waiting, state))
        late, waiting = [gate for gate in late if gate not in waiting], []
    return groups


def _parts(gate: Gate) -> tuple[str, str]:
    return gate.x.name, gate.u.name


def _sides(cell: Cell, gate: Gate, names: Sequence[str], ours: str, theirs: str) -> list[tuple[str, str]]:
    """The lines of one gate: names are those of the sum, the input part and the recurrent part."""
    if gate in cell.split_gates:
        return [(names[1], ours), (names[2], theirs)]
    return [(names[0], " + ".join([ours] * gate.has_input + [theirs] * gate.has_product))]


def _declarations(cell: Cell) -> list[str]:
    lines = []
    each = [p for p in cell.parameters if not isinstance(p, Scalar)]
    shared = [p for p in cell.parameters if isinstance(p, Scalar)]
    moving = [n for n in cell.noises if not isinstance(n, StaticNoise)]
    fixed = [n for n in cell.noises if isinstance(n, StaticNoise)]
    signals: Sequence[Signal] = cell.signals
    for kind, symbols, meaning in (
        ("parameters", each, "one trained value for each unit"),
        ("scalars", shared, "one trained value for all units"),
        ("signals", signals, "given with each step of each sequence"),
        ("noise", moving, "uniform in [0, 1), new at each step"),
        ("noise", fixed, "uniform in [0, 1), the same at all steps"),
    ):
        if symbols:
            lines.append(f"{kind} {', '.join(map(str, symbols))}: {meaning}")
    rates: Mapping[sp.Symbol, float] = cell.defaults
    if rates:
        lines.append("rates " + ", ".join(f"{rate} = {value:g}" for rate, value in rates.items()))
    if cell.heads > 1:
        lines.append(f"heads: R is block-diagonal with {cell.heads} blocks")
    return lines


def _terms(printer: _Text | _Latex, expression: sp.Expr) -> list[str]:
    """The expression in pieces that may stand on lines of their own."""
    shown = with_norms(expression)
    whole = printer.doprint(shown)
    if not shown.is_Add:
        return [whole]
    pieces = [printer.doprint(term) for term in printer._as_ordered_terms(shown)]
    return [pieces[0], *(f"- {p[1:].strip()}" if p.startswith("-") else f"+ {p}" for p in pieces[1:])]


def _wrapped(start: str, terms: Sequence[str]) -> str:
    whole = start + " ".join(terms)
    return whole if len(whole) <= WIDTH else start + "\n    ".join(terms)


def _line(printer: _Latex, name: str, expression: sp.Expr) -> str:
    terms = _terms(printer, expression)
    whole = " ".join(terms)
    return f"{name} &= {whole}" if len(whole) <= 2 * WIDTH else f"{name} &= " + " \\\\\n&\\quad ".join(terms)


def _aligned(lines: Sequence[str]) -> str:
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"
