"""`ricorso tune TASK DATA`: search for good settings."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from ricorso.cli.grammar import Group, Member, answer
from ricorso.cli.task_options import settings_of, task_options
from ricorso.errors import UsageError

if TYPE_CHECKING:
    from ricorso.tuning import SearchListener, TuneResult

TASKS = {
    "generate": Member("ricorso.cli.tune:generate_command", "Settings with which a text is learnt best."),
    "forecast": Member("ricorso.cli.tune:forecast_command", "Settings with which series are forecast best."),
    "classify": Member("ricorso.cli.tune:classify_command", "Settings with which labels are told best."),
    "tag": Member("ricorso.cli.tune:tag_command", "Settings with which words or steps are tagged best."),
}

_ROWS = 10
_FOLDS = "Cross-validation: {}, and compare the means."
_WORKERS = (
    "Trainings side by side, each in a process with its share of the threads. With more than one, what is proposed "
    "depends on which trial ends first, so a search does not come out the same twice."
)


@click.pass_context
def _tune(
    ctx: click.Context, folder: Path | None, trials: int | None, workers: int | None, as_json: bool
) -> int | None:
    if ctx.invoked_subcommand is not None:
        if folder is not None or trials is not None or workers is not None or as_json:
            raise click.UsageError(f"Options come after the task: ricorso tune {ctx.invoked_subcommand} DATA ...", ctx)
        return None
    if folder is None:
        raise click.UsageError("--resume FOLDER is missing.", ctx)
    from ricorso.tuning import continue_search

    return _search_and_tell(
        lambda listener: continue_search(folder, trials=trials, workers=workers or 1, listener=listener), as_json
    )


tune = Group(
    "tune",
    kind="task",
    members=TASKS,
    callback=_tune,
    invoke_without_command=True,
    help="Search for good settings: train briefly with many, stop the hopeless ones early, rank the rest.",
    epilog="Example: ricorso tune generate my-book.txt --trials 30 --epochs 3",
    params=[
        click.Option(
            ["--resume", "folder"],
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Continue the search in this folder with its own settings; no task is named then.",
        ),
        click.Option(["--trials"], type=click.IntRange(1), help="With --resume: how many in all, if not as before."),
        click.Option(["--workers"], type=click.IntRange(1), help=f"With --resume: {_WORKERS}"),
        click.Option(["--json", "as_json"], is_flag=True, help="With --resume: print one JSON object."),
    ],
)


def generate_command() -> click.Command:
    """Make `ricorso tune generate`."""
    return _command(
        "generate",
        "Search for settings with which the text in the file DATA is learnt best.",
        folds="cut the text into so many parts, hold each out once",
        epilog="Example: ricorso tune generate my-book.txt --trials 30 --epochs 3 "
        "--vary hidden_size=128..512:64 --vary cell=gru,lstm",
    )


def forecast_command() -> click.Command:
    """Make `ricorso tune forecast`."""
    return _command(
        "forecast",
        "Search for settings with which the series in the file DATA are forecast best.",
        folds="cut the series at so many times, each time train on what lies before and measure what follows",
        epilog="Example: ricorso tune forecast sales.csv --horizon 28 --trials 30 --epochs 20 --folds 3",
    )


def classify_command() -> click.Command:
    """Make `ricorso tune classify`."""
    return _command(
        "classify",
        "Search for settings with which the labels of the examples in DATA, a file or a folder, are told best.",
        folds="deal the examples into so many parts, every label in proportion, hold each out once",
        epilog="Example: ricorso tune classify reviews.csv --trials 20 --epochs 5 --folds 3",
    )


def tag_command() -> click.Command:
    """Make `ricorso tune tag`."""
    return _command(
        "tag",
        "Search for settings with which the words, or steps, in the file DATA are tagged best.",
        folds="deal the sequences into so many parts, hold each out once",
        epilog="Example: ricorso tune tag eng.train --valid eng.testa --trials 20 --epochs 3",
    )


def _command(task: str, goal: str, *, folds: str, epilog: str) -> click.Command:
    from ricorso.tuning.rules import rules_of
    from ricorso.tuning.study import PRUNERS, SAMPLERS

    rules = rules_of(task)
    compared = f" Compared is the loss on validation data: {rules.loss}." if rules.loss else ""
    usual = ", ".join(f"{name}={values}" for name, values in rules.space.items())
    params: list[click.Parameter] = [
        click.Argument(["data"], type=click.Path(path_type=Path)),
        click.Option(["--trials"], type=click.IntRange(1), default=20, show_default=True, help="Trainings in all."),
        click.Option(
            ["--vary"],
            multiple=True,
            metavar="NAME=VALUES",
            help="Search over this setting: low..high, low..high:log, low..high:step, or values with commas between "
            f"them. Given again for more; left out: {usual}, less what is fixed.",
        ),
        click.Option(
            ["--space", "space_file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="What to search over, from a JSON or TOML file: for each setting a list, a table of low, high and log "
            "or step, or a text as for --vary, which comes first.",
        ),
        click.Option(
            ["--sampler"],
            type=click.Choice(SAMPLERS),
            default="tpe",
            show_default=True,
            help="What proposes settings: tpe learns from the trials so far, grid goes through all combinations.",
        ),
        click.Option(
            ["--pruner"],
            type=click.Choice(PRUNERS),
            default="median",
            show_default=True,
            help="What ends hopeless trials: median, those worse than most at the same point; hyperband, those not "
            "among the best third at a few points.",
        ),
        click.Option(["--folds"], type=click.IntRange(1), default=1, show_default=True, help=_FOLDS.format(folds)),
        click.Option(["--workers"], type=click.IntRange(1), default=1, show_default=True, help=_WORKERS),
        click.Option(
            ["--keep"],
            type=click.IntRange(0),
            default=1,
            show_default=True,
            help="How many of the best keep their run folders.",
        ),
        *task_options(
            rules.load_config(),
            out="The folder of the search; left out, a new one under tunes/. One with this search in it is continued.",
            settings="options given here and --vary come first.",
            validation=rules.validation is not None,
        ),
    ]
    return click.Command(
        task,
        params=params,
        callback=lambda **given: _start(task, **given),
        help=f"{goal}{compared} Every option of `ricorso train {task}` is fixed by giving it. With --epochs alone a "
        "search comes out the same each time; with a limit in minutes, which is the default, it depends on how fast "
        "the machine is at the moment.",
        epilog=epilog,
    )


def _start(
    task: str,
    data: Path,
    vary: tuple[str, ...],
    space_file: Path | None,
    out: Path | None,
    config_file: Path | None,
    as_json: bool,
    trials: int,
    sampler: Any,
    pruner: Any,
    folds: int,
    workers: int,
    keep: int,
    valid: str | None = None,
    **given: Any,
) -> int:
    from ricorso.cli.setting import read_config_file
    from ricorso.tuning import tune as search
    from ricorso.tuning.space import read_vary

    settings = settings_of(config_file, given)
    space = {**(read_config_file(space_file, "--space") if space_file else {}), **read_vary(vary)}
    for name in space:
        if given.get(name) is not None:
            raise UsageError(
                f"{name} is fixed and searched at once; leave out --{name.replace('_', '-')} or its --vary."
            )
    return _search_and_tell(
        lambda listener: search(
            task,
            data,
            trials=trials,
            space=space or None,
            settings=settings,
            validation=valid,
            out=out,
            sampler=sampler,
            pruner=pruner,
            folds=folds,
            workers=workers,
            keep=keep,
            listener=listener,
        ),
        as_json,
    )


def _search_and_tell(work: "Callable[[SearchListener], TuneResult]", as_json: bool) -> int:
    """Run a search under the eyes of the user and say what it found; returns the exit status."""
    from ricorso.cli.tune_display import TuneDisplay
    from ricorso.tuning import SearchInterrupted

    try:
        with TuneDisplay() as display:
            found = work(display)
    except SearchInterrupted as stop:
        command = f"ricorso tune --resume {quote(str(stop.folder))}"
        if as_json:
            answer({"folder": str(stop.folder), "finished": False, "resume": command})
        click.echo(f"\nStopped; what is done is kept. To go on from here:\n\n  {command}", err=True)
        return stop.exit_status
    if as_json:
        answer(_as_json(found))
        return 0
    _print_ranking(found)
    best = found.best
    counts = {state: sum(row.state == state for row in found.trials) for state in ("complete", "pruned", "failed")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    click.echo(f"{len(found.trials)} trials: {told}. Best: trial {best.number}, validation loss {best.loss:.4f}.")
    for row in found.trials:
        if row.state == "failed":
            click.echo(f"Trial {row.number} failed: {row.note}")
    if found.importance.shares:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importance.shares.items())
        click.echo(f"What mattered (share of the variance of the ranks): {shares}.")
    if found.edge:
        click.echo(f"The best lies at the end of its range in {', '.join(found.edge)}; a wider one may hold better.")
    for warning in found.warnings:
        click.echo(warning)
    if best.folder:
        click.echo(f"Model   {best.folder}")
    click.echo(f"Report  {found.report}")
    click.echo(f"\nTrain the best with:\n\n  {found.command}")
    return 0


def _as_json(found: "TuneResult") -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "finished": True,
        "best": found.best.to_json(),
        "ranking": [row.to_json() for row in found.ranking],
        "others": [row.to_json() for row in found.trials if row.loss is None],
        "importance": dict(found.importance.shares),
        "warnings": list(found.warnings),
        "command": found.command,
        "report": str(found.report),
    }


def _print_ranking(found: "TuneResult") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from ricorso.tuning.result import shown

    names = list(found.best.settings)
    with_spread = found.best.spread is not None
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("rank", "trial", "validation loss", *(["spread"] if with_spread else []), *names, "seconds"):
        table.add_column(name, justify="left" if name == "cell" else "right")
    for rank, row in enumerate(found.ranking[:_ROWS], 1):
        cells = [str(rank), str(row.number), f"{row.loss:.4f}", *([f"{row.spread:.4f}"] if with_spread else [])]
        table.add_row(*cells, *(shown(row.settings[name]) for name in names), f"{row.seconds:.1f}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)
