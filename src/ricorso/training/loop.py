"""The training loop: one for every task, over whatever can turn a batch into a loss."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ricorso.errors import RunError, TrainingError, UsageError
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
from ricorso.training.guard import Diverged, Guard, not_finite
from ricorso.training.guard import Step as GuardedStep
from ricorso.training.interrupt import StopRequest, TrainingInterrupted
from ricorso.training.listener import Listener
from ricorso.training.log import Log
from ricorso.training.optimiser import (
    add_l2,
    clip,
    clip_values,
    gradient_norm,
    gradients,
    optimiser,
    set_learning_rate,
)
from ricorso.training.phases import Phases
from ricorso.training.ranks import ALONE, RankLost, Ranks, set_seed, step_seed
from ricorso.training.schedule import Budget, Schedule
from ricorso.training.settings import TrainingSettings

Measured = TypeVar("Measured")


class Work(Protocol):
    """What a task brings to the loop.

    batches_per_epoch: of the whole training data. symbols_per_batch: what speed is counted in, over all processes.
    examples: side by side in a batch, along the second dimension of the state that is carried from batch to batch.
    """

    batches_per_epoch: int
    symbols_per_batch: int
    examples: int

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def batch(self, epoch: int, number: int, part: slice) -> Any:
        """Some of the examples of a batch: a pure function of its place."""

    def place(self, epoch: int, number: int) -> str:
        """Where in the data a batch is from, in words."""

    def loss(self, batch: Any, state: State) -> tuple[Tensor, State]:
        """The mean loss of a batch and the state after it; the state before is None at the start of an epoch."""

    def validate(self) -> dict[str, float]:
        """Measure the model as it stands; holds at least `validation_loss`."""

    def sample(self) -> str:
        """Something the model writes as it stands, for the reader."""


@dataclass(frozen=True)
class Plan:
    """How to train."""

    settings: TrainingSettings
    budget: Budget
    validations: int
    samples: int = 0


@dataclass
class Training:
    """One training: `run` takes it to the end of its budget, `restore` puts it where a checkpoint was written.

    folder: the run folder for metrics and checkpoints; None keeps everything in memory. ranks: the processes that train
    together; all but the first leave the folder, the listener and the measuring to that one.
    Raises UsageError when there are more processes than examples in a batch.
    """

    work: Work
    plan: Plan
    stop: StopRequest
    listener: Listener = field(default_factory=Listener)
    folder: Path | None = None
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        settings = self.plan.settings
        self.model = self.work.model
        self.cursor = Cursor()
        self.log = Log(self.folder / "metrics.jsonl" if self.folder and self.ranks.first else None)
        self.best: dict[str, Tensor] | None = None
        self._optimiser = optimiser(self.model, settings.optimiser, settings.weight_decay, settings.momentum)
        self._schedule = Schedule(settings.schedule, settings.learning_rate, settings.warmup)
        evenly = settings.average_after is not None
        self._average = WeightAverage(self.model, 0.0 if evenly else settings.average, evenly)
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._guard = Guard(self.cursor, settings.clip, settings.learning_rate)
        if self.work.examples < self.ranks.count:
            raise UsageError(
                f"A batch of {self.work.examples} cannot be shared by {self.ranks.count} processes: some would have "
                f"nothing to do. Use a batch_size of {self.ranks.count} or more, or fewer processes."
            )
        self._part = self.ranks.share(self.work.examples)
        self._state: State = None
        self._saved_step: int | None = None
        self._asked_to_stop = False
        self.phases = Phases()

    def run(self) -> None:
        """Train to the end of the budget; the model then has the best averaged weights.

        Raises TrainingInterrupted after writing a checkpoint when a stop is asked for, TrainingError when training
        diverges, a checkpoint cannot be written or another process is lost; the model has the best weights so far in
        each case.
        """
        self._clock = time.perf_counter() - self.cursor.seconds
        self._last_save = self.cursor.seconds
        self._pace: float | None = None
        self.model.train()
        try:
            while not self._done():
                if self._asked_to_stop or (self.ranks.count == 1 and self.stop.made):
                    self._interrupt()
                self._step()
                self._look_around()
            self.cursor.finished = True
            self._checkpoint("last")
            self.ranks.leave()
        except Diverged as error:
            self._record("diverged", {"step": self.cursor.step, "reason": str(error)})
            raise
        except RankLost as lost:
            raise RankLost(f"{lost} {self._way_back()}") from lost
        finally:
            self._take_best()

    def _done(self) -> bool:
        patience = self.plan.settings.patience
        return self._progress() >= 1 or (patience is not None and self.cursor.since_best >= patience)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to where a checkpoint was written. Raises RunError when it belongs to another model."""
        shapes = {name: p.shape for name, p in self.model.named_parameters()}
        if {name: t.shape for name, t in snapshot.weights.items()} != shapes:
            raise RunError(f"The checkpoint in '{self.folder}' does not fit its config.json; the run is damaged.")
        self.cursor = snapshot.cursor
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(snapshot.weights[name])
        self._average.restore(snapshot.average, self.cursor.averaged_from)
        restore_optimiser(self._optimiser, self.model, snapshot.optimiser)
        self._state = _each(snapshot.state, lambda part: part[:, self._part].contiguous())
        self._guard = Guard(self.cursor, self.plan.settings.clip, self.plan.settings.learning_rate)
        self._saved_step = self.cursor.step
        if self.folder and self.cursor.best_step is not None:
            self.best = best_average(self.folder / "checkpoints", self.cursor.best_step)
            if self.best is None:
                self.cursor.best_step = self.cursor.best_loss = None
        self.log.go_back(self.cursor.step)

    # --- one step

    def _step(self) -> None:
        began = time.perf_counter()
        cursor, settings = self.cursor, self.plan.settings
        rate = self._schedule.rate(self._progress(), cursor.lowered)
        set_learning_rate(self._optimiser, rate)
        loss, places = self._gradients()
        self.phases.done("rest")
        norm = float(gradient_norm(self._parameters))
        cursor.step += 1
        clipped = 0 < settings.clip < norm
        if self._guard.passes(GuardedStep(loss, norm, clipped)):
            add_l2(self._parameters, settings.l2)
            clip(self._parameters, norm, settings.clip)
            clip_values(self._parameters, settings.clip_value)
            self._optimiser.step()
            self._average.update(cursor.step)
            self.phases.done("update")
            cursor.loss_sum += loss
            cursor.loss_count += 1
            cursor.clipped += clipped
        else:
            self._state = None
            self._tell_skipped(loss, norm, places)
        now = time.perf_counter()
        self._pace = now - began if self._pace is None else 0.9 * self._pace + 0.1 * (now - began)
        self._tell(loss, norm, rate)

    def _gradients(self) -> tuple[float, list[str]]:
        """Run the batches of one step forward and backward: their mean loss, and where they are from."""
        settings, work, ranks = self.plan.settings, self.work, self.ranks
        weight = (self._part.stop - self._part.start) / work.examples / settings.accumulate
        losses: list[Tensor] = []
        places: list[tuple[int, int]] = []
        for _ in range(settings.accumulate):
            epoch, number = self.cursor.epoch, self.cursor.batch
            set_seed(step_seed(settings.seed, epoch, number, ranks.number))
            self.phases.done("rest")
            batch = work.batch(epoch, number, self._part)
            self.phases.done("data")
            with self._precision():
                loss, state = work.loss(batch, self._state)
            self.phases.done("forward")
            scaled = loss if weight == 1 else loss * weight
            if not losses:
                # only now, so that the new gradients take the memory of the old ones
                for parameter in self._parameters:
                    parameter.grad = None
            scaled.backward()
            self.phases.done("backward")
            losses.append(scaled.detach())
            places.append((epoch, number))
            # in the type of the weights, as checkpoints keep it
            self._state = _each(state, lambda part: part.detach().to(self._parameters[0].dtype))
            self._advance()
        # what all processes have to agree on: the loss, the time, and whether somebody has asked to stop
        seconds = time.perf_counter() - self._clock if ranks.first else 0.0
        agreed = torch.tensor([float(torch.stack(losses).sum()), seconds, float(self.stop.made)], dtype=torch.float64)
        total, self.cursor.seconds, stops = ranks.sum(agreed).tolist()
        ranks.add_gradients(gradients(self._parameters))
        self._asked_to_stop = stops > 0
        return total, [work.place(*place) for place in places] if not math.isfinite(total) else []

    def _precision(self) -> Any:
        if self.plan.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self._parameters[0].device.type, torch.bfloat16)

    def _advance(self) -> None:
        self.cursor.batch += 1
        if self.cursor.batch == self.work.batches_per_epoch:
            self.cursor.epoch += 1
            self.cursor.batch = 0
            self._state = None

    def _tell_skipped(self, loss: float, norm: float, places: list[str]) -> None:
        figures = {
            "step": self.cursor.step,
            "epoch": self.cursor.epoch,
            "loss": str(loss),
            "gradient_norm": str(norm),
            "parameters": not_finite(self.model.named_parameters()),
            "batches": places,
            "skipped": self.cursor.skipped,
        }
        self._record("skipped", figures)
        self.listener.on_skipped(figures)

    def _tell(self, loss: float, norm: float, rate: float) -> None:
        cursor = self.cursor
        symbols = self.work.symbols_per_batch * self.plan.settings.accumulate
        figures = {
            "step": cursor.step,
            "epoch": cursor.epoch,
            "seconds": round(cursor.seconds, 3),
            "progress": self._progress(),
            "loss": loss,
            "learning_rate": rate,
            "gradient_norm": norm,
            "clip_rate": cursor.clipped / cursor.loss_count if cursor.loss_count else 0.0,
            "symbols_per_second": symbols / max(self._pace or 0.0, 1e-9),
            "skipped": cursor.skipped,
        }
        self.listener.on_step(figures)
        if cursor.step % self.plan.settings.log_every == 0:
            figures["loss"] = cursor.loss_sum / cursor.loss_count if cursor.loss_count else math.nan
            cursor.loss_sum, cursor.loss_count, cursor.clipped = 0.0, 0, 0
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
            if self.ranks.first:
                self._sample()
        if improved:
            self._checkpoint("best")
        if self._checkpoint_is_due():
            self._checkpoint("last")

    def _checkpoint_is_due(self) -> bool:
        settings, cursor = self.plan.settings, self.cursor
        if settings.checkpoint_steps and cursor.step % settings.checkpoint_steps == 0:
            return True
        return cursor.seconds - self._last_save >= settings.checkpoint_minutes * 60

    def _validate(self) -> bool:
        cursor = self.cursor
        figures: dict[str, float] = {"validation_loss": math.nan}
        if self.ranks.first:
            with self._average.applied():
                figures = self._measured(self.work.validate)
        loss = self.ranks.from_first([figures["validation_loss"]])[0]
        improved = math.isfinite(loss) and (cursor.best_loss is None or loss < cursor.best_loss)
        if improved:
            cursor.best_loss, cursor.best_step = loss, cursor.step
            self.best = self._average.weights()
        self._count(improved)
        line = {
            "step": cursor.step,
            "seconds": round(time.perf_counter() - self._clock, 3),
            **figures,
            "best": improved,
        }
        self._record("validation", line)
        self.listener.on_validation(line)
        return improved

    def _count(self, improved: bool) -> None:
        """What follows from a validation for the schedule and the average."""
        cursor, settings = self.cursor, self.plan.settings
        cursor.since_best = 0 if improved else cursor.since_best + 1
        cursor.since_lowered = 0 if improved else cursor.since_lowered + 1
        if settings.schedule == "plateau" and cursor.since_lowered >= settings.plateau_patience:
            cursor.lowered *= settings.plateau_factor
            cursor.since_lowered = 0
        if cursor.averaged_from is None and settings.average_after and cursor.since_best >= settings.average_after:
            cursor.averaged_from = cursor.step
            self._average.begin(cursor.step)

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
        self._checkpoint("last")
        self.ranks.leave()
        if self.folder is None:
            raise TrainingInterrupted(
                f"Training was stopped after {step} steps. The weights so far are kept, but it cannot go on: "
                f"name a run folder (out=...) to be able to resume.",
                None,
            )
        raise TrainingInterrupted(
            f"Training was stopped after {step} steps. Continue with: {self._command()}", self.folder, self._command()
        )

    # --- keeping

    def _progress(self) -> float:
        return self.plan.budget.progress(self.cursor.step, self.cursor.seconds)

    def _checkpoint(self, kind: str) -> None:
        if self.folder is None:
            return
        state = _each(self._state, lambda part: self.ranks.whole(part, self.work.examples))
        self._last_save = self.cursor.seconds
        if not self.ranks.first:
            self._saved_step = self.cursor.step
            return
        weights = {name: p.detach() for name, p in self.model.named_parameters()}
        self._check_finite(weights)
        optimiser_memory = optimiser_tensors(self._optimiser, self.model)
        snapshot = Snapshot(self.cursor, weights, self._average.weights(), optimiser_memory, state)
        try:
            path = write_checkpoint(self.folder / "checkpoints", kind, snapshot)
        except OSError as error:
            raise self._disk_trouble("checkpoint", error) from error
        self._saved_step = self.cursor.step
        self.listener.on_checkpoint(path)

    def _check_finite(self, weights: dict[str, Tensor]) -> None:
        """Raise TrainingError rather than replace a checkpoint that can be used by one that cannot."""
        wrong = [name for name, weight in weights.items() if not bool(weight.isfinite().all())]
        if wrong:
            raise Diverged(
                f"Training has diverged: {wrong[0]} is not finite after step {self.cursor.step}. {self._way_back()} "
                f"Or start anew with a learning_rate three times smaller."
            )

    def _record(self, kind: str, figures: dict[str, Any]) -> None:
        try:
            self.log.add(kind, figures)
        except OSError as error:
            raise self._disk_trouble("record", error) from error

    def _disk_trouble(self, what: str, error: OSError) -> TrainingError:
        return TrainingError(
            f"The {what} of step {self.cursor.step} could not be written to '{self.folder}' ({error.strerror}). "
            f"{self._way_back('make room, then: ')}"
        )

    def _way_back(self, first: str = "go on from there with: ") -> str:
        if self.folder is None or self._saved_step is None:
            return "There is no earlier checkpoint; start again."
        return f"The checkpoint of step {self._saved_step} is whole: {first}{self._command()}"

    def _command(self) -> str:
        resume = f"ricorso resume {quote(str(self.folder))}"
        # each standalone torchrun meets at a port of its own; the usual one may be taken
        torchrun = f"torchrun --standalone --nproc-per-node {self.ranks.count} -m"
        return resume if self.ranks.count == 1 else f"{torchrun} {resume}"

    @torch.no_grad()
    def _take_best(self) -> None:
        weights = self._average.weights() if self.best is None else self.best
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])
        self.model.eval()


def _each(state: State, change: Callable[[Tensor], Tensor]) -> State:
    if state is None or isinstance(state, Tensor):
        return None if state is None else change(state)
    return tuple(change(part) for part in state)
