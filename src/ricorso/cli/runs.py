"""`ricorso runs [FOLDER ...]`: which runs there are, and two or more side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ricorso.cli.grammar import answer, json_option
from ricorso.cli.progress import duration, quantity
from ricorso.cli.run_folder import RUNS
from ricorso.errors import UsageError
from ricorso.insight.runs import ORDERS, Run, arranged, find, is_run, look

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ricorso.insight.comparison import Comparison

_STYLES = {"finished": "", "stopped": "yellow", "running": "green", "diverged": "red", "damaged": "red"}
_WIDE = 400


@click.command(epilog="Example: ricorso runs runs/my-book runs/my-book-2 --report comparison.html")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=click.Path(path_type=Path))
@click.option(
    "--sort",
    type=click.Choice(ORDERS),
    default=ORDERS[0],
    show_default=True,
    help="Best validation loss first, longest training first, or by name.",
)
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With two or more runs: a page with their curves over one another.",
)
@json_option
def runs(folders: tuple[Path, ...], sort: str, report: Path | None, as_json: bool) -> None:
    """List the runs in each FOLDER (runs/ where none is named), or compare two or more runs.

    A FOLDER is a run or a folder of runs. Where all are runs, and there are at least two, they are shown side by side:
    their figures, and the settings in which they differ. Weights are not read, so that this is quick.
    """
    if len(folders) > 1 and all(map(is_run, folders)):
        _compare([look(folder) for folder in folders], report, as_json)
        return
    if report:
        raise UsageError("--report needs two or more run folders: ricorso runs RUN RUN --report FILE.html.")
    places = folders or ((RUNS,) if RUNS.is_dir() else ())
    found = arranged((look(path) for folder in places for path in find(folder)), sort)
    if as_json:
        answer({"runs": [run.to_json() for run in found]})
        return
    if not found:
        where = " or ".join(f"'{folder}'" for folder in folders or (RUNS,))
        click.echo(f"There are no runs in {where} yet. Make one: ricorso train generate my-book.txt")
        return
    _list(found, _console())


def _compare(found: Sequence[Run], report: Path | None, as_json: bool) -> None:
    from ricorso.insight.comparison import NOT_COMPARABLE, compare, write_comparison

    comparison = compare(found)
    page = write_comparison(comparison, report) if report else None
    if as_json:
        answer({**comparison.to_json(), "report": page and str(page)})
        return
    console = _console()
    console.print(_side_by_side("", comparison.figures, comparison))
    if comparison.settings:
        console.print(_side_by_side("Settings that differ", comparison.settings, comparison))
    else:
        console.print("Their settings are the same.")
    if not comparison.comparable:
        console.print(f"\n{NOT_COMPARABLE}")
    _tell(found, console)
    if page:
        console.print(f"\nCurves: {_printable(str(page))}", markup=False)


def _side_by_side(title: str, rows: dict[str, list[Any]], comparison: "Comparison") -> "Table":
    from ricorso.insight.comparison import shown

    table = _table(title, "", *comparison.labels)
    for name, values in rows.items():
        if name == "seconds":
            name, values = "time trained", [None if value is None else _time(value) for value in values]
        table.add_row(*_cells([name, *map(shown, values)]))
    return table


def _list(found: Sequence[Run], console: "Console") -> None:
    from rich.text import Text

    table = _table("", "run", "task", "cell", "size", "data", "steps", "validation loss", "trained", "state")
    for run in found:
        loss = "" if run.validation_loss is None else f"{run.validation_loss:.4f}"
        best = f" at {run.best_step:,}" if loss and run.best_step is not None else ""
        steps = "" if run.steps is None else f"{run.steps:,}"
        row = [
            run.name,
            run.task or "",
            run.cell or "",
            _size(run),
            run.data or "",
            steps,
            loss + best,
            _time(run.seconds),
        ]
        table.add_row(*_cells(row), Text(run.state, _STYLES[run.state]))
    console.print(table)
    _tell(found, console)


def _tell(found: Sequence[Run], console: "Console") -> None:
    """What is to be said of runs that are not finished."""
    stopped = [run.resume for run in found if run.resume]
    if stopped:
        console.print("\nTo go on with what was stopped:")
    for command in stopped:
        console.print(f"  {_printable(command)}", markup=False, soft_wrap=True)
    for state, title in (("diverged", "Diverged:"), ("damaged", "Damaged, or no runs:")):
        those = [run for run in found if run.state == state]
        if those:
            console.print(f"\n{title}")
        for run in those:
            console.print(f"  {_printable(f'{run.folder}: {run.why}')}", markup=False, soft_wrap=True)


def _size(run: Run) -> str:
    layers = f"{run.hidden_size} x {run.num_layers}" if run.hidden_size and run.num_layers else ""
    return ", ".join(part for part in (layers, quantity(run.parameters) if run.parameters else "") if part)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _cells(values: Sequence[str]) -> list[str]:
    from rich.markup import escape

    return [escape(_printable(value)) for value in values]


def _printable(text: str) -> str:
    """A text without what a terminal would obey: names come from folders of strangers."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _table(title: str, *columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in _cells(columns):
        table.add_column(column, overflow="fold")
    return table


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        # a line for each run, for what reads lines
        console.width = _WIDE
    return console
