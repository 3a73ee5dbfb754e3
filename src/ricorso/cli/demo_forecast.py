"""`ricorso demo forecast`: two series that are made on the spot, learnt, forecast, and left to run free."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click
import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.cli.run_folder import free_folder, train_and_tell
from ricorso.cli.telling import TELLING, Made
from ricorso.errors import UsageError
from ricorso.tasks.forecast.metrics import middle, seasonal_naive

if TYPE_CHECKING:
    from ricorso.insight.free_run import FreeRun
    from ricorso.tasks.forecast.task import Forecaster

PERIOD, PERIODS, DAYS = 24, 3, 84
NOISE = 0.1
_START = datetime(2024, 1, 1)
_RUN_FREE = _START + timedelta(days=DAYS)
_ABOUT = (
    f"<p>Left of the dotted line, each value is forecast from those before it. Right of it the network sees no more "
    f"data: for {PERIODS} days it goes on from its own forecasts, beside what really came.</p>"
)


def demo_forecast(minutes: float, out: Path | None, seed: int | None, as_json: bool) -> int:
    """Train on the two series, tell how good the forecasts are and how they run free; returns the exit status.

    The table is written beside the run folder, so that the run can be used on. Raises UsageError where a file of that
    name is in the way.
    """
    from ricorso.tasks.forecast.task import Forecaster

    folder = out or free_folder("demo-forecast")
    table = folder.with_name(f"{folder.name}.csv")
    whole = series()
    _write(known_part(whole), table)
    click.echo(
        f"Learning a noisy sine and the visitors of a place, by the hour, for {minutes:g} minutes, "
        "from nothing, on this computer's CPU.",
        err=True,
    )
    options = {"minutes": minutes} | ({} if seed is None else {"seed": seed})
    forecaster = Forecaster(**options)
    return train_and_tell(
        lambda listener: forecaster.fit(table, out=folder, listener=listener),
        as_json,
        lambda run: _next_steps(run, table),
        lambda model: _made(model, whole),
    )


def series() -> pl.DataFrame:
    """Two series by the hour: a sine of a day with noise, and visitors with a day, a week and a slow growth.

    The last `PERIODS` days are for comparison with a free run. Columns: hour, series, value.
    """
    draw, steps = np.random.default_rng(0), np.arange((DAYS + PERIODS) * PERIOD)
    hour, day = steps % PERIOD, steps // PERIOD
    sine = clean_sine(len(steps)) + NOISE * draw.normal(size=len(steps))
    of_day = np.exp(-(((hour - 11) / 2.5) ** 2)) + 1.4 * np.exp(-(((hour - 17) / 2.0) ** 2))
    of_week = np.array([0.7, 0.75, 0.8, 0.9, 1.1, 1.6, 1.4])[day % 7]
    visitors = (20 + 300 * of_day * of_week) * (1 + 0.004 * day) * np.exp(0.06 * draw.normal(size=len(steps)))
    times = np.datetime64(_START, "us") + steps * np.timedelta64(1, "h")
    return pl.concat(
        pl.DataFrame({"hour": times, "series": [name] * len(steps), "value": values})
        for name, values in (("noisy sine", sine), ("visitors", visitors.round()))
    )


def clean_sine(steps: int) -> NDArray[np.float64]:
    """The sine without its noise."""
    found: NDArray[np.float64] = np.sin(2 * np.pi * np.arange(steps) / PERIOD)
    return found


def known_part(whole: pl.DataFrame) -> pl.DataFrame:
    """What is learnt from: all but the last `PERIODS` days of each series."""
    return whole.filter(pl.col("hour") < _RUN_FREE)


def run_free(forecaster: "Forecaster", known: pl.DataFrame, steps: int) -> pl.DataFrame:
    """The `steps` values of each series that come after, each horizon made from the one before."""
    found = known
    column = f"q{forecaster.levels[middle(forecaster.levels)]:g}"
    for _ in range(0, steps, forecaster.config_.horizon or 1):
        ahead = forecaster.predict(found)
        values = ahead.select(pl.col("time").alias("hour"), "series", pl.col(column).alias("value"))
        found = pl.concat([found, values])
    return found.filter(pl.col("hour") >= _RUN_FREE, pl.col("hour") < _RUN_FREE + timedelta(hours=steps))


def free_runs(forecaster: "Forecaster", whole: pl.DataFrame) -> list["FreeRun"]:
    """Each series over its last `2 * PERIODS` days: first the next value predicted, then the free run."""
    from ricorso.insight.free_run import FreeRun

    steps, horizon = PERIODS * PERIOD, forecaster.config_.horizon or 1
    known = known_part(whole)
    free = run_free(forecaster, known, steps)
    # origins of the steps before the free run are followed by those within it, as far as a horizon fits
    seen = forecaster.hindsight(whole, count=2 * steps - horizon + 1, stride=1)
    found = []
    for (name,), part in whole.group_by("series", maintain_order=True):
        shown = part.tail(2 * steps)
        nexts = [one for one in seen if one.name == name and one.times[0] < np.datetime64(_RUN_FREE)]
        found.append(
            FreeRun(
                str(name),
                shown["value"].to_numpy(),
                np.array([one.quantiles[0, middle(forecaster.levels)] for one in nexts]),
                free.filter(pl.col("series") == name)["value"].to_numpy(),
                shown["hour"].to_numpy(),
            )
        )
    return found


def _made(forecaster: "Forecaster", whole: pl.DataFrame) -> Made:
    from ricorso.insight.free_run import free_run_charts, phase_shift

    usual = TELLING[forecaster.task].made(forecaster)
    runs = free_runs(forecaster, whole)
    told, facts = [], {}
    for run in runs:
        naive = seasonal_naive(run.original[: run.begin], PERIOD, len(run.free))
        repeated = replace(run, free=naive).free_error
        facts[run.name] = {"next_error": run.error, "free_error": run.free_error, "repeated_error": repeated}
        told.append(
            f"{run.name}: the next value errs by {run.error:.3g}, the free run of {PERIODS} days by "
            f"{run.free_error:.3g}, repeating the last day by {repeated:.3g} (roots of the mean square)."
        )
    clean = clean_sine(len(whole) // 2)
    shift = phase_shift(runs[0].free, clean, PERIOD)
    told.append(f"The noise of the sine alone is {NOISE}; at the end its free run is shifted by {shift:.2f} hours.")
    facts["noisy sine"]["shift"] = shift
    sentences = "".join(f"<p>{sentence}</p>" for sentence in told)
    picture = f"<h3>{PERIODS} days on its own</h3>{_ABOUT}{free_run_charts(runs)}{sentences}<h3>The last day</h3>"
    text = "Running free:\n\n" + "\n".join(f"  {sentence}" for sentence in told)
    return Made({**usual.facts, "free_run": facts}, f"{usual.text}\n{text}\n", picture + (usual.picture or ""))


def _write(table: pl.DataFrame, path: Path) -> None:
    content = table.write_csv()
    if path.exists() and path.read_text(encoding="utf-8") != content:
        raise UsageError(f"'{path}' is in the way of the table of this demo; name another folder with --out.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def _next_steps(run: Path, table: Path) -> list[tuple[str, str]]:
    return [
        (f"ricorso predict {quote(str(run))}", "forecast what comes after the data"),
        (f"ricorso train forecast {quote(str(table))} --minutes 3", "learn the same table for longer"),
        ("ricorso train forecast FILE --minutes 1", "learn a table of your own"),
    ]
