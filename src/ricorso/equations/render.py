"""Equations as text and LaTeX, as they appear on the command line and in the documentation."""

from collections.abc import Sequence

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from ricorso.equations.cell import Cell
from ricorso.equations.derive import Assignment, adjoint, elementary
from ricorso.equations.symbols import BY_FUNCTION, Gate


class _Text(StrPrinter):
    def _print_Symbol(self, symbol: sp.Symbol) -> str:
        name = symbol.name
        return name.removesuffix("_new") + "'" if name.endswith("_new") else name

    _print_Gate = _print_State = _print_Symbol


class _Latex(LatexPrinter):
    """Symbols as in the documentation: c is the old state c_{t-1}, c.new is c_t, a gate is its pre-activation."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self._settings["mul_symbol_latex"] = r" \odot "
        self._names = {state.name: f"{state.name}_{{t-1}}" for state in cell.states}
        self._names |= {state.new.name: f"{state.name}_t" for state in cell.states}
        self._names |= {gate.name: f"p_{{{gate.name}}}" for gate in cell.gates}
        self._names |= {gate.x.name: f"x_{{{gate.name}}}" for gate in cell.gates}
        self._names |= {gate.u.name: f"u_{{{gate.name}}}" for gate in cell.gates}
        self._names |= {f"d_{state.name}_new": rf"\delta {state.name}_t" for state in cell.states}

    def _print_Symbol(self, symbol: sp.Symbol, style: str = "plain") -> str:
        return self._names.get(symbol.name) or super()._print_Symbol(symbol, style)

    _print_Gate = _print_State = _print_Symbol

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


def text(cell: Cell) -> str:
    """The equations in plain text, one line each; c' is the new value of c.

    >>> from ricorso.cells import get_cell
    >>> print(text(get_cell("elman_tanh")))
    p = W_p x + b_p + R_p h + d_p
    h' = tanh(p)
    """
    lines = []
    for gate in cell.gates:
        name = gate.name
        if gate in cell.split_gates:
            lines += [f"x_{name} = W_{name} x + b_{name}", f"u_{name} = R_{name} {cell.states[0]} + d_{name}"]
        else:
            lines.append(f"{name} = W_{name} x + b_{name} + R_{name} {cell.states[0]} + d_{name}")
    lines += [f"{state}' = {_Text().doprint(expression)}" for state, expression in cell.equations]
    return "\n".join(lines)


def latex(cell: Cell) -> str:
    """The equations as the body of an `aligned` environment."""
    printer = _Latex(cell)
    output = cell.states[0].name

    def product(gate: Gate) -> tuple[str, str]:
        name = gate.name
        return rf"W_{{{name}}} x_t + b_{{{name}}}", rf"R_{{{name}}} {output}_{{t-1}} + d_{{{name}}}"

    lines = []
    for gate in cell.gates:
        x, u = product(gate)
        if gate in cell.split_gates:
            lines += [f"x_{{{gate.name}}} &= {x}", f"u_{{{gate.name}}} &= {u}"]
        else:
            lines.append(f"p_{{{gate.name}}} &= {x} + {u}")
    lines += [f"{state.name}_t &= {printer.doprint(expression)}" for state, expression in cell.equations]
    return _aligned(lines)


def adjoint_latex(cell: Cell) -> str:
    """The derived backward step: gradients of gates and old states from those of the new states.

    v_k are the values of the forward step's functions, \u03b4 stands for a gradient.
    """
    derived, printer = adjoint(cell), _Latex(cell)
    forward = elementary(cell)
    totals = {a.symbol: a.symbol.name.removeprefix("d_").removesuffix("_total") for a in derived.assignments}
    inner = {assignment.symbol.name for assignment in forward}
    for symbol, name in totals.items():
        shown = printer._names.get(name) or (f"v_{{{name.removeprefix('v_')}}}" if name in inner else name)
        printer._names[symbol.name] = rf"\bar{{{shown}}}" if name in inner else rf"\delta {shown}"
        if name.endswith("_new"):
            printer._names[symbol.name] = rf"\bar{{{name.removesuffix('_new')}}}_t"
    shown_forward: Sequence[Assignment] = [a for a in forward if a.symbol.name.startswith("v_")]
    lines = [f"{printer.doprint(a.symbol)} &= {printer.doprint(a.expression)}" for a in shown_forward]
    lines += [f"{printer.doprint(a.symbol)} &= {printer.doprint(a.expression)}" for a in derived.assignments]
    for leaf, expression in zip(cell.leaves, derived.of_leaves, strict=True):
        lines.append(rf"\delta {printer.doprint(leaf)} &= {printer.doprint(expression)}")
    for state, expression in zip(cell.states, derived.of_states, strict=True):
        if expression != 0:
            lines.append(rf"\delta {printer.doprint(state)} &= {printer.doprint(expression)}")
    return _aligned(lines)


def _aligned(lines: Sequence[str]) -> str:
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"
