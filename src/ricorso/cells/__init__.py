"""The catalogue: every cell that can be asked for by name."""

from ricorso.cells.carry import CARRY
from ricorso.cells.cfc import CFC
from ricorso.cells.elman import ELMAN_RELU, ELMAN_SIGMOID, ELMAN_TANH, elman
from ricorso.cells.fastgrnn import FASTGRNN
from ricorso.cells.gru import GRU
from ricorso.cells.gru_layer_norm import GRU_LAYER_NORM
from ricorso.cells.gru_reset_before import GRU_RESET_BEFORE
from ricorso.cells.indrnn import INDRNN
from ricorso.cells.janet import JANET
from ricorso.cells.lem import LEM
from ricorso.cells.ligru import LIGRU
from ricorso.cells.lru import LRU
from ricorso.cells.lstm import LSTM
from ricorso.cells.lstm_coupled import LSTM_COUPLED
from ricorso.cells.lstm_layer_norm import LSTM_LAYER_NORM
from ricorso.cells.lstm_peephole import LSTM_PEEPHOLE
from ricorso.cells.mgu import MGU
from ricorso.cells.mingru import MINGRU
from ricorso.cells.minlstm import MINLSTM
from ricorso.cells.qrnn import QRNN
from ricorso.cells.rglru import RGLRU
from ricorso.cells.slstm import SLSTM
from ricorso.cells.sru import SRU, SRU_PEEPHOLE
from ricorso.cells.ugrnn import UGRNN
from ricorso.equations import Cell
from ricorso.errors import UsageError, did_you_mean

FAMILIES = {
    "plain": (ELMAN_TANH, ELMAN_RELU, ELMAN_SIGMOID),
    "LSTM family": (LSTM, LSTM_PEEPHOLE, LSTM_COUPLED, LSTM_LAYER_NORM, JANET, CARRY, SLSTM),
    "GRU family": (GRU, GRU_RESET_BEFORE, GRU_LAYER_NORM, MGU, LIGRU, UGRNN, FASTGRNN),
    "continuous time": (LEM, CFC),
    "elementwise": (INDRNN, SRU, SRU_PEEPHOLE, QRNN, MINGRU, MINLSTM, RGLRU, LRU),
}
CATALOGUE = {cell.name: cell for family in FAMILIES.values() for cell in family}
ALIASES = {"rnn": "elman_tanh", "elman": "elman_tanh"}

__all__ = ["ALIASES", "CATALOGUE", "FAMILIES", "GRU", "LSTM", "elman", "get_cell"]


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
