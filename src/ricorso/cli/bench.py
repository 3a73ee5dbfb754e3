"""`ricorso bench`: is it faster on this machine?"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ricorso.bench.section import SECTIONS
from ricorso.cli.grammar import answer, json_option
from ricorso.errors import UsageError

if TYPE_CHECKING:
    from ricorso.bench.plan import Plan

QUICK_SECONDS, SECONDS = 0.25, 0.8
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "quick": ((128,), (1, 32)),
    "usual": ((128, 256), (1, 8, 64)),
    "full": ((64, 128, 256, 512), (1, 8, 64)),
}
SECONDS_BETWEEN_LINES = 10.0


@click.command(epilog="Example: ricorso bench --hidden-size 200 --batch-size 16 --picture speed.svg")
@click.option("--quick", is_flag=True, help="One size of layer, short measurements: about ten seconds.")
@click.option("--full", is_flag=True, help="Layers of 64 to 512 units with batches of 1, 8 and 64: some minutes.")
@click.option("--section", multiple=True, type=click.Choice(list(SECTIONS)), help="Only this; may be given again.")
@click.option("--cell", "cells", multiple=True, metavar="NAME", help="Also this cell, beside a torch loop.")
@click.option("--hidden-size", multiple=True, type=click.IntRange(1), help="Units; may be given again.")
@click.option("--batch-size", multiple=True, type=click.IntRange(1), help="Sequences; may be given again.")
@click.option("--sequence-length", type=click.IntRange(1), default=100, show_default=True, help="Steps of a sequence.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Time for each comparison.")
@click.option("--threads", type=click.IntRange(1), help="Threads to compute with; left out, as many as torch takes.")
@click.option("--picture", metavar="FILE.svg", type=click.Path(path_type=Path), help="Write a picture, as SVG.")
@json_option
def bench(
    quick: bool,
    full: bool,
    section: tuple[str, ...],
    cells: tuple[str, ...],
    hidden_size: tuple[int, ...],
    batch_size: tuple[int, ...],
    sequence_length: int,
    seconds: float | None,
    threads: int | None,
    picture: Path | None,
    as_json: bool,
) -> int:
    """Measure Ricorso's LSTM, GRU and RNN on this machine beside torch.nn and, where it is installed, ONNX Runtime.

    Training steps, also on sequences of different lengths, inference, and single steps of a stream. Both sides run in
    turn in one process, and are timed only if their results are equal. A cell is a name of `ricorso cells`, or
    `file.py:Name` for one of your own.
    """
    if quick and full:
        raise UsageError("--quick and --full are two different extents; give one of them.")
    if picture is not None:
        _check_picture(picture)
    hidden, batches = SIZES["quick" if quick else "full" if full else "usual"]
    from ricorso.bench.plan import Plan, run
    from ricorso.bench.summary import as_json as as_plain_data
    from ricorso.bench.table import lines
    from ricorso.cells.file import resolve_cell
    from ricorso.engine.team import threads as within

    plan = Plan(
        sections=tuple(name for name in SECTIONS if not section or name in section),
        hidden=tuple(dict.fromkeys(hidden_size)) or hidden,
        batches=tuple(dict.fromkeys(batch_size)) or batches,
        steps=sequence_length,
        cells=tuple(dict.fromkeys(map(resolve_cell, cells))),
    )
    _check_plan(plan)
    started = time.monotonic()
    with within(threads), _progress() as tell:
        report = run(plan, seconds or (QUICK_SECONDS if quick else SECONDS), tell)
    if picture is not None:
        from ricorso.bench.picture import picture as drawn

        picture.write_text(drawn(report), encoding="utf-8")
    if as_json:
        answer(as_plain_data(report) | {"picture": str(picture) if picture else None})
    else:
        click.echo("\n".join(lines(report, *_blocks())))
        click.echo(f"\nMeasured in {time.monotonic() - started:.0f} s.", nl=picture is None)
        if picture is not None:
            click.echo(f" The picture is in {picture}.")
    return 1 if report.refused else 0


def _check_picture(file: Path) -> None:
    if file.suffix.lower() != ".svg":
        raise UsageError(f"--picture writes an SVG; name a file that ends in .svg, not '{file}'.")
    if not file.parent.is_dir():
        raise UsageError(f"There is no folder '{file.parent}' to write the picture into.")


def _check_plan(plan: "Plan") -> None:
    if plan.cells and not {"training", "inference"} & set(plan.sections):
        raise UsageError("--cell is compared in the sections training and inference; add one with --section.")
    if not any(True for _ in plan.questions()):
        raise UsageError("There is nothing to compare: sequences of different lengths need a --batch-size above 1.")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal, plain lines now and then elsewhere, on standard error; gives what moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from ricorso.cli.progress import duration

    console = Console(stderr=True, highlight=False)
    columns = TextColumn("{task.percentage:>3.0f}%"), BarColumn(), TextColumn("{task.description}", markup=False)
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("starting")
    started = last = time.monotonic()

    def tell(done: int, total: int, label: str) -> None:
        nonlocal last
        now = time.monotonic()
        left = f"  {duration((now - started) * (total - done) / done)} left" if 0 < done < total else ""
        bar.update(task, completed=done, total=total, description=label + left)
        if not console.is_terminal and now - last >= SECONDS_BETWEEN_LINES:
            last = now
            click.echo(f"{done}/{total}  {label}{left}", err=True)

    with bar:
        yield tell


def _blocks() -> tuple[str, ...]:
    """Other parts of a bar for an output that knows no block characters."""
    try:
        "▏█±µ".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return (" #",)
    return ()
