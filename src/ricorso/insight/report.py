"""The report of a run: one HTML page with curves, samples and settings that opens without a network."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ricorso.bundle import CELL, CONFIG, METRICS, REPORT, read_json, seal, write_file
from ricorso.equations.portable import from_json
from ricorso.equations.render import text as formula_text
from ricorso.insight.subject import SUBJECTS, Subject
from ricorso.pages.page import charting, filled, numbers, page
from ricorso.training.log import Line, read_log

MOST_POINTS = 600
CURVES = ("loss", "learning_rate", "gradient_norm", "symbols_per_second")


def write_report(
    run: Path, meanings: Mapping[str, str] | None = None, inside: str = "", made: str | None = None
) -> Path:
    """Write report.html into a run folder, renew the manifest, and return the page's path.

    meanings: a sentence for each setting, shown beside its value. inside: HTML that is put before the cell's formulas.
    made: HTML of what the model made; left out, the samples it wrote during training or else what the page said before,
    since that was measured when the training ended.
    """
    config = read_json(run / CONFIG)
    lines = read_log(run / METRICS) if (run / METRICS).is_file() else []
    text = _page(run, config, lines, read_json(run / CELL), meanings or {}, inside, made)
    write_file(run / REPORT, text.encode())
    seal(run)
    return run / REPORT


def thinned(rows: Sequence[Line], names: Sequence[str], most: int = MOST_POINTS) -> dict[str, list[float | None]]:
    """Return columns over at most `most` points: neighbours are averaged, their last step is the abscissa `x`.

    >>> thinned([{"step": 1, "loss": 4.0}, {"step": 2, "loss": 2.0}], ["loss"], most=1)
    {'x': [2], 'loss': [3.0]}
    """
    size = max(1, math.ceil(len(rows) / most))
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    return {"x": [group[-1]["step"] for group in groups]} | {
        name: [_mean([row.get(name) for row in group]) for group in groups] for name in names
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _page(
    run: Path,
    config: Mapping[str, Any],
    lines: Sequence[Line],
    cell: dict[str, Any],
    meanings: Mapping[str, str],
    inside: str,
    made: str | None,
) -> str:
    steps = [line for line in lines if line["kind"] == "step"]
    validations = [line for line in lines if line["kind"] == "validation"]
    samples = [line for line in lines if line["kind"] == "sample"]
    measured = thinned(validations, ["validation_loss"])
    curves = {"step": thinned(steps, CURVES), "validation": {"x": measured["x"], "loss": measured["validation_loss"]}}
    known_cell, subject = from_json(cell), SUBJECTS[config["task"]]
    if made is None:
        made = _samples(samples, validations) if samples else _said_before(run, subject)
    name = run.resolve().name
    body = filled(
        files("ricorso.insight") / "report_page.html",
        title=escape(name),
        subtitle=escape(subject.subtitle(config)),
        figures=_figures(steps, validations, subject.nats),
        loss_title=subject.loss,
        skipped=_skipped(steps) + _time(lines),
        made_title=subject.made,
        made=made,
        usage=_usage(run, subject),
        inside=inside,
        cell_title=escape(f"{known_cell.title}. {known_cell.paper}."),
        formulas=escape(formula_text(known_cell)),
        settings=_settings(config["settings"], meanings),
        footer=escape(f"Written by Ricorso {config['versions']['ricorso']}."),
        charting=charting(),
        curves=numbers("curves", curves),
    )
    return page(name, body)


def _figures(steps: Sequence[Line], validations: Sequence[Line], nats: bool) -> str:
    shown: list[tuple[str, str]] = []
    measured = [line for line in validations if line["validation_loss"] is not None]
    if measured:
        best = min(measured, key=lambda line: float(line["validation_loss"]))
        shown.append((f"validation loss{', nats' * nats}", f"{best['validation_loss']:.4f}"))
        if nats:
            shown.append(("perplexity", f"{math.exp(min(best['validation_loss'], 700)):.2f}"))
    timed = [*steps, *validations]
    if timed:
        last = max(timed, key=lambda line: int(line["step"]))
        shown.append(("steps", f"{last['step']:,}"))
        shown.append(("training time", f"{last['seconds'] / 60:.1f} min"))
    if steps:
        speeds = sorted(line["symbols_per_second"] for line in steps)
        shown.append(("symbols per second", f"{speeds[len(speeds) // 2]:,.0f}"))
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown)


def _skipped(steps: Sequence[Line]) -> str:
    count = steps[-1].get("skipped", 0) if steps else 0
    if not count:
        return ""
    steps_were = "1 step was" if count == 1 else f"{count:,} steps were"
    return f"<p>{steps_were} skipped, because the loss or the gradient was not finite there.</p>"


def _time(lines: Sequence[Line]) -> str:
    shares = next((line["time"] for line in lines if line["kind"] == "end" and "time" in line), None)
    if not shares:
        return ""
    model = shares["forward"] + shares["backward"]
    told = {
        "forward": "forward",
        "backward": "backward",
        "update": "the update of the weights",
        "data": "making batches",
    }
    each = ", ".join(f"{shares[name]:.0%} {words}" for name, words in told.items())
    return f"<p>{model:.0%} of the training time was spent in the model: {each}, {shares['rest']:.0%} the rest.</p>"


def _said_before(run: Path, subject: Subject) -> str:
    page = (run / REPORT).read_text(encoding="utf-8") if (run / REPORT).is_file() else ""
    _, begins, rest = page.partition(f"<h2>{subject.made}</h2>\n")
    own, ends, _ = rest.partition("\n\n<h2>Use it</h2>")
    return own if begins and ends else "<p>No samples were written during this training.</p>"


def _samples(samples: Sequence[Line], validations: Sequence[Line]) -> str:
    parts = []
    for place, sample in enumerate(reversed(samples)):
        before = [line["validation_loss"] for line in validations if line["step"] <= sample["step"]]
        loss = f", validation loss {before[-1]:.3f}" if before and before[-1] is not None else ""
        head = f"step {sample['step']:,}{loss}"
        is_open = " open" if place == 0 else ""
        parts.append(
            f'<details{is_open}><summary>{head}</summary><pre class="sample">{escape(sample["text"])}</pre></details>'
        )
    return "".join(parts)


def _usage(run: Path, subject: Subject) -> str:
    commands, code = "\n".join(subject.commands(str(run))), subject.code(str(run))
    return f"<p>From the command line:</p><pre>{escape(commands)}</pre><p>From Python:</p><pre>{escape(code)}</pre>"


def _settings(settings: Mapping[str, Any], meanings: Mapping[str, str]) -> str:
    return "".join(
        f'<tr><th>{escape(name)}</th><td class="value">{escape("not set" if value is None else str(value))}</td>'
        f'<td class="about soft">{escape(meanings.get(name, ""))}</td></tr>'
        for name, value in settings.items()
    )
