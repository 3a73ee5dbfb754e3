"""Naming run folders, and what is said when a training in one has ended."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ricorso.cli.grammar import answer
from ricorso.cli.progress import TrainingDisplay, duration
from ricorso.cli.telling import TELLING, Made, Steps

if TYPE_CHECKING:
    from ricorso.tasks.estimator import Estimator
    from ricorso.training.listener import Listener

RUNS = Path("runs")


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
    work: "Callable[[Listener], Estimator[Any, Any, Any]]",
    as_json: bool,
    next_steps: Callable[[Path], Steps] | None = None,
    made: Callable[[Any], Made] | None = None,
) -> int:
    """Run a training under the eyes of the user, write its report, say where everything is; returns the exit status.

    next_steps: what to offer once it is done; made: what to tell of the model; left out, what is usual for the task.
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
        if as_json:
            answer({"run": str(stop.run), "finished": False, "resume": stop.command})
        click.echo(f"\nStopped; a checkpoint is written. To go on from here:\n\n  {stop.command}", err=True)
        return stop.exit_status
    run = model.run_
    if run is None:
        raise TypeError("A training from the command line has a run folder.")
    telling = TELLING[model.task]
    found = (made or telling.made)(model)
    report = _report(model, run, found.picture)
    if as_json:
        answer({"run": str(run), "report": report and str(report), "finished": True, **model.best_, **found.facts})
        return 0
    click.echo(found.text)
    if not display.started:
        click.echo(
            "This training had finished already; there is nothing to continue. To train longer, start a new run."
        )
    click.echo("\n".join(_summary(model.best_, telling.loss, run, report)))
    click.echo("\nNext:")
    commands = (next_steps or telling.next_steps)(run)
    width = max(len(command) for command, _ in commands)
    for command, purpose in commands:
        click.echo(f"  {command:<{width}}   {purpose}")
    return 0


def _report(model: "Estimator[Any, Any, Any]", run: Path, picture: str | None) -> Path | None:
    from ricorso.insight.report import write_report

    meanings = {name: field.description or "" for name, field in type(model.config_).model_fields.items()}
    try:
        return write_report(run, meanings, made=picture)
    except OSError as error:
        # minutes or hours of training are not lost over a page
        click.echo(f"The report could not be written to '{run}' ({error.strerror}); the model is complete.", err=True)
        return None


def _summary(figures: dict[str, Any], unit: str, run: Path, report: Path | None) -> list[str]:
    lines = [f"Trained {figures['steps']:,} steps in {duration(figures['seconds'])}."]
    if figures.get("validation_loss") is not None:
        lines.append(f"Validation loss {figures['validation_loss']:.4f} {unit}, at step {figures['best_step']:,}.")
    if figures.get("skipped"):
        lines.append(f"{figures['skipped']:,} steps were skipped because a number in them was not finite.")
    lines.append(f"Model   {run}")
    return [*lines, f"Report  {report}"] if report else lines
