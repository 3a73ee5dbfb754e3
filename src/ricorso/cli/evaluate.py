"""`ricorso evaluate RUN DATA`: measure a model."""

from pathlib import Path
from typing import Any

import click

from ricorso.cli.grammar import answer, json_option
from ricorso.errors import UsageError


@click.command(epilog="Example: ricorso evaluate runs/my-book another-chapter.txt")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--stateful",
    is_flag=True,
    help="For texts: measure one pass that carries the state through the whole text as well.",
)
@json_option
def evaluate(run: Path, data: Path, stateful: bool, as_json: bool) -> None:
    """Measure the model in the folder RUN on the file DATA.

    A text (`-` reads standard input) is read in windows that each start from a zero state, so that figures of different
    models compare. Of series the last horizon is forecast from what stands before it.
    """
    from ricorso.tasks import load

    model = load(run)
    if stateful and model.task != "generate":
        raise UsageError(f"--stateful is for texts; '{run}' is a run of the task {model.task}.")
    figures = model.evaluate(data, stateful=stateful) if model.task == "generate" else model.evaluate(data)
    if as_json:
        answer({"run": str(run), **figures})
    elif model.task == "generate":
        _show_text(figures)
    else:
        from ricorso.cli.telling import figures_table

        click.echo(figures_table(figures))


def _show_text(figures: dict[str, Any]) -> None:
    carried = figures.pop("stateful", None)
    click.echo(f"Windows of {figures['window']} symbols, each from a zero state:")
    _show(figures)
    if carried is not None:
        click.echo("One pass, the state carried through (not comparable with the figures above):")
        _show(carried)


def _show(figures: dict[str, float]) -> None:
    for name, form in (
        ("nats_per_symbol", ".4f"),
        ("bits_per_character", ".4f"),
        ("perplexity", ".3f"),
        ("symbols", ","),
    ):
        click.echo(f"  {name.replace('_', ' '):<19} {figures[name]:{form}}")
    if figures.get("unknown"):
        click.echo(f"  {'unknown symbols':<19} {figures['unknown']:.2%} (the model has never seen them)")
