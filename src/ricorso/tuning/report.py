"""The report of a search: one HTML page that opens without a network."""

import math
from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from ricorso.bundle import write_file
from ricorso.pages.page import charting, filled, numbers, page
from ricorso.tuning.importance import FEWEST_TRIALS, METHOD, Importance
from ricorso.tuning.question import Question
from ricorso.tuning.result import TrialRow, TuneResult, shown
from ricorso.tuning.rules import rules_of
from ricorso.tuning.space import Choice, Range, Space

_MOST_ROWS = 50


def write_report(found: TuneResult, question: Question, space: Space) -> None:
    """Write the page of a search with at least one complete trial. Raises OSError."""
    write_file(found.report, _page(found, question, space).encode())


def _page(found: TuneResult, question: Question, space: Space) -> str:
    charts = {
        "trials": [_charted(row) for row in found.trials],
        "axes": [_axis(name, values, found.ranking) for name, values in space.items()],
        "importance": dict(found.importance.shares),
    }
    title = f"Search: {found.folder.resolve().name}"
    body = filled(
        files("ricorso.tuning") / "report_page.html",
        title=escape(title),
        subtitle=escape(_subtitle(question)),
        figures=_figures(found),
        command=escape(found.command),
        ranking=_ranking(found, list(space)),
        edge=_edge(found.edge),
        importance=_importance(found.importance),
        failures=_failures(found.trials),
        space=_space(space),
        settings=_settings(question),
        footer=escape(f"Written by Ricorso {version('ricorso')}."),
        charting=charting(),
        charts=numbers("charts", charts),
    )
    return page(title, body)


def _charted(row: TrialRow) -> dict[str, Any]:
    measured = [(step, loss) for step, loss in sorted(row.measured.items()) if math.isfinite(loss)]
    return {
        "number": row.number,
        "state": row.state,
        "loss": row.loss,
        "settings": dict(row.settings),
        "steps": [step for step, _ in measured],
        "losses": [loss for _, loss in measured],
    }


def _axis(name: str, values: Range | Choice, ranking: Sequence[TrialRow]) -> dict[str, Any]:
    if isinstance(values, Range):
        return {
            "name": name,
            "log": values.log,
            "whole": values.whole,
            "low": values.low,
            "high": values.high,
            "choices": None,
        }
    # the best on top of the picture
    order = list(dict.fromkeys(row.settings[name] for row in ranking))
    order += [value for value in values.values if value not in order]
    return {"name": name, "log": False, "choices": [shown(value) for value in reversed(order)]}


def _subtitle(question: Question) -> str:
    size = f"{question.data['bytes']:,} bytes"
    cut = f", {question.folds} folds" if question.folds > 1 else ""
    loss = rules_of(question.task).loss
    return (
        f"Settings for ricorso train {question.task} on {Path(question.data['path']).name} ({size}{cut}). "
        f"Sampler {question.sampler}, pruner {question.pruner}, seed {question.seed}."
        + (f" The loss is {loss}." if loss else "")
    )


def _figures(found: TuneResult) -> str:
    counts = {state: sum(row.state == state for row in found.trials) for state in ("complete", "pruned", "failed")}
    figures = [("best validation loss", f"{found.best.loss:.4f}")]
    if found.best.spread is not None:
        figures.append(("spread over the folds", f"{found.best.spread:.4f}"))
    figures += [(f"trials {state}", str(count)) for state, count in counts.items() if count or state == "complete"]
    figures.append(("training time", f"{sum(row.seconds for row in found.trials) / 60:.1f} min"))
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)


def _ranking(found: TuneResult, names: Sequence[str]) -> str:
    with_spread = found.best.spread is not None
    head = ["rank", "trial", "validation loss", *(["spread"] if with_spread else []), *names, "seconds"]
    lines = []
    for rank, row in enumerate(found.ranking[:_MOST_ROWS], 1):
        cells = [str(rank), str(row.number), f"{row.loss:.4f}"]
        cells += [f"{row.spread:.4f}"] if with_spread else []
        cells += [*(shown(row.settings[name]) for name in names), f"{row.seconds:.1f}"]
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    more = len(found.ranking) - _MOST_ROWS
    note = f'<p class="soft">{more} more trials are in study.journal.</p>' if more > 0 else ""
    header = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(lines)
    return (
        f'<div class="wide"><table class="ranking"><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>'
        + note
        + "".join(f"<p>{escape(warning)}</p>" for warning in found.warnings)
    )


def _importance(importance: Importance) -> str:
    if not importance.shares:
        return f"<p>With {importance.trials} trials it is too early to say; {FEWEST_TRIALS} are needed.</p>"
    text = f"From {importance.trials} trials. {METHOD}"
    return f'<div class="chart"><div id="importance"></div></div><p class="soft">{escape(text)}</p>'


def _edge(names: Sequence[str]) -> str:
    if not names:
        return ""
    return (
        f"<p>The best lies at the end of what was searched for {escape(', '.join(names))}: better may lie beyond.</p>"
    )


def _failures(rows: Sequence[TrialRow]) -> str:
    failed = [row for row in rows if row.state == "failed"]
    if not failed:
        return ""
    items = "".join(f"<li>Trial {row.number}: {escape(row.note)}</li>" for row in failed)
    return f"<h2>Trials that failed</h2><ul>{items}</ul>"


def _space(space: Space) -> str:
    return "".join(
        f'<tr><th>{escape(name)}</th><td class="value">{escape(str(v))}</td></tr>' for name, v in space.items()
    )


def _settings(question: Question) -> str:
    fixed = {**question.settings, "threads": question.threads}
    return "".join(
        f'<tr><th>{escape(name)}</th><td class="value">{escape(shown(value))}</td></tr>'
        for name, value in fixed.items()
    )
