"""What a cell amounts to: how many numbers it trains, where they start, how its state feeds back."""

from dataclasses import dataclass

import sympy as sp

from ricorso.equations.cell import Cell
from ricorso.equations.linear import linear
from ricorso.equations.render import plain
from ricorso.equations.symbols import Draw, Gate, Scalar

Reads = set[tuple[sp.Symbol, bool]]


@dataclass(frozen=True)
class Count:
    """How many numbers one layer trains: matrices, biases, values of each unit, values that units share."""

    weights: int
    biases: int
    per_unit: int
    shared: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.biases + self.per_unit + self.shared


def count(cell: Cell, input_size: int, hidden_size: int, heads: int | None = None) -> Count:
    """The trained numbers of one layer in one direction.

    >>> from ricorso.cells import get_cell
    >>> count(get_cell("lstm"), 32, 64).total
    25088
    """
    rows, products = len(cell.input_gates) * hidden_size, len(cell.product_gates) * hidden_size
    shared = sum(isinstance(parameter, Scalar) for parameter in cell.parameters)
    return Count(
        rows * input_size + products * hidden_size // (heads or cell.heads),
        rows + products,
        (len(cell.parameters) - shared) * hidden_size,
        shared,
    )


def count_in_words(cell: Cell) -> str:
    """The formula behind `count`, for I inputs and H units.

    >>> from ricorso.cells import get_cell
    >>> count_in_words(get_cell("indrnn"))
    'weights H I, biases H, per unit H'
    """
    ours, theirs = len(cell.input_gates), len(cell.product_gates)
    shared = sum(isinstance(parameter, Scalar) for parameter in cell.parameters)
    blocks = f" / {cell.heads} heads" if cell.heads > 1 else ""
    weights = [_times(ours, "H I")] * bool(ours) + [_times(theirs, f"H\u00b2{blocks}")] * bool(theirs)
    parts = [f"weights {' + '.join(weights)}", f"biases {_times(ours + theirs, 'H')}"]
    if len(cell.parameters) > shared:
        parts.append(f"per unit {_times(len(cell.parameters) - shared, 'H')}")
    return ", ".join([*parts, f"shared {shared}"] if shared else parts)


def _times(factor: int, what: str) -> str:
    return what if factor == 1 else f"{factor} {what}"


def recurrence(cell: Cell) -> str:
    """How the state comes back to itself: "dense" or "block-diagonal" through recurrent matrices, "elementwise", or
    "linear", which is elementwise with new states linear in the old ones.

    A matrix that only reads the state out, as in the linear recurrent unit, does not count.

    >>> from ricorso.cells import get_cell
    >>> [recurrence(get_cell(name)) for name in ("gru", "slstm", "lru")]
    ['dense', 'block-diagonal', 'linear']
    """
    known: dict[sp.Expr, Reads] = {}
    reads = {state: _reads(cell, cell.update[state], known) for state in cell.states}
    reached = {state: {old for old, _ in reads[state]} for state in cell.states}
    for _ in cell.states:
        for state in cell.states:
            reached[state] = reached[state].union(*(reached[old] for old in reached[state]))
    if any(product and state in reached[old] | {old} for state in cell.states for old, product in reads[state]):
        return "block-diagonal" if cell.heads > 1 else "dense"
    return "linear" if linear(cell) else "elementwise"


def _reads(cell: Cell, expression: sp.Expr, known: dict[sp.Expr, Reads]) -> Reads:
    """The old states that an expression depends on, each with whether a recurrent matrix lies between."""
    if expression in known:
        return known[expression]
    new = {state.new: state for state in cell.states}
    owner: dict[sp.Symbol, Gate] = {part: gate for gate in cell.gates for part in (gate, gate.u)}
    found: Reads = set()
    for symbol in expression.free_symbols:
        if symbol in cell.states:
            found.add((symbol, False))
        elif symbol in new:
            found |= _reads(cell, cell.update[new[symbol]], known)
        elif symbol in owner and owner[symbol].has_product:
            found |= {(state, True) for state, _ in _reads(cell, cell.vector(owner[symbol]), known)}
    known[expression] = found
    return found


def starting(cell: Cell, long: bool = False) -> list[str]:
    """Where trained values start, one line each; long: when the user says how long dependencies are.

    >>> from ricorso.cells import get_cell
    >>> starting(get_cell("lstm"))
    ['recurrent matrices: orthogonal', 'bias of f = 1']
    """
    values = cell.long_start if long else cell.start
    lines = [] if long or not cell.product_gates else [f"recurrent matrices: {cell.recurrent_start}"]
    alike: dict[str, list[str]] = {}
    for symbol, expression in values.items():
        name = f"bias of {symbol}" if isinstance(symbol, Gate) else str(symbol)
        alike.setdefault(plain(expression), []).append(name)
    lines += [f"{', '.join(names)} = {value}" for value, names in alike.items()]
    drawn = sorted({str(s) for expression in values.values() for s in expression.free_symbols if isinstance(s, Draw)})
    if drawn:
        lines.append(f"{', '.join(drawn)}: uniform in (0, 1), drawn for each unit")
    return lines
