"""`ricorso predict RUN [DATA]`: forecasts as a table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ricorso.cli.grammar import json_option
from ricorso.errors import RunError, UsageError

if TYPE_CHECKING:
    import polars as pl

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
@json_option
def predict(run: Path, data: Path | None, out: Path | None, as_json: bool) -> None:
    """Forecast with the model in the folder RUN what comes after the series in DATA.

    DATA may hold newer values of the series that were learnt, or other ones; left out, the training data are read
    again.
    """
    from ricorso.tasks import load

    if out is not None and out.suffix not in FORMATS:
        raise UsageError(f"--out should end in {', '.join(FORMATS)}, got '{out}'.")
    frame = load(run, "forecast").predict(data)
    if out is None:
        click.echo(frame.write_ndjson() if as_json else frame.write_csv(), nl=False)
        return
    try:
        _write(frame, out)
    except OSError as error:
        raise RunError(f"'{out}' could not be written: {error}.") from error
    click.echo(f"{len(frame):,} rows written to {out}", err=True)


def _write(frame: "pl.DataFrame", out: Path) -> None:
    if out.suffix == ".parquet":
        frame.write_parquet(out)
    elif out.suffix == ".jsonl":
        frame.write_ndjson(out)
    else:
        frame.write_csv(out)
