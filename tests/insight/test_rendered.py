"""The pages in a browser: every chart of them is drawn."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from browser import undrawn

from ricorso.insight.comparison import compare, write_comparison
from ricorso.insight.forecast import forecasts_section
from ricorso.insight.free_run import FreeRun, free_run_charts
from ricorso.insight.report import write_report
from ricorso.insight.runs import look
from ricorso.tasks.forecast.task import Forecaster


def test_every_chart_is_drawn(tmp_path: Path) -> None:
    options = {"horizon": 4, "season": 4, "context": 12, "segment": 4, "hidden_size": 8, "threads": 1}
    times = [datetime(2024, 1, 1) + timedelta(hours=t) for t in range(40)]
    table = pl.DataFrame({"when": times, "sold": np.random.default_rng(0).normal(size=40)})
    run = tmp_path / "run"
    forecaster = Forecaster(**options, epochs=1, windows_per_epoch=50).fit(table, out=run)
    assert undrawn(write_comparison(compare([look(run), look(run)]), tmp_path / "comparison.html")) == []
    wave = np.sin(np.arange(9.0))
    free = free_run_charts([FreeRun("wave", wave, wave[2:6], wave[6:])])
    assert undrawn(write_report(run, made=free + forecasts_section(forecaster))) == []
