"""Naming run folders, and what is said when a training in one has ended."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from ricorso.cli.grammar import answer
from ricorso.cli.progress import TrainingDisplay, duration

if TYPE_CHECKING:
    from ricorso.tasks.generate.task import Generator
    from ricorso.training.listener import Listener

RUNS = Path("runs")
SAMPLE_LENGTH = 400


def free_folder(data: str) -> Path:
    """Return a folder under runs/ that does not exist yet, named after the data.

    `my book.txt.gz` gives runs/my-book, or runs/my-book-2 when that is taken.
    """
    stem = Path("text" if data == "-" else Path(data).name.removesuffix(".gz")).stem
    name = re.sub(r"[^\w.]+", "-", stem).strip("-.") or "text"
    folder, number = RUNS / name, 1
    while folder.exists():
        number += 1
        folder = RUNS / f"{name}-{number}"
    return folder


def train_and_tell(
    work: "Callable[[Listener], Generator]", as_json: bool, next_steps: Callable[[Path], list[tuple[str, str]]]
) -> int:
    """Run a training under the eyes of the user, write its report, say where everything is; returns the exit status.

    next_steps: what to offer once it is done, as (command, what it does).
    """
    from ricorso.training.interrupt import TrainingInterrupted
    from ricorso.training.listener import Listener
    from ricorso.training.ranks import of_environment

    if not of_environment().first:
        with contextlib.suppress(TrainingInterrupted):
            work(Listener())
        return 0
    try:
        with TrainingDisplay() as display:
            model = work(display)
    except TrainingInterrupted as stop:
        if stop.run is None:
            raise
        command = f"ricorso resume {quote(str(stop.run))}"
        if as_json:
            answer({"run": str(stop.run), "finished": False, "resume": command})
        click.echo(f"\nStopped; a checkpoint is written. To go on from here:\n\n  {command}", err=True)
        return stop.exit_status
    run = model.run_
    if run is None:
        raise TypeError("A training from the command line has a run folder.")
    report = _report(model, run)
    sample = model.generate(length=SAMPLE_LENGTH, seed=0)
    if as_json:
        answer({"run": str(run), "report": report and str(report), "finished": True, **model.best_, "sample": sample})
        return 0
    click.echo(f"What it writes now:\n\n{sample}\n")
    if not display.started:
        click.echo(
            "This training had finished already; there is nothing to continue. To train longer, start a new run."
        )
    click.echo("\n".join(_summary(model.best_, run, report)))
    click.echo("\nNext:")
    commands = next_steps(run)
    width = max(len(command) for command, _ in commands)
    for command, purpose in commands:
        click.echo(f"  {command:<{width}}   {purpose}")
    return 0


def usual_next_steps(run: Path) -> list[tuple[str, str]]:
    """Return what one does with a trained text model."""
    folder = quote(str(run))
    return [
        (f"ricorso generate {folder}", "write new text"),
        (f"ricorso evaluate {folder} FILE", "measure it on another text"),
        (f"ricorso inspect {folder}", "look inside it"),
    ]


def _report(model: "Generator", run: Path) -> Path | None:
    from ricorso.insight.report import write_report

    meanings = {name: field.description or "" for name, field in type(model.config_).model_fields.items()}
    try:
        return write_report(run, meanings)
    except OSError as error:
        # minutes or hours of training are not lost over a page
        click.echo(f"The report could not be written to '{run}' ({error.strerror}); the model is complete.", err=True)
        return None


def _summary(figures: dict[str, Any], run: Path, report: Path | None) -> list[str]:
    lines = [f"Trained {figures['steps']:,} steps in {duration(figures['seconds'])}."]
    if figures.get("validation_loss") is not None:
        lines.append(
            f"Validation loss {figures['validation_loss']:.4f} nats per symbol, at step {figures['best_step']:,}."
        )
    if figures.get("skipped"):
        lines.append(f"{figures['skipped']:,} steps were skipped because a number in them was not finite.")
    lines.append(f"Model   {run}")
    return [*lines, f"Report  {report}"] if report else lines
