"""What a search has to know of each task: its settings, what is usually worth searching, how its data is cut."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ricorso.data.text import read_text
from ricorso.errors import UsageError, did_you_mean
from ricorso.tuning import example_folds, sequence_folds
from ricorso.tuning.folds import Part, check_series, rolling_origins, text_blocks


@dataclass(frozen=True)
class Rules:
    """A task as a search sees it.

    config: where its config is, as `module:Class`. space: what is searched unless the user says otherwise, as in
    `--vary`. quiet: settings that a trial has unless they are given; they change nothing in what is learnt.
    check: takes data, validation data and settings, raises when they cannot be used, and returns those of the usual
    space that mean nothing for the data. folds: cuts the data. validation: what `fit` calls validation data, None where
    the task holds out some itself. apart: settings whose values do not compare, each with why. beware: those that
    compare roughly. loss: what is compared, in words, where the task does not leave that to a setting.
    """

    config: str
    space: Mapping[str, str]
    check: Callable[[Path, Path | None, Mapping[str, Any]], Collection[str]]
    folds: Callable[[Path, Mapping[str, Any], int, Path], list[Part]]
    quiet: Mapping[str, Any] = field(default_factory=dict)
    validation: str | None = "valid"
    apart: Mapping[str, str] = field(default_factory=dict)
    beware: Mapping[str, str] = field(default_factory=dict)
    loss: str = ""

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


def _check_texts(data: Path, validation: Path | None, settings: Mapping[str, Any]) -> Collection[str]:
    for path in (data, validation):
        if path is not None:
            read_text(path, settings.get("encoding", "utf-8"))
    return ()


def _check_series(data: Path, validation: Path | None, settings: Mapping[str, Any]) -> Collection[str]:
    check_series(data, settings)
    return ()


_HELD_OUT = "it decides what is held out for validation"
# the cells with another activation are cells of their own
_CELLS = "gru,lstm,carry,mgu,elman_tanh,elman_relu"
_SEED = {
    "seed": "seed also draws what is held out, so losses of different seeds do not compare, unless there is validation "
    "data of its own or there are folds."
}

RULES = {
    "generate": Rules(
        config="ricorso.tasks.generate.config:GenerateConfig",
        space={
            "hidden_size": "128..1024:64",
            "num_layers": "1..3",
            "cell": _CELLS,
            "learning_rate": "0.0005..0.02:log",
            "dropout": "0..0.6",
        },
        check=_check_texts,
        folds=text_blocks,
        quiet={"samples": 0},
        validation="validation",
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
            "cell": _CELLS,
            "learning_rate": "0.0005..0.02:log",
            "dropout": "0..0.5",
            "linear": "true,false",
        },
        check=_check_series,
        folds=rolling_origins,
        validation=None,
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
    "classify": Rules(
        config="ricorso.tasks.classify.config:ClassifyConfig",
        space={
            "hidden_size": "64..256:64",
            "num_layers": "1..2",
            "cell": _CELLS,
            "learning_rate": "0.0005..0.01:log",
            "dropout": "0..0.7",
            "input_dropout": "0..0.6",
            "word_dropout": "0..0.3",
        },
        check=example_folds.check_examples,
        folds=example_folds.stratified,
        apart={
            **dict.fromkeys((*example_folds.ROLES, *example_folds.READING), "it decides which examples are read"),
            "validation_fraction": _HELD_OUT,
        },
        beware={
            "class_weights": "The loss counts every example alike, which class_weights=balanced does not aim at; "
            "compare the winners with ricorso evaluate, by the macro F1.",
            **_SEED,
        },
        loss="that of the calibrated probabilities, in nats an example",
    ),
    "tag": Rules(
        config="ricorso.tasks.tag.config:TagConfig",
        space={
            "hidden_size": "64..256:64",
            "num_layers": "1..2",
            "cell": _CELLS,
            "learning_rate": "0.002..0.03:log",
            "dropout": "0.2..0.7",
            "word_dropout": "0..0.2",
            "character_hidden": "24..72:24",
        },
        check=sequence_folds.check_sequences,
        folds=sequence_folds.whole_sequences,
        apart={
            **dict.fromkeys(sequence_folds.ROLES, "it decides which sequences are read"),
            **dict.fromkeys(("scheme", "invalid"), "it decides what counts as right"),
            "validation_fraction": _HELD_OUT,
        },
        beware=_SEED,
        loss="what is missing to an F1 of 1, or the share of wrong tags where tags mark no spans",
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
