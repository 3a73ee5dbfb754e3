"""The search itself: trials one after another or side by side, until there are enough."""

import contextlib
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ricorso import bundle
from ricorso.errors import RicorsoError, RunError, TrainingError
from ricorso.training.interrupt import TrainingInterrupted, listening
from ricorso.tuning import result
from ricorso.tuning.folds import Part
from ricorso.tuning.importance import importance
from ricorso.tuning.listener import SearchListener
from ricorso.tuning.question import Question
from ricorso.tuning.report import write_report
from ricorso.tuning.result import TrialRow, TuneResult, ranked
from ricorso.tuning.rules import rules_of
from ricorso.tuning.study import INTERRUPTED, Proposals, load_optuna, open_study, quiet_optuna
from ricorso.tuning.trial import Job, Reporter, TrialPruned, train
from ricorso.tuning.worker import Worker, WorkerStopped

if TYPE_CHECKING:
    import optuna

TRIALS = "trials"
FOLDS = "folds"

# so many failures and no success: the rest would fail too
_MOST_FAILURES = 5
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}

Train = Callable[[Job, Reporter], list[float]]


class SearchInterrupted(TrainingError):
    """A search was stopped from outside; `folder` is where it goes on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"The search was stopped. Continue with: ricorso tune --resume {folder}")
        self.folder = folder


class Search:
    """One search in its folder."""

    def __init__(self, folder: Path, question: Question, listener: SearchListener) -> None:
        self.folder, self.question, self.listener = folder, question, listener
        self.rules = rules_of(question.task)
        self.space = question.to_space()
        self.proposals = Proposals(self.space, question.sampler, question.seed)
        self.target = min(question.trials, self.proposals.most or question.trials)
        self.lock = threading.RLock()

    def run(self, workers: int) -> TuneResult:
        """Do the trials that are missing. The report is written in any case."""
        try:
            with bundle.locked(self.folder), listening() as self.stop, quiet_optuna():
                self.question.write(self.folder)
                self.study = open_study(self.folder, self.question.pruner)
                self._tidy()
                self.parts = self._parts()
                self.listener.on_start(self._info(workers))
                try:
                    self._work(workers)
                except (KeyboardInterrupt, TrainingInterrupted, WorkerStopped):
                    self.stop.made = True
                return self._finish()
        except OSError as error:
            raise RunError(f"'{self.folder}' could not be written: {error.strerror}.") from error

    def _parts(self) -> list[Part]:
        question, data = self.question, Path(self.question.data["path"])
        if question.folds > 1:
            return self.rules.folds(data, question.settings, question.folds, self.folder / FOLDS)
        return [Part(data, None if question.validation is None else Path(question.validation["path"]))]

    def _info(self, workers: int) -> dict[str, Any]:
        rows = self.rows()
        return {
            "folder": self.folder,
            "trials": self.target,
            "done": len(rows),
            "workers": workers,
            "threads": self.question.threads,
            "space": {name: str(values) for name, values in self.space.items()},
            "best": next(iter(ranked(rows)), None),
            "warnings": self.rules.warnings(self.space),
        }

    # --- trials

    def _work(self, workers: int) -> None:
        if workers == 1:
            self._try_until_done(train)
            return
        with contextlib.ExitStack() as stack:
            team = [stack.enter_context(Worker()) for _ in range(workers)]
            with ThreadPoolExecutor(workers) as pool:
                tasks = [pool.submit(self._try_until_done, worker.train) for worker in team]
                try:
                    while wait(tasks, timeout=0.1).not_done and not self.stop.made:
                        self._raise_first(tasks)
                finally:
                    for worker in team:
                        worker.stop()
            self._raise_first(tasks)

    @staticmethod
    def _raise_first(tasks: list[Any]) -> None:
        for task in tasks:
            if task.done() and task.exception() is not None:
                raise task.exception()

    def _try_until_done(self, training: Train) -> None:
        while (trial := self._next()) is not None:
            self._try(trial, training)

    def _next(self) -> "optuna.trial.Trial | None":
        with self.lock:
            rows = self.rows()
            if len(rows) >= _MOST_FAILURES and all(row.state == "failed" for row in rows):
                return None
            waiting = load_optuna().trial.TrialState.WAITING
            begun = sum(trial.state != waiting for trial in self.study.get_trials(deepcopy=False))
            return None if self.stop.made or begun >= self.target else self.proposals.ask(self.study)

    def _try(self, trial: "optuna.trial.Trial", training: Train) -> None:
        states = load_optuna().trial.TrialState
        question, used = self.question, self.proposals.used(trial.params)
        folder = self._run_folder(trial.number)
        job = Job(
            task=question.task,
            settings={"threads": question.threads, **self.rules.quiet, **question.settings, **used},
            parts=tuple(part.told() for part in self.parts),
            folder=str(folder) if question.keep else None,
        )
        with self.lock:
            self.listener.on_trial(trial.number, used)
        losses: list[float] = []
        state, note = states.COMPLETE, ""
        try:
            losses = training(job, _Live(trial, self.lock, self.listener))
        except TrialPruned:
            state = states.PRUNED
        except TrainingInterrupted:
            raise
        except (RicorsoError, MemoryError) as error:
            state, note = states.FAIL, str(error) or "The memory ran out."
        with self.lock:
            trial.set_user_attr("losses", losses)
            trial.set_user_attr("note", note)
            self.study.tell(trial, sum(losses) / len(losses) if losses else None, state)
            rows = self.rows()
            self._tidy(rows)
            self.listener.on_trial_end(
                next(row for row in rows if row.number == trial.number), next(iter(ranked(rows)), None)
            )

    # --- what has been found

    def rows(self) -> list[TrialRow]:
        """Every trial that has ended, in order."""
        return [self._row(t) for t in self.study.get_trials(deepcopy=False) if t.state.is_finished()]

    def _row(self, trial: Any) -> TrialRow:
        state = _STATES[trial.state.name]
        losses = tuple(trial.user_attrs.get("losses", ()))
        folder = self._run_folder(trial.number)
        return TrialRow(
            number=trial.number,
            state=state,
            loss=trial.value if state == "complete" else None,
            spread=result.spread(losses),
            losses=losses,
            settings=self.proposals.used(trial.params),
            measured=dict(trial.intermediate_values),
            seconds=round(trial.duration.total_seconds(), 3) if trial.duration else 0.0,
            folder=folder if folder.is_dir() else None,
            note=trial.user_attrs.get("note", ""),
            interrupted=trial.user_attrs.get(INTERRUPTED, 0),
        )

    def _run_folder(self, number: int) -> Path:
        return self.folder / TRIALS / f"{number:04d}"

    def _tidy(self, rows: list[TrialRow] | None = None) -> None:
        """Remove the run folders of all but the best trials and those under way."""
        rows = self.rows() if rows is None else rows
        wanted = {row.number for row in ranked(rows)[: self.question.keep]}
        running = load_optuna().trial.TrialState.RUNNING
        wanted |= {trial.number for trial in self.study.get_trials(deepcopy=False) if trial.state == running}
        names = {self._run_folder(number).name for number in wanted}
        for path in (self.folder / TRIALS).glob("*"):
            # a folder that is being written has an ending
            if path.stem not in names:
                shutil.rmtree(path, ignore_errors=True)

    def _finish(self) -> TuneResult:
        question, rows = self.question, self.rows()
        ranking = ranked(rows)
        settled = [row for row in rows if row.state != "failed"]
        command = ""
        if ranking:
            settings = {**question.settings, **ranking[0].settings}
            data = _near(question.data["path"])
            validation = None if question.validation is None else _near(question.validation["path"])
            command = result.command(
                question.task, data, validation, settings, f"runs/{self.folder.resolve().name}-best"
            )
        found = TuneResult(
            folder=self.folder,
            trials=rows,
            ranking=ranking,
            settings=question.settings,
            importance=importance([row.settings for row in settled], [row.loss for row in settled]),
            edge=result.at_the_edge(ranking[0], self.space) if ranking else [],
            command=command,
            report=self.folder / bundle.REPORT,
            warnings=self.rules.warnings(self.space),
        )
        if ranking:
            write_report(found, question, self.space)
        if self.stop.made and len(rows) < self.target:
            raise SearchInterrupted(self.folder)
        if not ranking:
            raise TrainingError(_why_nothing(rows))
        return found


class _Live(Reporter):
    """A trial under way, as its training reports to it."""

    def __init__(self, trial: "optuna.trial.Trial", lock: Any, listener: SearchListener) -> None:
        self._trial, self._lock, self._listener = trial, lock, listener

    def progress(self, share: float) -> None:
        with self._lock:
            self._listener.on_progress(self._trial.number, share)

    def report(self, step: int, loss: float) -> bool:
        with self._lock:
            self._trial.report(loss, step)
            return bool(self._trial.should_prune())


def _why_nothing(rows: list[TrialRow]) -> str:
    failed = [row for row in rows if row.state == "failed"]
    if not failed:
        return "No trial came to its end: all were pruned. Use --pruner none."
    reason = failed[-1].note
    return f"No trial came to its end: {len(failed)} failed, the last with: {reason}"


def _near(path: str) -> str:
    """A path from here where it lies below, else in full."""
    with contextlib.suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path
