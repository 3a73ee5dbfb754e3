"""What is said of a trained model, task by task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

SAMPLE_LENGTH = 400
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
    return Made({"evaluation": figures}, text, forecasts_section(model, found=found, figures=figures))


def _forecast_steps(run: Path) -> Steps:
    folder = quote(str(run))
    return [
        (f"ricorso predict {folder}", "forecast what comes after the data"),
        (f"ricorso predict {folder} FILE", "forecast newer data, or other series"),
        (f"ricorso evaluate {folder} FILE", "measure it on other data"),
    ]


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


TELLING = {
    "generate": Telling(_written, "nats per symbol", _text_steps),
    "forecast": Telling(_measured, "on the scale of each window", _forecast_steps),
}
