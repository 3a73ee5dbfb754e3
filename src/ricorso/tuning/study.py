"""The record of a search on disk, an Optuna study in a journal of JSON lines, and what proposes and prunes."""

import itertools
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ricorso.bundle import write_file
from ricorso.errors import RunError, UsageError
from ricorso.tuning.space import Choice, Range, Space, Value

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.journal"
SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "hyperband", "none")

# how often a trial was cut off and begun again
INTERRUPTED = "interrupted"

_STUDY = "tune"
_LARGEST_GRID = 100_000


def load_optuna() -> Any:
    """Optuna as a module. Raises UsageError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise UsageError("Searching needs Optuna, which is not installed: pip install 'ricorso[tune]'") from error
    return optuna


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Within the block Optuna logs nothing but warnings."""
    logging = load_optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def open_study(folder: Path, pruner: str) -> "optuna.Study":
    """The study in a folder, which this process holds alone; a new one where there is none.

    Trials that were cut off wait to be done again, under their old numbers. Raises RunError for a damaged journal.
    """
    path = folder / JOURNAL
    try:
        if path.exists():
            _mend(path)
        study: optuna.Study = load_optuna().create_study(
            storage=_storage(path), study_name=_STUDY, pruner=_pruner(pruner), direction="minimize", load_if_exists=True
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"'{path}' is not the journal of a search, or is damaged ({error}).") from error
    return study


def _storage(path: Path) -> Any:
    optuna = load_optuna()
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def _mend(path: Path) -> None:
    """Undo what a killed search has left: its lock, half a line, trials that nobody works on."""
    for leftover in path.parent.glob(f"{path.name}.*"):
        leftover.unlink()
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_file(path, whole)
    if not whole:
        return
    optuna = load_optuna()
    running = optuna.trial.TrialState.RUNNING
    trials = optuna.load_study(study_name=_STUDY, storage=_storage(path)).get_trials()
    if not any(trial.state == running for trial in trials):
        return
    # Optuna would give a trial that is done again a new number; then the proposals after it would be other ones
    copy = path.with_name(f"{path.name}.mended")
    mended = optuna.create_study(storage=_storage(copy), study_name=_STUDY, direction="minimize")
    for trial in trials:
        mended.add_trial(_waiting(trial) if trial.state == running else trial)
    copy.replace(path)


def _waiting(trial: Any) -> Any:
    optuna = load_optuna()
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.WAITING,
        user_attrs={INTERRUPTED: trial.user_attrs.get(INTERRUPTED, 0) + 1},
        system_attrs={name: value for name, value in trial.system_attrs.items() if name == "fixed_params"},
    )


def _pruner(name: str) -> Any:
    pruners = load_optuna().pruners
    if name == "median":
        # five trials to compare with; the first measurement says little
        return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
    return pruners.HyperbandPruner() if name == "hyperband" else pruners.NopPruner()


class Proposals:
    """The values that each trial tries: a function of the seed, the trial's number and the trials that have ended."""

    def __init__(self, space: Space, sampler: str, seed: int) -> None:
        self._space, self._sampler, self._seed = space, sampler, seed
        self._distributions = {name: _distribution(values) for name, values in space.items()}
        self._grid = _grid(space, seed) if sampler == "grid" else None
        self.most = None if self._grid is None else len(self._grid)

    def ask(self, study: "optuna.Study") -> "optuna.trial.Trial":
        """The next trial: one that was cut off, or a new one."""
        optuna = load_optuna()
        trials = study.get_trials(deepcopy=False)
        waiting = [trial.number for trial in trials if trial.state == optuna.trial.TrialState.WAITING]
        number = waiting[0] if waiting else len(trials)
        # mixed, so that searches with neighbouring seeds do not try the same
        seed = int(np.random.SeedSequence((self._seed, number)).generate_state(1)[0])
        samplers = optuna.samplers
        study.sampler = samplers.TPESampler(seed=seed) if self._sampler == "tpe" else samplers.RandomSampler(seed=seed)
        if self._grid is not None and not waiting:
            study.enqueue_trial(self._grid[number])
        return study.ask(self._distributions)

    def used(self, proposed: Mapping[str, Any]) -> dict[str, Value]:
        """The values of a trial as they are trained with."""
        return {name: self._space[name].used(value) for name, value in proposed.items()}


def _distribution(values: Range | Choice) -> Any:
    distributions = load_optuna().distributions
    if isinstance(values, Choice):
        return distributions.CategoricalDistribution(values.values)
    if values.whole:
        return distributions.IntDistribution(values.low, values.high, log=values.log, step=values.step or 1)
    return distributions.FloatDistribution(values.low, values.high, log=values.log, step=values.step)


def _grid(space: Space, seed: int) -> list[dict[str, Value]]:
    axes = {name: _axis(name, values) for name, values in space.items()}
    size = 1
    for axis in axes.values():
        size *= len(axis)
    if size > _LARGEST_GRID:
        raise UsageError(f"The grid has {size:,} points, which is too many; give fewer values or use --sampler tpe.")
    points = [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    random.Random(seed).shuffle(points)
    return points


def _axis(name: str, values: Range | Choice) -> list[Value]:
    if isinstance(values, Choice):
        return list(values.values)
    step = values.step or (1 if values.whole else None)
    if step is None or values.log:
        raise UsageError(f"A grid needs the values of '{name}', not the range {values}: write {name}=a,b,c or a step.")
    count = int((values.high - values.low) / step + 1e-9) + 1
    return [values.low + place * step for place in range(count)]
