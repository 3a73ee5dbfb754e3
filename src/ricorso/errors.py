"""Everything Ricorso raises on purpose.

RicorsoError            any of the below; `exit_status` is what the command line ends with
├── UsageError          an option, argument or setting is wrong (exit status 2)
├── DataError           a file or text of the user's is not what was needed
├── CellError           the equations of a cell do not hold together
├── ShapeError          a tensor has the wrong shape, type or device (also a ValueError)
├── RunError            a run folder is damaged, tampered with, too new or not a run
└── TrainingError       training cannot go on
"""

from collections.abc import Iterable
from difflib import get_close_matches


class RicorsoError(Exception):
    """A problem with a message made for the user: what was wanted, what came, what to do."""

    exit_status = 1


class UsageError(RicorsoError):
    """An option, argument or setting has a value that cannot be used."""

    exit_status = 2


class DataError(RicorsoError):
    """A file or text does not hold what was needed."""


class CellError(RicorsoError):
    """The equations of a cell do not hold together."""


class ShapeError(RicorsoError, ValueError):
    """A tensor has the wrong shape, element type or device."""


class RunError(RicorsoError):
    """A run folder is damaged, tampered with, written by a newer version, or not a run."""


class TrainingError(RicorsoError):
    """Training cannot go on."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the choice nearest to `word`, or "" when none is near.

    >>> did_you_mean("hiden_size", ["hidden_size", "cell"])
    " Did you mean 'hidden_size'?"
    """
    known = {choice.lower(): choice for choice in choices}
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" Did you mean '{known[near[0]]}'?" if near else ""
