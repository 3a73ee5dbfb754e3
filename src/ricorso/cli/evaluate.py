"""`ricorso evaluate RUN DATA`: measure a model."""

from pathlib import Path

import click

from ricorso.cli.grammar import answer, json_option


@click.command(epilog="Example: ricorso evaluate runs/my-book another-chapter.txt")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--stateful", is_flag=True, help="Measure one pass that carries the state through the whole text as well."
)
@json_option
def evaluate(run: Path, data: Path, stateful: bool, as_json: bool) -> None:
    """Measure the model in the folder RUN on the text file DATA (`-` reads standard input).

    The text is read in windows that each start from a zero state, so that figures of different models compare.
    """
    from ricorso.tasks import load

    figures = load(run).evaluate(data, stateful=stateful)
    if as_json:
        answer({"run": str(run), **figures})
        return
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
