import json
import re
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ricorso.insight.forecast import forecasts_section, table, verdict, wins
from ricorso.tasks.forecast.metrics import measures
from ricorso.tasks.forecast.task import Forecaster

SMALL: dict[str, Any] = {
    "horizon": 4, "season": 4, "context": 12, "segment": 4, "hidden_size": 8, "batch_size": 16, "epochs": 1,
    "windows_per_epoch": 100, "threads": 1,
}  # fmt: skip
FIGURES = {"mase": 0.6, "mae": 6.0, "rmse": 8.0, "smape": 9.0, "wql": 0.05, "season": 12}


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    times = [datetime(2024, 1, 1) + timedelta(hours=t) for t in range(40)]
    draw = np.random.default_rng(0)
    parts = [
        pl.DataFrame(
            {"id": [f"<{n}>"] * 40, "when": times, "y": np.sin(np.pi * np.arange(40) / 2) + draw.normal(size=40)}
        )
        for n in range(8)
    ]
    return Forecaster(**SMALL).fit(pl.concat(parts))


def test_hindsight_is_computed_once(fitted: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    hindsight = Forecaster.hindsight

    def counted(self: Forecaster, *arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return hindsight(self, *arguments, **options)

    monkeypatch.setattr(Forecaster, "hindsight", counted)
    text = forecasts_section(fitted)
    assert len(calls) == 1
    seen = hindsight(fitted)
    figures = measures(seen, fitted.levels, 4, 4)
    assert forecasts_section(fitted, found=seen, figures=figures) == text
    assert len(calls) == 1


def test_the_section_holds_pictures_measures_errors_and_intervals(fitted: Forecaster) -> None:
    text = forecasts_section(fitted)
    seen = fitted.hindsight()
    assert f"{measures(seen, fitted.levels, 4, 4)['mae']:.4g}" in text
    assert "6 of 8 series" in text
    assert "<0>" not in text
    assert "&lt;7&gt;" in text
    found = json.loads(re.search(r'id="forecast-errors">(.*?)</script>', text)[1])
    assert len(found["steps"]["own"]) == len(found["steps"]["naive"]) == 4
    assert [share for share, _ in found["held"]] == [0.5, 0.8, 0.95]
    inside = [(one.truth >= one.quantiles[:, 1]) & (one.truth <= one.quantiles[:, 5]) for one in seen]
    assert found["held"][1][1] == pytest.approx(np.mean(inside))
    for place in ("error-steps", "error-shares", "held", "series-5"):
        assert f'id="{place}"' in text


def beside(**naive: float) -> dict[str, Any]:
    return {**FIGURES, "seasonal_naive": {"mase": 1.2, "mae": 12.0} | naive, "naive": {"mae": 20.0}}


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        (beside(), "The network beats the seasonal naive method: its MASE of 0.6 is 50% below the 1.2 of"),
        (beside(mase=0.5, mae=5.0), "does not beat the seasonal naive method: its MASE of 0.6 is 20% above the 0.5"),
        (beside(mase=0.601), "is no better than the seasonal naive method"),
        (beside(mase=float("nan")), "its MAE of 6 is 50% below the 12 of"),
        (beside(mase=0.0, mae=0.0), "its MASE of 0.6 is above the 0 of repeating the last season"),
        (beside(mae=3.0), "By MAE it is the other way round: 6 against 3."),
        (
            beside() | {"season": 1},
            "beats the naive method: its MASE of 0.6 is 50% below the 1.2 of repeating the last value",
        ),
    ],
)
def test_it_says_plainly_whether_the_network_is_better(figures: dict[str, Any], sentence: str) -> None:
    assert sentence in verdict(figures)


def test_wins_are_counted_where_both_can_be_measured() -> None:
    nan = float("nan")
    errors = np.array([[1.0, nan], [-2.0, 2.0], [nan, nan], [0.1, -0.1]])
    naive = np.array([[-3.0, 9.0], [1.0, 1.0], [1.0, 1.0], [0.5, -0.5]])
    assert wins(errors, naive) == (2, 3)
    assert "in 2 of 3 series" in verdict(beside(), (2, 3))
    assert "series" not in verdict(beside(), (1, 1))
    assert "Only 12 values were compared." in verdict(beside(), (1, 1), 12)


def test_the_best_of_each_row_stands_out() -> None:
    rows = re.findall(r"<tr><th>(.*?)</th>(.*?)</tr>", table(beside(mase=0.5)))
    found = dict(rows[1:] if rows[0][0] == "" else rows)
    assert found["MAE"] == '<td class="best">6</td><td>12</td><td>20</td>'
    assert found["MASE"] == '<td>0.6</td><td class="best">0.5</td><td></td>'
    # a figure without a rival is not the best of anything
    assert found["wQL"] == "<td>0.05</td><td></td><td></td>"


def test_a_forecast_of_one_line_has_no_intervals(fitted: Forecaster) -> None:
    seen = fitted.hindsight()
    point = Forecaster(**SMALL, loss="mae").fit(pl.DataFrame({"when": seen[0].history_times, "y": seen[0].history}))
    text = forecasts_section(point)
    assert "have no intervals" in text
    assert 'id="held"' not in text
