"""What all tasks share: options as scikit-learn keeps them, and a training that lives in a run folder."""

import contextlib
import inspect
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import nn

from ricorso import bundle
from ricorso.cells import CATALOGUE
from ricorso.cells.file import resolve_cell
from ricorso.engine.team import threads
from ricorso.equations import Cell, portable
from ricorso.errors import CellError, RunError, TrainingError, UsageError
from ricorso.training.checkpoint import Snapshot, newest_checkpoint
from ricorso.training.interrupt import StopRequest, TrainingInterrupted, listening
from ricorso.training.listener import Listener
from ricorso.training.log import read_log, to_lines
from ricorso.training.loop import Plan, Training, Work
from ricorso.training.ranks import Ranks, of_environment
from ricorso.training.schedule import Budget
from ricorso.training.settings import TrainingSettings
from ricorso.training.tensorboard import tracked

Config = TypeVar("Config", bound=TrainingSettings)
Data = TypeVar("Data")
Model = TypeVar("Model", bound=nn.Module)


class Estimator(ABC, Generic[Config, Data, Model]):
    """A task: options that are only stored, and what a fit leaves, in attributes that end in `_`.

    `config_` (every setting), `model_`, `metrics_` (what was recorded while training), `best_` (step and validation
    loss), `data_` (fingerprints of the data), `run_` (the run folder, or None).
    """

    task: ClassVar[str]
    config_type: ClassVar[type[TrainingSettings]]
    needed: ClassVar[tuple[str, ...]] = (bundle.CONFIG, bundle.CELL)
    config_: Config
    model_: Model
    metrics_: list[dict[str, Any]]
    best_: dict[str, Any]
    data_: dict[str, Any]
    run_: Path | None

    def __init__(self, **options: Any) -> None:
        self.config_type.check_names(options)
        for name, field in self.config_type.model_fields.items():
            setattr(self, name, options.get(name, field.default))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not hasattr(cls, "config_type"):
            return
        # scikit-learn reads the options from here
        own = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        for name, field in cls.config_type.model_fields.items():
            kind = inspect.Parameter.KEYWORD_ONLY
            own.append(inspect.Parameter(name, kind, default=field.default, annotation=field.annotation))

        def __init__(self: Any, **options: Any) -> None:
            Estimator.__init__(self, **options)

        __init__.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[method-assign]

    # --- what a task brings

    @abstractmethod
    def _read(self, folder: Path) -> None:
        """Take from a run folder what the task keeps there besides config and cell. Raises RunError."""

    @abstractmethod
    def _files(self) -> dict[str, bytes]:
        """What the task keeps in a run folder besides config and cell."""

    @abstractmethod
    def _make(self, cell: Cell) -> Model:
        """A model for the config and what was learnt from the data."""

    @abstractmethod
    def _work(self, data: Data) -> Work:
        """The training as the loop sees it."""

    @abstractmethod
    def _facts(self, data: Data, work: Any) -> dict[str, Any]:
        """What is said of the data when training begins; `about` holds it in words."""

    @abstractmethod
    def _measures(self, data: Data) -> bool:
        """Whether there are data for validation."""

    def _begin(self, data: Data) -> None:
        """What is done to a new model before its training; nothing, for most tasks."""

    def _finish(self, data: Data) -> None:
        """What is left to do with the trained model before it is kept; nothing, for most tasks."""

    # --- settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every option with its value, as scikit-learn wants it."""
        return {name: getattr(self, name) for name in self.config_type.model_fields}

    def set_params(self, **options: Any) -> Self:
        """Change options. Raises UsageError for an unknown one."""
        self.config_type.check_names(options)
        for name, value in options.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        fields = self.config_type.model_fields
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value != fields[name].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise UsageError(
                f"This {type(self).__name__} has not learnt anything yet; call fit first, or ricorso.load a run."
            )

    # --- training

    def _fit(
        self, read: Callable[[Any], tuple[Data, Mapping[str, bytes]]], out: str | Path | None, listener: Listener | None
    ) -> Self:
        """Train from the start; `read` gives the data for a config, and what of them has to be kept in the run."""
        ranks = of_environment()
        folder = Path(out) if out is not None else None
        if folder and ranks.first:
            bundle.check_free(folder)
        cell = resolve_cell(self.get_params()["cell"])
        config: Any = self.config_type.of(self.get_params() | {"cell": cell.name}).resolved()
        with listening() as stop:
            self.config_, self.run_ = config, None
            data, copies = read(config)
            with self._reproducible():
                self._build(cell)
                if folder and ranks.first:
                    _create(folder, self._description() | dict(copies))
                with bundle.locked(folder) if folder and ranks.first else contextlib.nullcontext():
                    self._train(data, folder, stop, listener or Listener(), ranks)
        return self

    @classmethod
    def _resume(cls, folder: Path, read: Callable[[Self, dict[str, Any]], Data], listener: Listener | None) -> Self:
        """Go on with a training; `read` gives the data again, from what config.json says of them."""
        ranks = of_environment()
        bundle.verify(folder, cls.needed, others=False)
        checkpoints = folder / bundle.CHECKPOINTS
        with bundle.locked(folder) if ranks.first else contextlib.nullcontext(), listening() as stop:
            snapshot = newest_checkpoint(checkpoints)
            if (folder / bundle.MODEL).exists() and (snapshot is None or snapshot.cursor.finished):
                done = cls.load(folder)
                ranks.wait()
                return done
            ranks.wait()
            if ranks.first:
                bundle.remove_unfinished(folder)
                bundle.remove_unfinished(checkpoints)
            self, cell = cls._of_folder(folder)
            data = read(self, self.data_)
            with self._reproducible():
                self._build(cell)
                self._train(data, folder, stop, listener or Listener(), ranks, snapshot)
        return self

    def _build(self, cell: Cell) -> None:
        try:
            self.model_ = self._make(cell)
        except (MemoryError, RuntimeError) as error:
            raise UsageError(f"A model of this size cannot be made ({error}). Use a smaller hidden_size.") from error

    def _train(
        self,
        data: Data,
        folder: Path | None,
        stop: StopRequest,
        listener: Listener,
        ranks: Ranks,
        snapshot: Snapshot | None = None,
    ) -> None:
        if not ranks.first:
            listener = Listener()
        work = self._work(data)
        plan = self._plan(data, work)
        if snapshot is None:
            self._begin(data)
        training = Training(work, plan, stop, listener, folder, ranks)
        if snapshot:
            training.restore(snapshot)
        else:
            training.log.go_back(0)  # what was recorded before a kill that came before the first checkpoint
        self.run_, self.metrics_ = folder, training.log.lines
        info = {
            "task": self.task,
            "run": folder,
            "cell": self.get_params()["cell"],
            "parameters": sum(p.numel() for p in self.model_.parameters()),
            "batch_size": work.examples,
            "batches_per_epoch": work.batches_per_epoch,
            "steps": plan.budget.steps,
            "seconds": plan.budget.seconds,
            "threads": torch.get_num_threads(),
            **self._facts(data, work),
        }
        place = self.config_.tensorboard if ranks.first else None
        with tracked(listener, place, folder, training.cursor.step, self.config_.log_every) as training.listener:
            training.listener.on_start(info)
            try:
                training.run()
            except TrainingInterrupted:
                self._keep(training)
                raise
            self._finish(data)
            self._keep(training)
            training.listener.on_end({"run": folder, **self.best_})

    def _plan(self, data: Data, work: Work) -> Plan:
        config = self.config_
        steps = -(-config.epochs * work.batches_per_epoch // config.accumulate) if config.epochs else None
        budget = Budget(steps, config.minutes * 60 if config.minutes else None)
        return Plan(config, budget, config.validations if self._measures(data) else 0, getattr(config, "samples", 0))

    def _keep(self, training: Training) -> None:
        cursor = training.cursor
        self.best_ = {
            "steps": cursor.step,
            "epochs": cursor.epoch,
            "seconds": round(cursor.seconds, 3),
            "skipped": cursor.skipped,
            "best_step": cursor.best_step,
            "validation_loss": cursor.best_loss,
        }
        if not training.ranks.first:
            return
        try:
            training.log.add("end", {"step": cursor.step, **self.best_, "time": training.phases.shares()})
            if self.run_:
                bundle.write_file(self.run_ / bundle.MODEL, self._weights())
                bundle.seal(self.run_)
        except OSError as error:
            raise TrainingError(
                f"The model could not be written to '{self.run_}' ({error.strerror}); its weights are in the last "
                f"checkpoint. Make room, then: ricorso resume {self.run_}"
            ) from error

    @contextlib.contextmanager
    def _reproducible(self) -> Iterator[None]:
        """Within the block torch draws from the config's seed with its threads; afterwards everything is as before."""
        with torch.random.fork_rng(devices=[]), threads(self.config_.threads):
            torch.manual_seed(self.config_.seed)
            yield

    # --- keeping

    def save(self, folder: str | Path) -> Path:
        """Write the model as a run folder, which must be new or empty, and return its path.

        Raises UsageError when the folder is in use, RunError when the disk refuses.
        """
        self._check_fitted()
        files = self._description() | {bundle.MODEL: self._weights()}
        if self.metrics_:
            files[bundle.METRICS] = to_lines(self.metrics_)
        _create(Path(folder), files)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The model of a run folder, verified. Raises RunError when it is damaged, too new, or holds no model yet."""
        folder = Path(folder)
        names = bundle.verify(folder, cls.needed)
        if bundle.MODEL not in names:
            raise RunError(
                f"'{folder}' holds no model yet: its training was cut off. Go on with: ricorso resume {folder}"
            )
        self, cell = cls._of_folder(folder)
        try:
            with torch.device("meta"):
                self._build(cell)
        except UsageError as error:
            raise RunError(f"The settings of '{folder}' cannot be used: {error}") from error
        shapes = {name: tuple(t.shape) for name, t in self.model_.state_dict().items()}
        arrays = bundle.read_tensors(folder / bundle.MODEL, shapes)
        self.model_.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()}, assign=True)
        self.model_.eval()
        self.run_ = folder
        self.metrics_ = read_log(folder / bundle.METRICS) if bundle.METRICS in names else []
        ends = [line for line in self.metrics_ if line.get("kind") == "end"]
        other = ("kind", "step", "time")
        self.best_ = {name: value for name, value in ends[-1].items() if name not in other} if ends else {}
        return self

    @classmethod
    def _of_folder(cls, folder: Path) -> tuple[Self, Cell]:
        """Everything but the model. Raises RunError when the settings cannot be used."""
        facts = bundle.read_json(folder / bundle.CONFIG)
        try:
            config: Any = cls.config_type.of(facts["settings"]).resolved()
            cell = portable.from_json(bundle.read_json(folder / bundle.CELL))
            self = cls(**config.model_dump()).set_params(cell=_as_given(cell))
            self.config_, self.data_, self.run_ = config, facts["data"], None
            self._read(folder)
        except (KeyError, TypeError, UsageError, CellError) as error:
            raise RunError(f"The settings of '{folder}' cannot be used: {error}") from error
        return self, cell

    def _description(self) -> dict[str, bytes]:
        """The files of a run that say what it is."""
        facts = {
            "task": self.task,
            "settings": self.config_.model_dump(),
            "data": self.data_,
            "versions": {
                "ricorso": version("ricorso"),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
            },
        }
        cell: Cell = self.model_.recurrent.cell  # type: ignore[union-attr, assignment]
        return {
            bundle.CONFIG: bundle.to_json(facts),
            bundle.CELL: bundle.to_json(portable.to_json(cell)),
            **self._files(),
        }

    def _weights(self) -> bytes:
        return bundle.to_safetensors({name: t.numpy() for name, t in self.model_.state_dict().items()})


def _create(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a new run folder. Raises UsageError when it is in use, RunError when the disk refuses."""
    try:
        bundle.write_folder(folder, files)
    except OSError as error:
        raise RunError(f"'{folder}' could not be written: {error.strerror}.") from error


def _as_given(cell: Cell) -> Cell | str:
    """What to give as the option `cell` to have this one: its name, where the catalogue knows it."""
    known = CATALOGUE.get(cell.name)
    return cell.name if known and portable.to_json(known) == portable.to_json(cell) else cell
