"""One trial: a training for each fold, in this process."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from ricorso.errors import TrainingError
from ricorso.tasks import TASKS
from ricorso.training.listener import Listener
from ricorso.tuning.rules import rules_of

_SECONDS_BETWEEN_REPORTS = 0.2


class TrialPruned(TrainingError):
    """A trial was stopped because it was hopeless."""


class Reporter(Protocol):
    """Who hears of a trial."""

    def progress(self, share: float) -> None:
        """The trial has used so much of its budget."""

    def report(self, step: int, loss: float) -> bool:
        """The trial was measured for the step-th time; returns whether it is hopeless."""


@dataclass(frozen=True)
class Job:
    """What one trial has to do.

    parts: training data of each fold, its validation data, and settings to read it with. folder: where its runs are
    kept; None keeps nothing.
    """

    task: str
    settings: Mapping[str, Any]
    parts: tuple[tuple[str, str | None, Mapping[str, Any]], ...]
    folder: str | None


def train(job: Job, reporter: Reporter) -> list[float]:
    """Train on every fold and return the best validation loss of each.

    Raises TrialPruned when the reporter finds it hopeless, and what the task's `fit` raises.
    """
    module, _, name = TASKS[job.task].partition(":")
    kind = getattr(import_module(module), name)
    losses: list[float] = []
    measured = 0
    for fold, (data, validation, reading) in enumerate(job.parts):
        folder = None if job.folder is None else Path(job.folder)
        if folder and len(job.parts) > 1:
            folder = folder / f"fold-{fold + 1}"
        listener = _Pruning(reporter, losses, len(job.parts), measured)
        model = kind(**{**job.settings, **reading})
        held_out = {} if validation is None else {str(rules_of(job.task).validation): Path(validation)}
        model.fit(Path(data), **held_out, out=folder, listener=listener)
        measured, loss = listener.measured, model.best_["validation_loss"]
        if loss is None:
            raise TrainingError("No validation loss was measured, so there is nothing to compare by.")
        losses.append(float(loss))
    return losses


class _Pruning(Listener):
    """Reports the mean of the folds so far, and ends the training when that is hopeless."""

    def __init__(self, reporter: Reporter, losses: list[float], folds: int, measured: int) -> None:
        self._reporter, self._losses, self._folds = reporter, list(losses), folds
        self.measured = measured
        self._share = self._next = 0.0

    def on_step(self, figures: Mapping[str, Any]) -> None:
        """Report progress now and then."""
        self._share = (len(self._losses) + figures["progress"]) / self._folds
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS_BETWEEN_REPORTS
            self._reporter.progress(self._share)

    def on_validation(self, figures: Mapping[str, Any]) -> None:
        """Report the loss; raises TrialPruned."""
        self.measured += 1
        so_far = [*self._losses, float(figures["validation_loss"])]
        hopeless = self._reporter.report(self.measured, sum(so_far) / len(so_far))
        # at the end there is nothing left to save
        if hopeless and self._share < 1:
            raise TrialPruned("The trial was stopped: others were better at this point.")
