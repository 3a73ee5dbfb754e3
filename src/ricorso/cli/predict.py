"""`ricorso predict RUN [DATA]`: forecasts, or the anomalies of what came, as a table and as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ricorso.cli.grammar import json_option
from ricorso.errors import RunError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from ricorso.tasks.forecast.task import Forecaster

FORMATS = (".csv", ".jsonl", ".parquet")


@click.command(epilog="Example: ricorso predict runs/sales new-sales.csv --out forecast.csv")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where to write, as .csv, .jsonl or .parquet; left out, CSV to standard output.",
)
@click.option(
    "--anomalies", is_flag=True, help="Say of every step in DATA how unusual it is, and flag what stands out."
)
@click.option(
    "--false-alarm-every",
    metavar="STEPS",
    type=click.FloatRange(min=1, min_open=True),
    help="With --anomalies: flag so that one usual step in so many is flagged by chance  [default: 10000]",
)
@click.option(
    "--window",
    metavar="N",
    type=click.IntRange(1),
    help="With --anomalies: how many values are judged together; 1 for each alone  [default: 10]",
)
@click.option("--since", metavar="TIME", help="With --anomalies: begin here; earlier steps only serve the forecasts.")
@click.option(
    "--usual-until", metavar="TIME", help="With --anomalies: learn from steps before this time only what is usual."
)
@click.option(
    "--page",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a page with pictures too, of the forecasts or of the anomalies.",
)
@json_option
def predict(
    run: Path, data: Path | None, out: Path | None, anomalies: bool, false_alarm_every: float | None,
    window: int | None, since: str | None, usual_until: str | None, page: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Forecast with the model in the folder RUN what comes after the series in DATA, or find what was unusual in it.

    DATA may hold newer values of the series that were learnt, or other ones; left out, the training data are read
    again. With --anomalies every value is compared with the forecast made one step before it.
    """
    from ricorso.tasks import load

    if out is not None and out.suffix not in FORMATS:
        raise UsageError(f"--out should end in {', '.join(FORMATS)}, got '{out}'.")
    options = {
        "false_alarm_every": false_alarm_every, "window": window, "since": since, "usual_until": usual_until,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    if given and not anomalies:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} needs --anomalies.")
    forecaster: Forecaster = load(run, "forecast")
    if anomalies:
        frame = _anomalies(forecaster, data, page, given)
    else:
        frame = forecaster.predict(data)
        if page is not None:
            forecaster.plot(data).save(page)
    if page is not None:
        click.echo(f"Pictures: {page}", err=True)
    if out is None:
        click.echo(frame.write_ndjson() if as_json else frame.write_csv(), nl=False)
        return
    try:
        _write(frame, out)
    except OSError as error:
        raise RunError(f"'{out}' could not be written: {error}.") from error
    click.echo(f"{len(frame):,} rows written to {out}", err=True)


def _anomalies(
    forecaster: "Forecaster", data: Path | None, page: Path | None, options: dict[str, Any]
) -> "pl.DataFrame":
    """The frame of anomalies; what stands out is told on standard error, and drawn on the page."""
    from ricorso.insight.anomalies import alarms, told, write_anomalies
    from ricorso.tasks.forecast.anomaly import FALSE_ALARM_EVERY

    frame = forecaster.anomalies(data, **options)
    every = float(options.get("false_alarm_every", FALSE_ALARM_EVERY))
    found = alarms(frame)
    click.echo(told(frame, found, every), err=True)
    for row in found.head(5).iter_rows(named=True):
        times = str(row["from"]) if row["from"] == row["to"] else f"{row['from']} to {row['to']}"
        click.echo(f"  {times}: score {row['score']:.1f}, {row['value']:.5g} for {row['expected']:.5g}", err=True)
    if page is not None:
        name = Path(data or forecaster.data_["path"] or "the training data").name
        write_anomalies(frame, page, title=f"Anomalies in {name}", false_alarm_every=every)
    return frame


def _write(frame: "pl.DataFrame", out: Path) -> None:
    if out.suffix == ".parquet":
        frame.write_parquet(out)
    elif out.suffix == ".jsonl":
        frame.write_ndjson(out)
    else:
        frame.write_csv(out)
