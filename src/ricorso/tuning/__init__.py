"""Finding good settings: trials of short trainings, the hopeless ones stopped early, the rest ranked."""

from ricorso.tuning.listener import SearchListener
from ricorso.tuning.result import TrialRow, TuneResult
from ricorso.tuning.search import SearchInterrupted
from ricorso.tuning.space import Choice, Range
from ricorso.tuning.start import continue_search, tune

__all__ = [
    "Choice",
    "Range",
    "SearchInterrupted",
    "SearchListener",
    "TrialRow",
    "TuneResult",
    "continue_search",
    "tune",
]
