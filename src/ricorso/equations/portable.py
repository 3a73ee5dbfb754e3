"""Equations as JSON and back, over the closed vocabulary. Nothing is ever evaluated as code."""

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import BY_FUNCTION, BY_NAME, Gate, State
from ricorso.errors import CellError

FORMAT = 1
MOST_NODES = 10_000


def to_json(cell: Cell) -> dict[str, Any]:
    """The cell as plain data.

    >>> from ricorso.cells import get_cell
    >>> to_json(get_cell("elman_tanh"))["update"]
    [['h', ['tanh', 'p']]]
    """
    return {
        "format": FORMAT,
        "name": cell.name,
        "title": cell.title,
        "paper": cell.paper,
        "gates": [gate.name for gate in cell.gates],
        "states": [state.name for state in cell.states],
        "update": [[state.name, _write(expression)] for state, expression in cell.update.items()],
        "bias_start": {gate.name: value for gate, value in cell.bias_start.items()},
    }


def from_json(data: Mapping[str, Any]) -> Cell:
    """The cell that `to_json` wrote. Raises CellError for anything else."""
    try:
        if data["format"] != FORMAT:
            raise CellError(f"The cell is stored in format {data['format']!r}; this version reads format {FORMAT}.")
        cell_gates = tuple(Gate(_text(name), real=True) for name in data["gates"])
        cell_states = tuple(State(_text(name), real=True) for name in data["states"])
        symbols: dict[str, sp.Symbol] = {}
        for gate in cell_gates:
            symbols |= {symbol.name: symbol for symbol in (gate, gate.x, gate.u)}
        for state in cell_states:
            symbols |= {symbol.name: symbol for symbol in (state, state.new)}
        budget = [MOST_NODES]
        update = {symbols[_text(name)]: _read(node, symbols, budget) for name, node in data["update"]}
        return Cell(
            _text(data["name"]),
            title=_text(data["title"]),
            paper=_text(data["paper"]),
            gates=cell_gates,
            states=cell_states,
            update=update,
            bias_start={symbols[name]: float(value) for name, value in data["bias_start"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CellError(f"The stored cell is not in the expected form ({type(error).__name__}: {error}).") from error


def _write(expression: sp.Basic) -> Any:
    if expression.is_Symbol:
        return expression.name
    if expression.is_Integer:
        return int(expression)
    if expression.is_Rational:
        return ["rational", int(expression.p), int(expression.q)]
    if expression.is_number:
        return float(expression)
    names = {sp.Add: "add", sp.Mul: "multiply", sp.Pow: "power"}
    name = names.get(type(expression)) or BY_FUNCTION[type(expression)].name
    return [name, *(_write(argument) for argument in expression.args)]


def _read(node: Any, symbols: Mapping[str, sp.Symbol], budget: list[int]) -> sp.Expr:
    budget[0] -= 1
    if budget[0] < 0:
        raise CellError(f"The stored cell has more than {MOST_NODES} nodes.")
    if isinstance(node, str):
        if node not in symbols:
            raise CellError(f"The stored cell uses '{node}', which is none of its gates and states.")
        return symbols[node]
    if isinstance(node, bool) or not isinstance(node, int | float | list) or node == []:
        raise CellError(f"The stored cell holds {node!r}, which is neither a number, a name nor an operation.")
    if isinstance(node, int | float):
        return sp.sympify(node)
    name, *arguments = node
    if name == "rational":
        return sp.Rational(int(arguments[0]), int(arguments[1]))
    values = [_read(argument, symbols, budget) for argument in arguments]
    if name == "add":
        return sp.Add(*values)
    if name == "multiply":
        return sp.Mul(*values)
    if name == "power":
        base, exponent = values
        return base**exponent
    if name not in BY_NAME:
        raise CellError(f"The stored cell uses the operation '{name}', which is outside the vocabulary.")
    if len(values) != BY_NAME[name].arity:
        raise CellError(f"The stored cell gives '{name}' {len(values)} arguments instead of {BY_NAME[name].arity}.")
    return BY_NAME[name].function(*values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise CellError(f"The stored cell holds {value!r} where a name was expected.")
    return value
