"""What a search tells while it runs."""

from collections.abc import Mapping
from typing import Any

from ricorso.tuning.result import TrialRow


class SearchListener:
    """Hears how a search goes; every method may be overridden, none has to be.

    With several workers the methods are called from several threads, one at a time.
    """

    def on_start(self, info: Mapping[str, Any]) -> None:
        """The search begins or goes on: folder, trials, done, workers, threads, space, best, warnings."""

    def on_trial(self, number: int, settings: Mapping[str, Any]) -> None:
        """A trial begins with these values of what is searched."""

    def on_progress(self, number: int, share: float) -> None:
        """A trial has used so much of its budget, 0 to 1."""

    def on_trial_end(self, row: TrialRow, best: TrialRow | None) -> None:
        """A trial has ended; best is the best one so far."""
