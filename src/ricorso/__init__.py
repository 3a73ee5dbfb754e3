"""Ricorso: recurrent sequence models, from the equation to the deployed stream.

    import ricorso
    generator = ricorso.Generator(minutes=3).fit("corpus.txt", out="runs/corpus")
    print(generator.generate("Once upon a time"))
    generator = ricorso.load("runs/corpus")

The names are imported when they are first used, so that `import ricorso` itself is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ricorso.cells import CATALOGUE, get_cell
    from ricorso.check import check_cell
    from ricorso.equations import Cell
    from ricorso.errors import RicorsoError
    from ricorso.exchange import accelerate
    from ricorso.layers import GRU, LSTM, RNN, Recurrent
    from ricorso.layers.step import GRUCell, LSTMCell, RecurrentCell, RNNCell
    from ricorso.tasks import load, resume
    from ricorso.tasks.classify.task import Classifier
    from ricorso.tasks.forecast.task import Forecaster
    from ricorso.tasks.generate.task import Generator
    from ricorso.tasks.tag.task import Tagger

_HOME = {
    "CATALOGUE": "ricorso.cells",
    "GRU": "ricorso.layers",
    "GRUCell": "ricorso.layers.step",
    "LSTM": "ricorso.layers",
    "LSTMCell": "ricorso.layers.step",
    "RNN": "ricorso.layers",
    "RNNCell": "ricorso.layers.step",
    "Cell": "ricorso.equations",
    "Classifier": "ricorso.tasks.classify.task",
    "Forecaster": "ricorso.tasks.forecast.task",
    "Generator": "ricorso.tasks.generate.task",
    "Recurrent": "ricorso.layers",
    "RecurrentCell": "ricorso.layers.step",
    "RicorsoError": "ricorso.errors",
    "Tagger": "ricorso.tasks.tag.task",
    "accelerate": "ricorso.exchange",
    "check_cell": "ricorso.check",
    "get_cell": "ricorso.cells",
    "load": "ricorso.tasks",
    "resume": "ricorso.tasks",
}

__all__ = [
    "CATALOGUE",
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "Classifier",
    "Forecaster",
    "GRUCell",
    "Generator",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "RecurrentCell",
    "RicorsoError",
    "Tagger",
    "accelerate",
    "check_cell",
    "get_cell",
    "load",
    "resume",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ricorso' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
