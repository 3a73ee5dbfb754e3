"""The equations of a cell as a graph of what flows where, for pictures."""

import re
from dataclasses import dataclass

import sympy as sp
from sympy.printing.pretty.pretty_symbology import greek_unicode

from ricorso.equations.cell import Cell
from ricorso.equations.render import norm, plain, with_norms
from ricorso.equations.symbols import BY_FUNCTION, Gate, Noise, Parameter, Rate, Signal, State

SHORT = 8
_SIGNS = {"sigmoid": "\u03c3", "sine": "sin", "cosine": "cos", "maximum": "max", "where": "if", "abs": "| \u00b7 |"}
_ROLES = {"where": ("if", "then", "else")}


@dataclass(frozen=True)
class Node:
    """kind: "input", "state", "new", "parameter", "signal", "noise", "gate" or "operation".

    label, caption: an underscore starts a subscript.
    """

    kind: str
    label: str
    caption: str = ""


@dataclass(frozen=True)
class Edge:
    """From one node to another, by their numbers; mark: how the target takes it, such as "\u2212" for subtracted."""

    source: int
    target: int
    mark: str = ""


class Diagram:
    """The nodes and edges of a cell.

    >>> from ricorso.cells import get_cell
    >>> [node.label for node in Diagram(get_cell("elman_tanh")).nodes]
    ['x_t', 'h_t\u22121', 'p', 'tanh', 'h_t']
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self._known: dict[sp.Basic, int] = {}
        self._owner = {part: gate for gate in cell.gates for part in (gate, gate.x, gate.u)}
        if cell.input_gates:
            self._input = self._add(Node("input", "x_t"))
        for state in cell.states:
            if state in self._reached():
                self._known[state] = self._add(Node("state", _at(state, "t\u22121")))
        new: list[tuple[int, State]] = []
        for state, expression in cell.equations:
            self._known[state.new] = self._place(with_norms(expression))
            new.append((self._known[state.new], state))
        for source, state in new:
            self._add(Node("new", _at(state, "t")), (source, ""))

    def _reached(self) -> set[sp.Basic]:
        return set(self.cell.used_symbols) | {s for vector in self.cell.vectors for s in vector.free_symbols}

    def _add(self, node: Node, *sources: tuple[int, str]) -> int:
        self.nodes.append(node)
        number = len(self.nodes) - 1
        self.edges += [Edge(source, number, mark) for source, mark in dict.fromkeys(sources)]
        return number

    def _place(self, expression: sp.Expr) -> int:
        """The node that carries the value of an expression."""
        if expression not in self._known:
            self._known[expression] = self._made(expression)
        return self._known[expression]

    def _made(self, expression: sp.Expr) -> int:
        if expression in self._owner:
            return self._gate(expression)
        if _fixed(expression):
            return self._add(Node("parameter", _shown(expression)))
        if isinstance(expression, Signal):
            return self._add(Node("signal", f"{expression.name}_t"))
        if isinstance(expression, Noise):
            return self._add(Node("noise", expression.name))
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            return self._add(Node("operation", _power(expression.exp)), (self._place(expression.base), ""))
        return self._call(expression)

    def _gate(self, symbol: sp.Symbol) -> int:
        gate: Gate = self._owner[symbol]
        sources, captions = [], []
        if gate.has_input and symbol != gate.u:
            sources.append((self._input, ""))
            captions.append("W x")
        if gate.has_product and symbol != gate.x:
            vector = with_norms(self.cell.vector(gate))
            sources.append((self._place(vector), ""))
            captions.append(f"R {_shown(vector)}" if vector.is_Symbol else "R v")
        return self._add(Node("gate", symbol.name, " + ".join(captions)), *sources)

    def _sum(self, expression: sp.Add) -> int:
        given = [term for term in expression.args if not _brief(term)]
        fixed = sp.Add(*(term for term in expression.args if _brief(term)))
        if len(given) == 1:
            factor, inner = _split(given[0])
            if factor == 1:
                return self._add(Node("operation", _signed(fixed)), (self._place(inner), ""))
            if factor == -1:
                return self._add(Node("operation", f"{_shown(fixed)} \u2212 \u00b7"), (self._place(inner), ""))
            label = f"\u00b7 {_shown(factor)} {_signed(fixed)}"
            return self._add(Node("operation", label), (self._place(inner), ""))
        sources = []
        for term in given:
            sign = -1 if term.could_extract_minus_sign() else 1
            sources.append((self._place(sign * term), "\u2212" if sign < 0 else ""))
        if fixed.free_symbols:
            sources.append((self._place(fixed), ""))
        constant = "" if fixed.free_symbols or fixed == 0 else f" {_signed(fixed)}"
        return self._add(Node("operation", f"+{constant}"), *sources)

    def _product(self, expression: sp.Mul) -> int:
        factor, inner = _split(expression)
        if factor == -1:
            return self._add(Node("operation", "\u2212"), (self._place(inner), ""))
        if factor != 1:
            return self._add(Node("operation", f"\u00b7 {_shown(factor)}"), (self._place(inner), ""))
        sources = []
        fixed = sp.Mul(*(part for part in expression.args if _fixed(part)))
        for part in (*((fixed,) if fixed != 1 else ()), *(part for part in expression.args if not _fixed(part))):
            below = part.is_Pow and part.exp.is_negative
            sources.append((self._place(1 / part if below else part), "\u00f7" if below else ""))
        return self._add(Node("operation", "\u00d7"), *sources)

    def _call(self, expression: sp.Function) -> int:
        if isinstance(expression, norm):
            return self._add(Node("operation", "norm"), (self._place(expression.args[0]), ""))
        name = BY_FUNCTION[type(expression)].name
        roles = _ROLES.get(name, ("",) * len(expression.args))
        given = [(a, role) for a, role in zip(expression.args, roles, strict=True) if not a.is_number]
        numbers = [f"{role} {_shown(a)}".strip() for a, role in zip(expression.args, roles, strict=True) if a.is_number]
        label = " ".join([_SIGNS.get(name, name), *numbers])
        return self._add(Node("operation", label), *((self._place(a), role) for a, role in given))


def _shown(expression: sp.Expr) -> str:
    """An expression as short text: Greek letters for their names, a prime for a new value."""
    text = re.sub(r"cosine|sine", lambda found: found[0][:3], plain(expression)).replace("'", "\u2032")
    text = text.replace("sigmoid", "\u03c3").replace("*", " \u00b7 ")
    return re.sub(r"[a-z]+", lambda found: greek_unicode.get(found[0], found[0]), text)


def _at(state: State, time: str) -> str:
    base, _, rest = state.name.partition("_")
    return f"{base}_{rest + ',' if rest else ''}{time}"


def _fixed(expression: sp.Expr) -> bool:
    return all(isinstance(symbol, Parameter | Rate) for symbol in expression.free_symbols)


def _brief(expression: sp.Expr) -> bool:
    """Whether an expression of parameters and numbers is short enough to be part of a label."""
    return _fixed(expression) and len(_shown(expression)) <= SHORT


def _split(expression: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """A brief factor, where only one other factor remains, and the rest."""
    factors = sp.Mul.make_args(expression)
    fixed = sp.Mul(*(factor for factor in factors if _brief(factor)))
    rest = [factor for factor in factors if not _brief(factor)]
    if (len(rest) == 1 and _brief(fixed)) or fixed == -1:
        return fixed, sp.Mul(*rest)
    return sp.Integer(1), expression


def _signed(expression: sp.Expr) -> str:
    shown = _shown(expression)
    return f"\u2212 {shown[1:].strip()}" if shown.startswith("-") else f"+ {shown}"


def _power(exponent: sp.Expr) -> str:
    known = {sp.Rational(1, 2): "\u221a", sp.Integer(2): "( \u00b7 )\u00b2", sp.Integer(-1): "1 / \u00b7"}
    return known.get(exponent) or f"( \u00b7 )^{_shown(exponent)}"
