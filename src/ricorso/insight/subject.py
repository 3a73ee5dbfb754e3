"""What the page of a run says of its task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any


@dataclass(frozen=True)
class Subject:
    """The words of one task. subtitle: what was trained on what, from config.json. loss: the title of the loss curve.

    made: the heading over what the model made. commands, code: how to use the run, from the command line and from
    Python. nats: whether the loss is a mean of nats, so that it has a perplexity.
    """

    subtitle: Callable[[Mapping[str, Any]], str]
    loss: str
    made: str
    commands: Callable[[str], list[str]]
    code: Callable[[str], str]
    nats: bool


def _layers(settings: Mapping[str, Any]) -> str:
    layers = "1 layer" if settings["num_layers"] == 1 else f"{settings['num_layers']} layers"
    return f"{settings['cell']}, {layers} of {settings['hidden_size']} units."


def _text(config: Mapping[str, Any]) -> str:
    text = config["data"]["text"]
    source = "a text" if not text or not text["path"] else Path(text["path"]).name
    size = f" ({text['characters']:,} characters)" if text else ""
    return f"A text model, trained on {source}{size}: {_layers(config['settings'])}"


def _tags(config: Mapping[str, Any]) -> str:
    data = config["data"]["train"]
    source = "sequences" if not data["path"] else Path(data["path"]).name
    return (
        f"A tagger, learnt from {source} ({data['sequences']:,} sequences, {data['steps']:,} steps): "
        f"{_layers(config['settings'])}"
    )


def _series(config: Mapping[str, Any]) -> str:
    data = config["data"]
    source = "a table" if not data["path"] else Path(data["path"]).name
    series = "1 series" if data["series"] == 1 else f"{data['series']:,} series"
    return (
        f"Forecasts of {config['settings']['horizon']} steps, learnt from {source} "
        f"({series}, {data['steps']:,} steps): {_layers(config['settings'])}"
    )


def _examples(config: Mapping[str, Any]) -> str:
    data = config["data"]
    source = "examples" if not data["path"] else Path(data["path"]).name
    both = " in both directions" if config["settings"]["bidirectional"] else ""
    return f"Labels, learnt from {source} ({data['examples']:,} examples): {_layers(config['settings'])[:-1]}{both}."


SUBJECTS = {
    "classify": Subject(
        subtitle=_examples,
        loss="Loss, nats per example",
        made="Labels of the examples kept for validation",
        commands=lambda run: [
            f"ricorso predict {quote(run)} others.csv --out labels.csv",
            f"ricorso evaluate {quote(run)} others.csv",
            f"ricorso inspect {quote(run)}",
        ],
        code=lambda run: f"import ricorso\n\nclassifier = ricorso.load({run!r})\nprint(classifier.predict(['a text']))",
        nats=False,
    ),
    "generate": Subject(
        subtitle=_text,
        loss="Loss, nats per symbol",
        made="What it wrote",
        commands=lambda run: [
            f"ricorso generate {quote(run)} --length 500",
            f"ricorso evaluate {quote(run)} another.txt",
            f"ricorso inspect {quote(run)}",
        ],
        code=lambda run: f"import ricorso\n\ngenerator = ricorso.load({run!r})\nprint(generator.generate(length=500))",
        nats=True,
    ),
    "tag": Subject(
        subtitle=_tags,
        loss="Loss: nats a step in training; in validation the share of wrong tags, or 1 less F1 of spans",
        made="Sentences kept for validation",
        commands=lambda run: [
            f"ricorso predict {quote(run)} text.txt --page tagged.html",
            f"ricorso evaluate {quote(run)} others.conll",
            f"ricorso inspect {quote(run)}",
        ],
        code=lambda run: f"import ricorso\n\ntagger = ricorso.load({run!r})\nprint(tagger.predict(['a text']))",
        nats=False,
    ),
    "forecast": Subject(
        subtitle=_series,
        loss="Loss, on the scale of each window",
        made="Forecasts",
        commands=lambda run: [
            f"ricorso predict {quote(run)} --out forecast.csv",
            f"ricorso evaluate {quote(run)} newer.csv",
        ],
        code=lambda run: (
            f"import ricorso\n\nforecaster = ricorso.load({run!r})\nprint(forecaster.predict())\n"
            'forecaster.plot().save("forecast.html")'
        ),
        nats=False,
    ),
}
