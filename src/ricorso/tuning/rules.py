"""What a search has to know of each task: its settings, what is usually worth searching, how its data is cut."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ricorso.data.text import read_text
from ricorso.errors import UsageError, did_you_mean
from ricorso.tuning.folds import Part, text_blocks


@dataclass(frozen=True)
class Rules:
    """A task as a search sees it.

    config: where its config is, as `module:Class`. space: what is searched unless the user says otherwise, as in
    `--vary`. quiet: settings that a trial has unless they are given; they change nothing in what is learnt.
    check: raises when the data cannot be read. folds: cuts the data.
    """

    config: str
    space: Mapping[str, str]
    check: Callable[[Path, Mapping[str, Any]], object]
    folds: Callable[[Path, Mapping[str, Any], int, Path], list[Part]]
    quiet: Mapping[str, Any] = field(default_factory=dict)

    def load_config(self) -> Any:
        """The class of the task's settings."""
        module, _, name = self.config.partition(":")
        return getattr(import_module(module), name)


def _check_text(data: Path, settings: Mapping[str, Any]) -> None:
    read_text(data, settings.get("encoding", "utf-8"))


RULES = {
    "generate": Rules(
        config="ricorso.tasks.generate.config:GenerateConfig",
        space={
            "hidden_size": "128..1024:64",
            "num_layers": "1..3",
            # the cells with another activation are cells of their own
            "cell": "gru,lstm,carry,mgu,elman_tanh,elman_relu",
            "learning_rate": "0.0005..0.02:log",
            "dropout": "0..0.6",
        },
        check=_check_text,
        folds=text_blocks,
        quiet={"samples": 0},
    ),
}


def rules_of(task: str) -> Rules:
    """The rules of a task. Raises UsageError for one that cannot be searched over.

    >>> rules_of("generate").space["num_layers"]
    '1..3'
    """
    if task not in RULES:
        raise UsageError(
            f"There is no task '{task}' to search over.{did_you_mean(task, RULES)} Known: {', '.join(RULES)}."
        )
    return RULES[task]
