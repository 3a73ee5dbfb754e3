"""`ricorso inspect RUN [DATA]`: a look inside a model."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from ricorso.cli.grammar import answer, json_option

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ricorso.insight.inspection import Inspection

_STYLES = {"vanishing": "bold yellow", "healthy": "bold green", "exploding": "bold red"}


@click.command(epilog="Example: ricorso inspect runs/my-book another-chapter.txt --prompt 'It was a dark '")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option(
    "--unit", metavar="N", type=click.IntRange(min=0), help="Of text models: show this unit of the top layer over DATA."
)
@click.option(
    "--prompt",
    help="Explain what the model expects after this text, or the label or a tag of it; left out, of a piece of DATA.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    default=200,
    show_default=True,
    help="How many steps back the gradient is followed.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Where in a long text to look, or which example to explain.",
)
@json_option
def inspect(
    run: Path, data: Path | None, unit: int | None, prompt: str | None, steps: int, seed: int, as_json: bool
) -> None:
    """Look into the model in the folder RUN while it reads DATA (`-` reads standard input).

    How far back its gradient reaches, what its gates do, what single units follow, what a prediction came from and
    where the time of a training step goes. The pictures are added to report.html in RUN. DATA is a text for a text
    model; for a classifier or a tagger it is what `ricorso predict` takes. Without DATA the model reads what the run
    kept for validation.
    """
    from ricorso.insight.inside import section
    from ricorso.insight.inspection import inspect as look
    from ricorso.insight.report import write_report
    from ricorso.tasks import load

    model = load(run)
    found = look(model, data, steps=steps, unit=unit, prompt=prompt, seed=seed)
    meanings = {name: field.description or "" for name, field in type(model.config_).model_fields.items()}
    report: Path | None = None
    try:
        report = write_report(run, meanings, section(found))
    except OSError as error:
        # what was found can be told without a page
        click.echo(f"The report could not be written to '{run}' ({error.strerror}); the run is as it was.", err=True)
    if as_json:
        answer({"run": str(run), "report": report and str(report), **found.to_json()})
        return
    from rich.console import Console

    _tell(found, Console(highlight=False, soft_wrap=True))
    if report:
        what = "Pictures" if found.examples else "Pictures, and the text coloured by units"
        click.echo(f"\n{what}: {quote(str(report))}")


def _tell(found: "Inspection", console: "Console") -> None:
    from rich.text import Text

    console.print(f"{found.cell} reading {found.read}\n", markup=False)
    for reach, verdict, advice in zip(found.reach, found.verdicts, found.advice, strict=True):
        name = "Gradient" if len(found.reach) == 1 else f"Gradient, layer {reach.place}"
        console.print(Text(f"{name}: ").append(verdict.name, _STYLES[verdict.name]).append(f". {verdict.why}"))
        for line in advice:
            console.print(f"  - {line}", markup=False)
    for table in (_gates(found), _memory(found), _followers(found), _profile(found)):
        if table.row_count:
            console.print()
            console.print(table)
    console.print(f"\n{_explained(found)}", markup=False)


def _explained(found: "Inspection") -> str:
    """A prediction, and what counted most for it."""
    saliency, pieces = found.saliency, found.saliency.pieces
    ranked = sorted(zip(map(abs, saliency.share), range(len(pieces)), strict=True), reverse=True)[:5]
    if found.examples is None:
        tail = "".join(pieces)[-30:]
        told = ", ".join(f"{pieces[n]!r} {len(pieces) - 1 - n} back" for _, n in ranked)
        return f"After {tail!r} it gives {saliency.next!r} {saliency.probability:.1%}.\nWhat counted most: {told}."
    of = f"this {found.examples.one}" if saliency.step is None else repr(pieces[saliency.step])
    least = "" if saliency.step is None else ", of which it is least sure,"
    steps = "" if found.examples.step == "step" else (" " if found.examples.step == "word" else "").join(pieces)
    shown = f"{steps[:200]}\n" if steps else ""
    told = ", ".join(f"{pieces[n]!r} ({'for' if saliency.share[n] > 0 else 'against'})" for _, n in ranked)
    given = (
        f"It gives {of}{least} the {saliency.kind} {saliency.next!r} with a probability of {saliency.probability:.1%}."
    )
    return f"{shown}{given}\nWhat counted most: {told}."


def _table(title: str, *columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for n, column in enumerate(columns):
        table.add_column(column, justify="left" if n == 0 else "right")
    return table


def _gates(found: "Inspection") -> "Table":
    table = _table("Gates, and how often they are saturated", "activation", "layer", "mean", "low", "high")
    for gates in found.gates:
        for a in gates.activations:
            table.add_row(a.name, gates.place, f"{a.mean:.2f}", f"{a.low:.0%}", f"{a.high:.0%}")
    return table


def _memory(found: "Inspection") -> "Table":
    table = _table("Memory", "what", "layer", "value")
    for gates in found.gates:
        for state, values in gates.time_constants.items():
            median = sorted(values)[len(values) // 2]
            told = f"{median:.1f} steps, longest {max(values):.0f}"
            table.add_row(f"units keep {state} for (median)", gates.place, told)
        for gate, radius in gates.spectral_radius.items():
            table.add_row(f"spectral radius, {gate}", gates.place, f"{radius:.2f}")
        table.add_row("dead units", gates.place, f"{len(gates.dead)} of {gates.units}")
    return table


def _followers(found: "Inspection") -> "Table":
    table = _table("Units that follow the text", "what", "unit", "correlation")
    for follower in found.followers:
        table.add_row(follower.feature, str(follower.unit), f"{follower.correlation:+.2f}")
    return table


def _profile(found: "Inspection") -> "Table":
    table = _table(f"A training step, {found.profile.milliseconds:.1f} ms", "what", "share")
    for kind, share in found.profile.shares.items():
        table.add_row(kind, f"{share:.0%}")
    return table
