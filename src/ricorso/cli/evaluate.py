"""`ricorso evaluate RUN DATA`: measure a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ricorso.cli.grammar import answer, json_option
from ricorso.errors import UsageError


@click.command(epilog="Example: ricorso evaluate runs/sales sales.csv --origins 12 --refit")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--stateful",
    is_flag=True,
    help="For texts: measure one pass that carries the state through the whole text as well.",
)
@click.option(
    "--origins",
    type=click.IntRange(1),
    help="For series: forecast from so many points in time at their end, and not only from the last.",
)
@click.option(
    "--stride", type=click.IntRange(1), help="With --origins: the steps from one to the next; left out, a horizon."
)
@click.option(
    "--refit",
    is_flag=True,
    help="With --origins: for each, train a new model with the same settings on what lies before it, as it would have "
    "been done at that time. It takes as long as so many trainings.",
)
@json_option
def evaluate(
    run: Path, data: Path, stateful: bool, origins: int | None, stride: int | None, refit: bool, as_json: bool
) -> None:
    """Measure the model in the folder RUN on the file DATA.

    A text (`-` reads standard input) is read in windows that each start from a zero state, so that figures of different
    models compare. Of series the last horizon is forecast from what stands before it; with --origins as many horizons
    before it as well, and each is compared with what came. Of labelled examples the labels are compared.
    """
    from ricorso.tasks import load

    if origins is None and (stride is not None or refit):
        raise UsageError(f"{'--refit' if refit else '--stride'} needs --origins: how often to forecast.")
    model = load(run)
    for flag, given, task, what in (
        ("--stateful", stateful, "generate", "texts"),
        ("--origins", origins is not None, "forecast", "series"),
    ):
        if given and model.task != task:
            raise UsageError(f"{flag} is for {what}; '{run}' is a run of the task {model.task}.")
    if origins is not None:
        _backtest(model, run, data, as_json, count=origins, stride=stride, refit=refit)
        return
    figures = model.evaluate(data, stateful=stateful) if model.task == "generate" else model.evaluate(data)
    if as_json:
        answer({"run": str(run), **figures})
    elif model.task == "generate":
        _show_text(figures)
    elif model.task == "tag":
        from ricorso.tasks.tag.metrics import figures_table as tags_table

        click.echo(tags_table(figures))
    else:
        from ricorso.cli.telling import figures_table, labels_table

        click.echo(figures_table(figures) if model.task == "forecast" else labels_table(figures))


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


# --- rolling origins


def _backtest(model: Any, run: Path, data: Path, as_json: bool, *, refit: bool, **places: Any) -> None:
    from ricorso.tasks.forecast.backtest import backtest

    done = 0

    def tell(row: Mapping[str, Any]) -> None:
        nonlocal done
        done += 1
        if refit:
            click.echo(f"origin {done}, {_place(row)}: trained and measured, MAE {row['mae']:.4g}", err=True)

    figures = backtest(model, data, refit=refit, on_origin=tell, **places)
    rows = [{**row, "from": row["from"] if row["from"] is None else str(row["from"])} for row in figures["origins"]]
    if as_json:
        answer({"run": str(run), "refit": refit, **figures, "origins": rows})
        return
    click.echo(_origins_table(figures, rows, refit))


def _origins_table(figures: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], refit: bool) -> str:
    sides = {"mae": "model", "seasonal_naive_mae": "seasonal naive", "naive_mae": "last value"}
    lines = [
        "Mean absolute error of each forecast:",
        "",
        f"  {'forecast from':<24}" + "".join(f"{s:>16}" for s in sides.values()),
    ]
    lines += [f"  {_place(row):<24}" + "".join(f"{row[name]:>16.4g}" for name in sides) for row in rows]
    total = [figures["mae"], figures["seasonal_naive"]["mae"], figures["naive"]["mae"]]
    lines.append(f"  {'all':<24}" + "".join(f"{value:>16.4g}" for value in total))
    better = {label: sum(row["mae"] < row[name] for row in rows) for name, label in list(sides.items())[1:]}
    told = ", than the ".join(f"{label} at {count}" for label, count in better.items())
    lines += ["", f"  Better than the {told} of {len(rows)} origins."]
    if "wql" in figures:
        lines.append(f"  wQL {figures['wql']:.4g}.")
    inside = [f"{figures[f'coverage_{w}']:.0%} in the interval of {w}%" for w in (80, 95) if f"coverage_{w}" in figures]
    if inside:
        lines.append(f"  Of what came, {' and '.join(inside)}.")
    how = "each by a new model that knew only what lay before" if refit else "all by the model as it is"
    lines.append(f"  {figures['forecasts']:,} forecasts, {how}.")
    if not refit:
        lines.append(
            "  Where the model was trained on these steps, this is too good; --refit shows how it would have been."
        )
    return "\n".join(lines)


def _place(row: Mapping[str, Any]) -> str:
    """Where a forecast begins, in words."""
    if row["from"] is None:
        return f"{row['back']} steps before the last"
    return str(row["from"]).removesuffix(" 00:00:00")
