"""Runs side by side: what differs in their settings, their figures, and one page with all their curves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from ricorso.bundle import METRICS, write_text
from ricorso.insight.runs import Run, comparable, differing, number
from ricorso.pages.page import charting, filled, numbers
from ricorso.pages.page import page as whole_page
from ricorso.training.log import Line, read_log

NOT_COMPARABLE = "These runs were not measured on the same data in the same unit: their losses do not compare."


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; the lists have an entry for each.

    labels: what the runs are called. figures: rows of numbers and words by name. settings: those that differ.
    comparable: whether their losses are of the same data in the same unit.
    """

    runs: list[Run]
    labels: list[str]
    figures: dict[str, list[Any]]
    settings: dict[str, list[Any]]
    comparable: bool

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "runs": [run.to_json() for run in self.runs],
            "figures": self.figures,
            "settings": self.settings,
            "comparable": self.comparable,
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Put runs side by side."""
    lines = [_lines(run) for run in runs]
    figures: dict[str, list[Any]] = {
        "state": [run.state for run in runs],
        "validation loss": [run.validation_loss for run in runs],
        "at step": [run.best_step for run in runs],
        "training loss at the end": [_last_loss(found) for found in lines],
        "steps": [run.steps for run in runs],
        "seconds": [run.seconds for run in runs],
        "symbols per second": [_speed(found) for found in lines],
        "parameters": [run.parameters for run in runs],
        "data": [run.data for run in runs],
    }
    return Comparison(list(runs), labels(runs), figures, differing(runs), comparable(runs))


def labels(runs: Sequence[Run]) -> list[str]:
    """What to call runs: by their names, or by their paths where names are the same.

    >>> labels([Run(Path("a/fox"), "stopped"), Run(Path("b/fox"), "stopped"), Run(Path("b/hen"), "stopped")])
    ['a/fox', 'b/fox', 'hen']
    """
    count = Counter(run.name for run in runs)
    return [run.name if count[run.name] == 1 else str(run.folder) for run in runs]


def write_comparison(comparison: Comparison, page: Path) -> Path:
    """Write an HTML page with the curves of all runs over one another; it opens without a network.

    Raises RunError when it cannot be written.
    """
    curves = [_curves(run, label) for run, label in zip(comparison.runs, comparison.labels, strict=True)]
    title = " and ".join(comparison.labels) if len(curves) < 4 else f"{len(curves)} runs"
    body = filled(
        files("ricorso.insight") / "comparison.html",
        title=escape(title),
        warning="" if comparison.comparable else f"<p>{escape(NOT_COMPARABLE)}</p>",
        figures=_table(comparison.figures, comparison.labels),
        settings=_table(comparison.settings, comparison.labels) or "<p>None: the settings are the same.</p>",
        charting=charting(),
        curves=numbers("curves", curves),
    )
    return write_text(page, whole_page(title, body))


def shown(value: Any) -> str:
    """A value of a table for people.

    >>> shown(1234567), shown(0.0062), shown(None), shown("gru")
    ('1,234,567', '0.0062', '', 'gru')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _lines(run: Run) -> list[Line]:
    try:
        return read_log(run.folder / METRICS)
    except (OSError, RecursionError):
        return []


def _numbers(lines: Sequence[Line], kind: str, name: str) -> list[tuple[Line, float]]:
    found = [(line, number(line.get(name))) for line in lines if line.get("kind") == kind]
    return [(line, value) for line, value in found if value is not None]


def _last_loss(lines: Sequence[Line]) -> float | None:
    found = _numbers(lines, "step", "loss")
    return found[-1][1] if found else None


def _speed(lines: Sequence[Line]) -> float | None:
    found = _numbers(lines, "step", "symbols_per_second")
    return median(value for _, value in found) if found else None


def _curves(run: Run, label: str) -> dict[str, Any]:
    from ricorso.insight.report import thinned

    curves: dict[str, Any] = {"name": label}
    for kind, name in (("step", "loss"), ("validation", "validation_loss")):
        rows = [
            {"step": line["step"], "loss": value, "seconds": number(line.get("seconds"))}
            for line, value in _numbers(_lines(run), kind, name)
        ]
        columns = thinned(rows, ["loss", "seconds"])
        curves[kind] = {"x": columns["x"], "loss": columns["loss"], "seconds": columns["seconds"]}
    return curves


def _table(rows: Mapping[str, Sequence[Any]], names: Sequence[str]) -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(name)}</th>" for name in ["", *names])
    body = "".join(
        f"<tr><th>{escape(name)}</th>" + "".join(f"<td>{escape(shown(value))}</td>" for value in values) + "</tr>"
        for name, values in rows.items()
    )
    return f'<div class="wide"><table class="beside"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
