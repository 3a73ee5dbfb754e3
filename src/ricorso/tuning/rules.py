"""What a search has to know of each task: its settings, what is usually worth searching, how its data is cut."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ricorso.data.text import read_text
from ricorso.errors import UsageError, did_you_mean
from ricorso.tuning.folds import Part, check_series, rolling_origins, text_blocks


@dataclass(frozen=True)
class Rules:
    """A task as a search sees it.

    config: where its config is, as `module:Class`. space: what is searched unless the user says otherwise, as in
    `--vary`. quiet: settings that a trial has unless they are given; they change nothing in what is learnt.
    check: raises when the data cannot be read. folds: cuts the data. validation: whether the task takes validation data
    of its own. apart: settings whose values do not compare, each with why. beware: those that compare roughly.
    """

    config: str
    space: Mapping[str, str]
    check: Callable[[Path, Mapping[str, Any]], object]
    folds: Callable[[Path, Mapping[str, Any], int, Path], list[Part]]
    quiet: Mapping[str, Any] = field(default_factory=dict)
    validation: bool = True
    apart: Mapping[str, str] = field(default_factory=dict)
    beware: Mapping[str, str] = field(default_factory=dict)

    def load_config(self) -> Any:
        """The class of the task's settings."""
        module, _, name = self.config.partition(":")
        return getattr(import_module(module), name)

    def check_comparable(self, searched: Iterable[str]) -> None:
        """Raise UsageError for a setting that trials cannot be compared over."""
        for name in searched:
            if name in self.apart:
                raise UsageError(
                    f"'{name}' cannot be searched: {self.apart[name]}, so that the losses of trials would not compare. "
                    f"Fix it, or search once for each of its values and compare the winners on data kept aside."
                )

    def warnings(self, searched: Iterable[str]) -> list[str]:
        """What is to be borne in mind when these settings are searched."""
        return [self.beware[name] for name in searched if name in self.beware]


def _check_text(data: Path, settings: Mapping[str, Any]) -> None:
    read_text(data, settings.get("encoding", "utf-8"))


_HELD_OUT = "it decides what is held out for validation"

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
        apart={
            **dict.fromkeys(("level", "minimum_count"), "it decides what counts as a symbol"),
            "validation_fraction": _HELD_OUT,
            "encoding": "it decides which text is read",
        },
    ),
    "forecast": Rules(
        config="ricorso.tasks.forecast.config:ForecastConfig",
        space={
            "hidden_size": "32..128:32",
            "num_layers": "1..2",
            "cell": "gru,lstm,carry,mgu,elman_tanh,elman_relu",
            "learning_rate": "0.0005..0.02:log",
            "dropout": "0..0.5",
            "linear": "true,false",
        },
        check=check_series,
        folds=rolling_origins,
        validation=False,
        apart={
            **dict.fromkeys(("scaling", "difference", "log"), "the loss is measured on the scale that it makes"),
            **dict.fromkeys(("model", "loss", "quantiles"), "it decides what the loss is"),
            **dict.fromkeys(("horizon", "validation_fraction"), _HELD_OUT),
            **dict.fromkeys(
                ("time", "series", "targets", "known", "past", "static", "frequency", "sort", "duplicates"),
                "it decides which series are read",
            ),
        },
        beware={
            name: f"Each window is divided by the size of what it sees of the past, so losses of different {name} are "
            "not on quite the same scale; compare the winners with ricorso evaluate."
            for name in ("context", "lags")
        },
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
