"""What is said of a trained model, task by task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from shlex import quote
from typing import Any

SAMPLE_LENGTH = 400
# sentences on the page of a tagger
_SHOWN = 12
Steps = list[tuple[str, str]]


@dataclass(frozen=True)
class Made:
    """What a model can do now: facts for machines, the same as text, and a picture of it, HTML for the report.

    picture: None where the samples written during training are that.
    """

    facts: dict[str, Any]
    text: str
    picture: str | None = None


@dataclass(frozen=True)
class Telling:
    """What is told when a training has ended.

    made: what the model makes. loss: the unit of the loss. next_steps: what one does with the run, as (command, what it
    does).
    """

    made: Callable[[Any], Made]
    loss: str
    next_steps: Callable[[Path], Steps]


def _written(model: Any) -> Made:
    sample = model.generate(length=SAMPLE_LENGTH, seed=0)
    return Made({"sample": sample}, f"What it writes now:\n\n{sample}\n")


def _text_steps(run: Path) -> Steps:
    folder = quote(str(run))
    return [
        (f"ricorso generate {folder}", "write new text"),
        (f"ricorso evaluate {folder} FILE", "measure it on another text"),
        (f"ricorso inspect {folder}", "look inside it"),
    ]


def _measured(model: Any) -> Made:
    from ricorso.insight.forecast import forecasts_section
    from ricorso.tasks.forecast.metrics import measures

    found, config = model.hindsight(), model.config_
    figures = measures(found, model.levels, config.season, config.horizon)
    text = f"Forecasts of the last horizon of each series:\n\n{figures_table(figures)}\n"
    text += "".join(f"\n{line[0].upper()}{line[1:]}.\n" for line in model.told_ if line.startswith("intervals"))
    return Made({"evaluation": figures}, text, forecasts_section(model, found=found, figures=figures))


def _forecast_steps(run: Path) -> Steps:
    folder = quote(str(run))
    return [
        (f"ricorso predict {folder}", "forecast what comes after the data"),
        (f"ricorso predict {folder} FILE", "forecast newer data, or other series"),
        (f"ricorso predict {folder} FILE --anomalies", "say what was unusual in it"),
        (f"ricorso evaluate {folder} FILE", "measure it on other data"),
    ]


def _classified(model: Any) -> Made:
    figures = model.validation_
    if figures is None:
        return Made({}, "No examples were kept to measure it on.\n")
    from ricorso.insight.classification import labels_section

    text = f"Of the examples kept for validation:\n\n{labels_table(figures)}\n"
    return Made({"evaluation": figures}, text, labels_section(figures))


def _classify_steps(run: Path) -> Steps:
    folder = quote(str(run))
    return [
        (f"ricorso predict {folder} FILE", "label other examples"),
        (f"ricorso predict {folder} FILE --explain", "and see which words mattered"),
        (f"ricorso evaluate {folder} FILE", "measure it on other labelled examples"),
        (f"ricorso inspect {folder}", "look inside it"),
    ]


def labels_table(figures: Mapping[str, Any], most: int = 30) -> str:
    """The measures of a classifier: over all, and of each label."""
    named = {"accuracy": "accuracy", "f1_macro": "macro F1", "f1_micro": "micro F1", "roc_auc": "ROC AUC"}
    named |= {"log_loss": "log loss", "calibration_error": "calibration error"}
    lines = [f"  {label:<18}{figures[name]:>8.4f}" for name, label in named.items()]
    simple = figures.get("baseline")
    if simple:
        measure = "f1_micro" if figures["several"] else "accuracy"
        better = "better" if figures[measure] > simple[measure] else "not better"
        lines.append(f"  The network is {better} than a {simple['name']}: {named[measure]} {simple[measure]:.4f}.")
    width = max(len("label"), *(min(len(label), 24) for label in figures["labels"])) + 2
    lines += ["", f"  {'label':<{width}}{'precision':>10}{'recall':>8}{'F1':>8}{'examples':>10}"]
    ranked = sorted(figures["labels"].items(), key=lambda item: -item[1]["support"])
    for label, own in ranked[:most]:
        numbers = f"{own['precision']:>10.3f}{own['recall']:>8.3f}{own['f1']:>8.3f}{own['support']:>10,}"
        lines.append(f"  {label[:24]:<{width}}{numbers}")
    if len(ranked) > most:
        lines.append(f"  and {len(ranked) - most} rarer labels")
    return "\n".join(lines)


def figures_table(figures: Mapping[str, Any]) -> str:
    """The measures of a forecast beside those of the naive methods."""
    named = {"mae": "MAE", "rmse": "RMSE", "smape": "sMAPE %", "mase": "MASE", "wql": "wQL"}
    sides = {"model": figures, "seasonal naive": figures["seasonal_naive"], "last value": figures["naive"]}
    lines = [f"  {'':<9}" + "".join(f"{side:>16}" for side in sides)]
    for name, label in named.items():
        cells = [f"{side[name]:>16.4g}" if name in side else f"{'':>16}" for side in sides.values()]
        lines.append(f"  {label:<9}" + "".join(cells))
    inside = [f"{figures[f'coverage_{w}']:.0%} in the interval of {w}%" for w in (80, 95) if f"coverage_{w}" in figures]
    if inside:
        lines.append(f"  Of what came, {' and '.join(inside)}.")
    lines.append(f"  {figures['series']:,} series, horizon {figures['horizon']}, season {figures['season']}.")
    return "\n".join(lines)


def _tagged(model: Any) -> Made:
    held_out = model.held_out_
    if held_out is None:
        return Made({}, "No sequences were kept to measure it on.\n")
    from ricorso.tasks.tag.metrics import figures_table

    figures = model.evaluate(held_out)
    text = f"Of the sequences kept for validation:\n\n{figures_table(figures)}\n"
    picture = f"<pre>{escape(figures_table(figures))}</pre>"
    if not held_out.series:
        picture += model.show(held_out.sequences[:_SHOWN]).section()
    return Made({"evaluation": figures}, text, picture)


def _tag_steps(run: Path) -> Steps:
    folder = quote(str(run))
    return [
        (f"ricorso predict {folder} FILE", "tag other sentences or series"),
        (f"ricorso predict {folder} FILE --page tagged.html", "and mark them on a page"),
        (f"ricorso evaluate {folder} FILE", "measure it on other tagged data"),
        (f"ricorso inspect {folder}", "look inside it"),
    ]


TELLING = {
    "generate": Telling(_written, "nats per symbol", _text_steps),
    "classify": Telling(_classified, "nats per example", _classify_steps),
    "forecast": Telling(_measured, "on the scale of each window", _forecast_steps),
    "tag": Telling(_tagged, "(share of wrong tags, or what is missing to an F1 of spans of 1)", _tag_steps),
}
