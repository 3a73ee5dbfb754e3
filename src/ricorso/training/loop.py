"""The training loop: one for every task, over whatever can turn a batch into a loss."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ricorso.errors import RunError, TrainingError
from ricorso.training.average import WeightAverage
from ricorso.training.checkpoint import (
    Cursor,
    Snapshot,
    State,
    best_average,
    optimiser_tensors,
    restore_optimiser,
    write_checkpoint,
)
from ricorso.training.guard import Guard
from ricorso.training.interrupt import StopRequest, TrainingInterrupted
from ricorso.training.listener import Listener
from ricorso.training.log import Log
from ricorso.training.optimiser import adamw, clip, gradient_norm, set_learning_rate
from ricorso.training.schedule import Budget, learning_rate

Measured = TypeVar("Measured")


class Work(Protocol):
    """What a task brings to the loop."""

    steps_per_epoch: int
    symbols_per_step: int

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def batch(self, epoch: int, step: int) -> Any:
        """The batch of one step: a pure function of its place."""

    def loss(self, batch: Any, state: State) -> tuple[Tensor, State]:
        """The mean loss of a batch and the state after it; the state before is None at the start of an epoch."""

    def validate(self) -> dict[str, float]:
        """Measure the model as it stands; holds at least `validation_loss`."""

    def sample(self) -> str:
        """Something the model writes as it stands, for the reader."""


@dataclass(frozen=True)
class Plan:
    """How to train."""

    budget: Budget
    learning_rate: float
    weight_decay: float
    clip: float
    warmup: float
    average: float
    validations: int
    samples: int
    log_every: int
    checkpoint_seconds: float


@dataclass
class Training:
    """One training: `run` takes it to the end of its budget, `restore` puts it where a checkpoint was written.

    folder: the run folder for metrics and checkpoints; None keeps everything in memory.
    """

    work: Work
    plan: Plan
    stop: StopRequest
    listener: Listener = field(default_factory=Listener)
    folder: Path | None = None

    def __post_init__(self) -> None:
        self.model = self.work.model
        self.cursor = Cursor()
        self.log = Log(self.folder / "metrics.jsonl" if self.folder else None)
        self.best: dict[str, Tensor] | None = None
        self._optimiser = adamw(self.model, self.plan.weight_decay)
        self._average = WeightAverage(self.model, self.plan.average)
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._guard = Guard()
        self._state: State = None
        self._saved_step: int | None = None

    def run(self) -> None:
        """Train to the end of the budget; the model then has the best averaged weights.

        Raises TrainingInterrupted after writing a checkpoint when a stop is asked for, TrainingError when training
        diverges or a checkpoint cannot be written; the model has the best weights so far in either case.
        """
        self._clock = time.perf_counter() - self.cursor.seconds
        self._last_save = time.perf_counter()
        self._pace: float | None = None
        self.model.train()
        try:
            while self._progress() < 1:
                if self.stop.made:
                    self._interrupt()
                self._step()
                self._look_around()
            self.cursor.finished = True
            self._checkpoint("last")
        finally:
            self._take_best()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to where a checkpoint was written. Raises RunError when it belongs to another model."""
        shapes = {name: p.shape for name, p in self.model.named_parameters()}
        if {name: t.shape for name, t in snapshot.weights.items()} != shapes:
            raise RunError(f"The checkpoint in '{self.folder}' does not fit its config.json; the run is damaged.")
        self.cursor = snapshot.cursor
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(snapshot.weights[name])
        self._average.restore(snapshot.average)
        restore_optimiser(self._optimiser, self.model, snapshot.optimiser)
        self._state = snapshot.state
        self._guard = Guard(self.cursor.skipped, self.cursor.skipped_in_a_row)
        self._saved_step = self.cursor.step
        torch.set_rng_state(snapshot.random)
        if self.folder and self.cursor.best_step is not None:
            self.best = best_average(self.folder / "checkpoints", self.cursor.best_step)
            if self.best is None:
                self.cursor.best_step = self.cursor.best_loss = None
        self.log.go_back(self.cursor.step)

    # --- one step

    def _step(self) -> None:
        began = time.perf_counter()
        cursor = self.cursor
        rate = learning_rate(self._progress(), self.plan.learning_rate, self.plan.warmup)
        set_learning_rate(self._optimiser, rate)
        loss, state = self.work.loss(self.work.batch(cursor.epoch, cursor.step_in_epoch), self._state)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        loss_value, norm = torch.stack([loss.detach(), gradient_norm(self._parameters)]).tolist()
        cursor.step += 1
        if self._guard.passes(loss_value, norm):
            clip(self._parameters, norm, self.plan.clip)
            self._optimiser.step()
            self._average.update(cursor.step)
            self._state = _detached(state)
            cursor.loss_sum += loss_value
            cursor.loss_count += 1
        else:
            self._state = None
        cursor.skipped, cursor.skipped_in_a_row = self._guard.skipped, self._guard.in_a_row
        self._advance()
        now = time.perf_counter()
        self._pace = now - began if self._pace is None else 0.9 * self._pace + 0.1 * (now - began)
        cursor.seconds = now - self._clock
        self._tell(loss_value, norm, rate)

    def _advance(self) -> None:
        self.cursor.step_in_epoch += 1
        if self.cursor.step_in_epoch == self.work.steps_per_epoch:
            self.cursor.epoch += 1
            self.cursor.step_in_epoch = 0
            self._state = None

    def _tell(self, loss: float, norm: float, rate: float) -> None:
        cursor = self.cursor
        figures = {
            "step": cursor.step,
            "epoch": cursor.epoch,
            "seconds": round(cursor.seconds, 3),
            "progress": self._progress(),
            "loss": loss,
            "learning_rate": rate,
            "gradient_norm": norm,
            "symbols_per_second": self.work.symbols_per_step / max(self._pace or 0.0, 1e-9),
            "skipped": cursor.skipped,
        }
        self.listener.on_step(figures)
        if cursor.step % self.plan.log_every == 0:
            figures["loss"] = cursor.loss_sum / cursor.loss_count if cursor.loss_count else math.nan
            cursor.loss_sum, cursor.loss_count = 0.0, 0
            self._record("step", figures)

    # --- between steps

    def _look_around(self) -> None:
        progress = self._progress() + 1e-9  # three tenths of ten are three
        improved = False
        if int(progress * self.plan.validations) > self.cursor.validations:
            self.cursor.validations = int(progress * self.plan.validations)
            improved = self._validate()
        if int(progress * self.plan.samples) > self.cursor.samples:
            self.cursor.samples = int(progress * self.plan.samples)
            self._sample()
        self.cursor.seconds = time.perf_counter() - self._clock
        if improved:
            self._checkpoint("best")
        if time.perf_counter() - self._last_save >= self.plan.checkpoint_seconds:
            self._checkpoint("last")

    def _validate(self) -> bool:
        cursor = self.cursor
        with self._average.applied():
            figures = self._measured(self.work.validate)
        loss = figures["validation_loss"]
        improved = math.isfinite(loss) and (cursor.best_loss is None or loss < cursor.best_loss)
        if improved:
            cursor.best_loss, cursor.best_step = loss, cursor.step
            self.best = self._average.weights()
        line = {
            "step": cursor.step,
            "seconds": round(time.perf_counter() - self._clock, 3),
            **figures,
            "best": improved,
        }
        self._record("validation", line)
        self.listener.on_validation(line)
        return improved

    def _sample(self) -> None:
        with self._average.applied():
            text = self._measured(self.work.sample)
        self._record("sample", {"step": self.cursor.step, "text": text})
        self.listener.on_sample(text)

    def _measured(self, measure: Callable[[], Measured]) -> Measured:
        self.model.eval()
        try:
            return measure()
        finally:
            self.model.train()

    def _interrupt(self) -> None:
        step = self.cursor.step
        if self.folder is None:
            raise TrainingInterrupted(
                f"Training was stopped after {step} steps. The weights so far are kept, but it cannot go on: "
                f"name a run folder (out=...) to be able to resume.",
                None,
            )
        self._checkpoint("last")
        raise TrainingInterrupted(
            f"Training was stopped after {step} steps. Continue with: ricorso resume {self.folder}", self.folder
        )

    # --- keeping

    def _progress(self) -> float:
        return self.plan.budget.progress(self.cursor.step, self.cursor.seconds)

    def _checkpoint(self, kind: str) -> None:
        if self.folder is None:
            return
        snapshot = Snapshot(
            self.cursor,
            {name: p.detach() for name, p in self.model.named_parameters()},
            self._average.weights(),
            optimiser_tensors(self._optimiser, self.model),
            self._state,
            torch.get_rng_state(),
        )
        try:
            path = write_checkpoint(self.folder / "checkpoints", kind, snapshot)
        except OSError as error:
            raise self._disk_trouble("checkpoint", error) from error
        self._saved_step = self.cursor.step
        self._last_save = time.perf_counter()
        self.listener.on_checkpoint(path)

    def _record(self, kind: str, figures: dict[str, Any]) -> None:
        try:
            self.log.add(kind, figures)
        except OSError as error:
            raise self._disk_trouble("record", error) from error

    def _disk_trouble(self, what: str, error: OSError) -> TrainingError:
        kept = (
            f"The checkpoint of step {self._saved_step} is whole: make room, then: ricorso resume {self.folder}"
            if self._saved_step is not None
            else "There is no earlier checkpoint; make room and start again."
        )
        return TrainingError(
            f"The {what} of step {self.cursor.step} could not be written to '{self.folder}' ({error.strerror}). {kept}"
        )

    @torch.no_grad()
    def _take_best(self) -> None:
        weights = self._average.weights() if self.best is None else self.best
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])
        self.model.eval()


def _detached(state: State) -> State:
    if state is None or isinstance(state, Tensor):
        return None if state is None else state.detach()
    return tuple(part.detach() for part in state)
