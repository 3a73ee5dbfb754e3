"""What a search has found."""

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ricorso.tuning.importance import Importance
from ricorso.tuning.space import Range, Space

# of the range
_NEAR = 0.03
_FEW = 4


@dataclass(frozen=True)
class TrialRow:
    """One trial that has ended.

    state: complete, pruned or failed. loss: the best validation loss, the mean over the folds; None unless complete.
    spread: its standard deviation over the folds. settings: the values of what is searched. folder: its runs, where
    they were kept. note: why it failed. interrupted: how often it was cut off and begun again.
    """

    number: int
    state: str
    loss: float | None
    spread: float | None
    losses: tuple[float, ...]
    settings: Mapping[str, Any]
    measured: Mapping[int, float]
    seconds: float
    folder: Path | None
    note: str
    interrupted: int

    def to_json(self) -> dict[str, Any]:
        """The row as JSON takes it."""
        told = asdict(self) | {"folder": self.folder and str(self.folder), "losses": list(self.losses)}
        del told["measured"]
        return told


@dataclass(frozen=True)
class TuneResult:
    """A search that has come to its end.

    trials: every trial in order. ranking: the complete ones, best first. settings: what was the same in every trial.
    edge: those whose best value lies at the end of its range. command: trains the best on all data. report: the page.
    warnings: what to bear in mind when trials are compared.
    """

    folder: Path
    trials: list[TrialRow]
    ranking: list[TrialRow]
    settings: Mapping[str, Any]
    importance: Importance
    edge: list[str]
    command: str
    report: Path
    warnings: Sequence[str] = ()

    @property
    def best(self) -> TrialRow:
        """The trial with the lowest loss."""
        return self.ranking[0]

    @property
    def best_settings(self) -> dict[str, Any]:
        """Every setting of the best trial, as the task's class takes them."""
        return {**self.settings, **self.best.settings}


def ranked(rows: list[TrialRow]) -> list[TrialRow]:
    """The complete trials, lowest loss first; of equal ones the earlier first."""
    complete = [(row.loss, row.number, row) for row in rows if row.loss is not None]
    return [row for _, _, row in sorted(complete, key=lambda entry: entry[:2])]


def at_the_edge(best: TrialRow, space: Space) -> list[str]:
    """The settings whose best value lies at an end of its range, so that a better one may lie beyond; not at 0."""
    found = []
    for name, values in space.items():
        if isinstance(values, Range):
            low, high, value = values.low, values.high, best.settings[name]
            below = low != 0
            if values.log:
                low, high, value = math.log(low), math.log(high), math.log(value)
            near = min(value - low if below else math.inf, high - value) <= _NEAR * (high - low)
            if near and not (values.whole and values.high - values.low <= _FEW):
                found.append(name)
    return found


def spread(losses: tuple[float, ...]) -> float | None:
    """The standard deviation over the folds, None for a single one.

    >>> spread((1.0, 3.0)), spread((1.0,))
    (1.4142135623730951, None)
    """
    return statistics.stdev(losses) if len(losses) > 1 else None


def shown(value: Any) -> str:
    """A setting's value as people read it.

    >>> shown(0.00125), shown(None), shown("gru")
    ('0.00125', 'none', 'gru')
    """
    return "none" if value is None else str(value)


def command(task: str, data: str, validation: str | None, settings: Mapping[str, Any], out: str) -> str:
    """The command that trains with these settings.

    >>> command("generate", "my book.txt", None, {"hidden_size": 64, "dropout": 0.2}, "runs/best")
    "ricorso train generate 'my book.txt' --hidden-size 64 --dropout 0.2 --out runs/best"
    """
    words = ["ricorso", "train", task, data]
    if validation is not None:
        words += ["--valid", validation]
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            several = isinstance(value, list | tuple)
            words += [f"--{flag}", ",".join(map(str, value)) if several else str(value)]
    return shlex.join([*words, "--out", out])
