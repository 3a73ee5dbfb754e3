"""`ricorso predict RUN [DATA]`: labels, forecasts, or the anomalies of what came, as a table and as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ricorso.cli.grammar import json_option
from ricorso.errors import RunError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from ricorso.tasks.classify.task import Classifier
    from ricorso.tasks.forecast.task import Forecaster
    from ricorso.tasks.tag.task import Tagger

FORMATS = (".csv", ".jsonl", ".parquet")
COLUMNS = ".conll"
_OF_ANOMALIES = ("false_alarm_every", "window", "since", "usual_until")
# which task each option is for
_OPTIONS: dict[str, tuple[str, ...]] = dict.fromkeys(("anomalies", *_OF_ANOMALIES, "quantiles", "paths"), ("forecast",))
_OPTIONS |= {"explain": ("classify",), "page": ("forecast", "tag")}


@click.command(epilog="Example: ricorso predict runs/reviews new-reviews.csv --explain --out labels.csv")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where to write, as .csv, .jsonl or .parquet, of tagged sentences also as .conll; left out, CSV to standard "
    "output.",
)
@click.option(
    "--explain", is_flag=True, help="Of labels: add the words, or the steps, that spoke most for the likeliest one."
)
@click.option(
    "--quantiles", metavar="Q,Q,...", help="Of forecasts: others than those that were trained, such as 0.1,0.5,0.9."
)
@click.option(
    "--paths", metavar="N", type=click.IntRange(1), help="Of forecasts: N possible futures in place of quantiles."
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
    help="Write a page too: of the forecasts, of the anomalies, or of the tagged sentences.",
)
@json_option
def predict(run: Path, data: Path | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """Label the examples in DATA with the model in the folder RUN, or forecast what comes after the series in DATA.

    Of a classifier: a row for each example in DATA, with its label and the probability of each; `-` reads a text from
    each line of standard input. Of a tagger: a row for each word of the sentences in DATA (a line each in .txt and on
    standard input, else as in training), or for each step of series; --out FILE.conll or FILE.jsonl writes sentences as
    training reads them. Of a forecaster: DATA may hold newer values of
    the series that were learnt, or other ones; left out, the training data are read again. With --anomalies every
    value is compared with the forecast made one step before it.
    """
    from ricorso.tasks import load

    if out is not None and out.suffix not in (*FORMATS, COLUMNS):
        raise UsageError(f"--out should end in {', '.join(FORMATS)} or, of tagged sentences, {COLUMNS}; got '{out}'.")
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    if "anomalies" not in given:
        for name in _OF_ANOMALIES:
            if name in given:
                raise UsageError(f"{_flag(name)} needs --anomalies.")
    ways = [name for name in ("anomalies", "quantiles", "paths") if name in given]
    if len(ways) > 1:
        raise UsageError(f"{_flag(ways[0])} and {_flag(ways[1])} exclude each other; give one of them.")
    model = load(run)
    for name in given:
        if model.task not in _OPTIONS[name]:
            wanted = " and ".join(_OPTIONS[name])
            raise UsageError(
                f"{_flag(name)} is for runs of the task {wanted}; '{run}' is a run of the task {model.task}."
            )
    if out is not None and out.suffix == COLUMNS and model.task != "tag":
        raise UsageError(f"{COLUMNS} is for tagged sentences; '{run}' is a run of the task {model.task}.")
    frame: pl.DataFrame | str
    if model.task == "classify":
        frame = _labels(model, run, data, **given)
    elif model.task == "forecast":
        frame = _forecast(model, data, **given)
    elif model.task == "tag":
        frame = _tags(model, run, data, out, **given)
    else:
        raise UsageError(f"'{run}' is a run of the task {model.task}; this is for classify, forecast and tag.")
    if out is None:
        assert not isinstance(frame, str)
        click.echo(frame.write_ndjson() if as_json else frame.write_csv(), nl=False)
        return
    try:
        _write(frame, out)
    except OSError as error:
        raise RunError(f"'{out}' could not be written: {error}.") from error
    rows = "Sentences" if isinstance(frame, str) else f"{len(frame):,} rows"
    click.echo(f"{rows} written to {out}", err=True)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _labels(classifier: "Classifier", run: Path, data: Path | None, explain: bool = False) -> "pl.DataFrame":
    if data is None:
        raise UsageError(f"DATA is missing: what should '{run}' label? Give a file, or - for lines of standard input.")
    return classifier.table(data, explain=explain)


def _tags(
    tagger: "Tagger", run: Path, data: Path | None, out: Path | None, page: Path | None = None
) -> "pl.DataFrame | str":
    """A row for each step; of words in a file that tagged sentences are read from too, its text."""
    from ricorso.data.conll import to_columns, to_json_lines

    if data is None:
        raise UsageError(f"DATA is missing: what should '{run}' tag? Give a file, or - for lines of standard input.")
    sequences = tagger.sequences(data)
    if page is not None:
        click.echo(f"Marked: {tagger.show(sequences).save(page)}", err=True)
    forms = {COLUMNS: to_columns, ".jsonl": to_json_lines}
    if out is None or out.suffix not in forms or not tagger.reads_words:
        if out is not None and out.suffix == COLUMNS:
            raise UsageError(f"{COLUMNS} is for words; '{run}' tags series. Write .csv, .jsonl or .parquet.")
        return tagger.table(sequences)
    return forms[out.suffix](zip(sequences, tagger.predict(sequences), strict=True))


def _forecast(
    forecaster: "Forecaster",
    data: Path | None,
    *,
    anomalies: bool = False,
    quantiles: str | None = None,
    paths: int | None = None,
    page: Path | None = None,
    **of_anomalies: Any,
) -> "pl.DataFrame":
    if anomalies:
        frame = _anomalies(forecaster, data, page, of_anomalies)
    else:
        levels = None if quantiles is None else _levels(quantiles)
        frame = forecaster.sample(data, paths=paths) if paths else forecaster.predict(data, quantiles=levels)
        if page is not None:
            forecaster.plot(data).save(page)
    if page is not None:
        click.echo(f"Pictures: {page}", err=True)
    return frame


def _levels(quantiles: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in quantiles.split(","))
    except ValueError as error:
        raise UsageError(f"--quantiles should be numbers such as 0.1,0.5,0.9, got '{quantiles}'.") from error


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


def _write(frame: "pl.DataFrame | str", out: Path) -> None:
    if isinstance(frame, str):
        out.write_text(frame, encoding="utf-8")
    elif out.suffix == ".parquet":
        frame.write_parquet(out)
    elif out.suffix == ".jsonl":
        frame.write_ndjson(out)
    else:
        frame.write_csv(out)
