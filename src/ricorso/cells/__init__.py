"""The catalogue: every cell that can be asked for by name."""

from ricorso.cells.carry import CARRY
from ricorso.cells.elman import ELMAN_RELU, ELMAN_SIGMOID, ELMAN_TANH, elman
from ricorso.cells.gru import GRU
from ricorso.cells.lstm import LSTM
from ricorso.equations import Cell
from ricorso.errors import UsageError, did_you_mean

CATALOGUE = {cell.name: cell for cell in (ELMAN_TANH, ELMAN_RELU, ELMAN_SIGMOID, LSTM, GRU, CARRY)}
ALIASES = {"rnn": "elman_tanh", "elman": "elman_tanh"}

__all__ = [
    "ALIASES",
    "CARRY",
    "CATALOGUE",
    "ELMAN_RELU",
    "ELMAN_SIGMOID",
    "ELMAN_TANH",
    "GRU",
    "LSTM",
    "elman",
    "get_cell",
]


def get_cell(name: str | Cell) -> Cell:
    """The cell of that name (a Cell is returned as it is).

    Raises UsageError for an unknown name.

    >>> get_cell("rnn").name
    'elman_tanh'
    """
    if isinstance(name, Cell):
        return name
    key = name.lower()
    key = ALIASES.get(key, key)
    if key not in CATALOGUE:
        hint = did_you_mean(name, [*CATALOGUE, *ALIASES])
        raise UsageError(f"There is no cell '{name}'.{hint} Known cells: {', '.join(CATALOGUE)}.")
    return CATALOGUE[key]
