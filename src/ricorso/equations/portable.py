"""Equations as JSON and back, over the closed vocabulary. Nothing is ever evaluated as code."""

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from ricorso.equations.cell import Cell, is_finite
from ricorso.equations.symbols import (
    BY_FUNCTION,
    BY_NAME,
    HORIZON,
    Draw,
    Gate,
    Input,
    Noise,
    Parameter,
    Product,
    Rate,
    Scalar,
    Signal,
    State,
    StaticNoise,
)
from ricorso.errors import CellError

FORMAT = 2
MOST_NODES, DEEPEST = 10_000, 100
KINDS: dict[str, type[sp.Symbol]] = {
    "gate": Gate,
    "input": Input,
    "product": Product,
    "state": State,
    "parameter": Parameter,
    "scalar": Scalar,
    "signal": Signal,
    "noise": Noise,
    "static noise": StaticNoise,
    "rate": Rate,
    "draw": Draw,
}
_KEYS = {
    "format", "name", "title", "paper", "symbols", "heads", "product_of", "update", "start", "long_start",
    "recurrent_start", "defaults",
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}


def to_json(cell: Cell) -> dict[str, Any]:
    """The cell as plain data.

    >>> from ricorso.cells import get_cell
    >>> to_json(get_cell("elman_tanh"))["update"]
    [['h', ['tanh', 'p']]]
    """
    draws = {symbol for starts in (cell.start, cell.long_start) for e in starts.values() for symbol in e.free_symbols}
    declared: list[sp.Symbol] = [*cell.gates, *cell.states, *cell.parameters, *cell.signals, *cell.rates, *cell.noises]
    declared += sorted((symbol for symbol in draws if isinstance(symbol, Draw)), key=str)
    return {
        "format": FORMAT,
        "name": cell.name,
        "title": cell.title,
        "paper": cell.paper,
        "symbols": [[symbol.name, _NAMES[type(symbol)]] for symbol in declared],
        "heads": cell.heads,
        "product_of": _write_all(cell.product_of),
        "update": _write_all(cell.update),
        "start": _write_all(cell.start),
        "long_start": _write_all(cell.long_start),
        "recurrent_start": cell.recurrent_start,
        "defaults": {rate.name: float(value) for rate, value in cell.defaults.items()},
    }


def from_json(data: Mapping[str, Any]) -> Cell:
    """The cell that `to_json` wrote. Raises CellError for anything else."""
    try:
        if data["format"] != FORMAT:
            raise CellError(f"The cell is stored in format {data['format']!r}; this version reads format {FORMAT}.")
        if set(data) != _KEYS:
            odd = ", ".join(sorted(set(data) ^ _KEYS))
            raise CellError(f"The stored cell has other parts than it should: {odd}.")
        declared: list[sp.Symbol] = [KINDS[_text(kind)](_text(name), real=True) for name, kind in data["symbols"]]
        symbols: dict[str, sp.Symbol] = {HORIZON.name: HORIZON}
        for symbol in declared:
            own: tuple[sp.Symbol, ...] = (symbol,)
            if isinstance(symbol, Gate):
                own = (symbol, symbol.x, symbol.u)
            elif isinstance(symbol, State):
                own = (symbol, symbol.new)
            symbols |= {part.name: part for part in own}
        reader = _Reader(symbols)

        def of(kind: type[sp.Symbol]) -> tuple[sp.Symbol, ...]:
            return tuple(symbol for symbol in declared if isinstance(symbol, kind))

        return Cell(
            _text(data["name"]),
            title=_text(data["title"]),
            paper=_text(data["paper"]),
            gates=of(Gate),
            states=of(State),
            parameters=of(Parameter),
            signals=of(Signal),
            heads=data["heads"],
            product_of=reader.all(data["product_of"]),
            update=reader.all(data["update"]),
            start=reader.all(data["start"]),
            long_start=reader.all(data["long_start"]),
            recurrent_start=_text(data["recurrent_start"]),
            defaults={symbols[name]: value for name, value in data["defaults"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise CellError(f"The stored cell is not in the expected form ({type(error).__name__}: {error}).") from error


def _write_all(expressions: Mapping[sp.Symbol, sp.Expr]) -> list[Any]:
    return [[symbol.name, _write(expression)] for symbol, expression in expressions.items()]


def _write(expression: sp.Basic) -> Any:
    if expression.is_Symbol:
        return expression.name
    if expression.is_Integer:
        return int(expression)
    if expression.is_Rational:
        return ["rational", int(expression.p), int(expression.q)]
    if expression.is_Float or expression.is_NumberSymbol:
        return float(expression)
    names = {sp.Add: "add", sp.Mul: "multiply", sp.Pow: "power"}
    name = names.get(type(expression)) or BY_FUNCTION[type(expression)].name
    return [name, *(_write(argument) for argument in expression.args)]


class _Reader:
    """Rebuilds expressions from symbols that were declared, up to MOST_NODES nodes in all and DEEPEST levels each."""

    def __init__(self, symbols: Mapping[str, sp.Symbol]) -> None:
        self.symbols, self.left = symbols, MOST_NODES

    def all(self, pairs: Iterable[Any]) -> dict[sp.Symbol, sp.Expr]:
        return {self.symbols[_text(name)]: self.read(node) for name, node in pairs}

    def read(self, node: Any, depth: int = 0) -> sp.Expr:
        self.left -= 1
        if self.left < 0 or depth > DEEPEST:
            raise CellError(f"The stored cell has more than {MOST_NODES} nodes, or more than {DEEPEST} levels.")
        if isinstance(node, str):
            if node not in self.symbols:
                raise CellError(f"The stored cell uses '{node}', which it does not declare.")
            return self.symbols[node]
        if isinstance(node, bool) or not isinstance(node, int | float | list) or node == []:
            raise CellError(f"The stored cell holds {node!r}, which is neither a number, a name nor an operation.")
        if isinstance(node, int | float):
            return _moderate(sp.sympify(node))
        name, *arguments = node
        if name == "rational":
            if [type(argument) for argument in arguments] != [int, int]:
                raise CellError(f"The stored cell holds the quotient {node!r}; wanted two whole numbers.")
            return _moderate(sp.Rational(*arguments))
        return _moderate(self._call(name, [self.read(argument, depth + 1) for argument in arguments]))

    def _call(self, name: Any, values: list[sp.Expr]) -> sp.Expr:
        if name == "add":
            return sp.Add(*values)
        if name == "multiply":
            return sp.Mul(*values)
        if name == "power":
            if len(values) != 2:
                raise CellError(f"The stored cell gives 'power' {len(values)} arguments instead of 2.")
            base, exponent = values
            if not exponent.is_number or abs(exponent) > 1000:
                raise CellError(f"The stored cell raises to the power {exponent}; wanted a moderate number.")
            return base**exponent
        if not isinstance(name, str) or name not in BY_NAME:
            raise CellError(f"The stored cell uses the operation '{name}', which is outside the vocabulary.")
        if len(values) != BY_NAME[name].arity:
            raise CellError(f"The stored cell gives '{name}' {len(values)} arguments instead of {BY_NAME[name].arity}.")
        return BY_NAME[name].function(*values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise CellError(f"The stored cell holds {value!r} where a name was expected.")
    return value


def _moderate(value: sp.Expr) -> sp.Expr:
    """The value, unless it is a number too large to go on with."""
    if value.is_number and not is_finite(value):
        raise CellError("The stored cell holds a number that is not finite and real.")
    return value
