"""Rolling origins measure what they say, and a model that is trained anew knows nothing of what comes."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ricorso.data.series import SeriesSet, read_series
from ricorso.errors import DataError, UsageError
from ricorso.tasks.forecast.backtest import as_table, backtest, before
from ricorso.tasks.forecast.task import Forecaster

SMALL: dict[str, Any] = {
    "horizon": 4, "season": 4, "context": 12, "segment": 4, "hidden_size": 8, "batch_size": 16, "epochs": 1,
    "windows_per_epoch": 60, "threads": 1, "dropout": 0.0, "learning_rate": 0.01,
}  # fmt: skip


def table(*lengths: int) -> pl.DataFrame:
    """Rising waves of four hours, a series for each length."""
    draw = np.random.default_rng(0)
    rows = [
        {
            "id": f"s{n}",
            "when": datetime(2024, 1, 1) + timedelta(hours=t),
            "y": 10.0 * (n + 1) + 0.1 * t + 5 * np.sin(np.pi * t / 2) + draw.normal(0, 0.1),
        }
        for n, steps in enumerate(lengths)
        for t in range(steps)
    ]
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(**SMALL).fit(table(60, 60))


def test_each_origin_is_a_row_and_the_figures_are_over_all(fitted: Forecaster) -> None:
    found = backtest(fitted, count=3, stride=2)
    each = fitted.hindsight(count=3, stride=2)
    error = np.stack([one.truth - one.quantiles[:, 3] for one in each])
    assert found["forecasts"] == 6
    assert found["mse"] == pytest.approx((error**2).mean())
    assert found["mae"] == pytest.approx(np.abs(error).mean())
    rows = found["origins"]
    assert [row["back"] for row in rows] == [4, 2, 0]
    assert [row["from"] for row in rows] == [datetime(2024, 1, 3, 4) + timedelta(hours=h) for h in (0, 2, 4)]
    # the forecasts come series by series, three origins each
    assert [row["mae"] for row in rows] == pytest.approx(np.abs(error.reshape(2, 3, 4)).mean((0, 2)))
    last = np.stack([one.truth - one.history[-1] for one in each])
    season = np.stack([one.truth - one.history[-4:] for one in each])
    assert [row["naive_mae"] for row in rows] == pytest.approx(np.abs(last.reshape(2, 3, 4)).mean((0, 2)))
    assert found["seasonal_naive"]["mae"] == pytest.approx(np.abs(season).mean())
    assert pl.DataFrame(rows).shape[0] == 3


def test_a_model_trained_anew_is_the_one_of_that_time(fitted: Forecaster) -> None:
    told: list[dict[str, Any]] = []
    rows = backtest(fitted, count=2, refit=True, on_origin=told.append)["origins"]
    assert told == rows
    earlier = Forecaster(**SMALL).fit(table(60, 60).filter(pl.col("when") < datetime(2024, 1, 3, 4)))
    point = earlier.predict()["q0.5"].to_numpy()
    came = table(60, 60).filter(pl.col("when").is_between(datetime(2024, 1, 3, 4), datetime(2024, 1, 3, 7)))
    assert rows[0]["mae"] == pytest.approx(np.abs(came["y"].to_numpy() - point).mean(), rel=1e-5)
    kept = backtest(fitted, count=2)["origins"]
    assert rows[0]["mae"] != pytest.approx(kept[0]["mae"], rel=1e-3)
    assert rows[0]["naive_mae"] == kept[0]["naive_mae"]


def test_what_comes_later_changes_nothing_when_trained_anew(fitted: Forecaster) -> None:
    late = pl.col("when") >= datetime(2024, 1, 3, 8)
    other = table(60, 60).with_columns(pl.when(late).then(999.0).otherwise("y").alias("y"))
    rows, others = (backtest(fitted, data, count=2, refit=True)["origins"] for data in (table(60, 60), other))
    assert rows[0] == others[0]
    assert rows[1]["mae"] != others[1]["mae"]


def test_several_series_are_cut_at_the_same_distance_from_their_ends(fitted: Forecaster) -> None:
    data = table(60, 40, 7)
    rows = backtest(fitted, data, count=3, refit=True)["origins"]
    assert [row["forecasts"] for row in rows] == [2, 2, 3]
    assert [row["from"] for row in rows] == [None] * 3
    known = read_series(data, season=4)
    assert [series.steps for series in before(known, 8, 4).series] == [52, 32]


def test_an_origin_too_early_to_train_before_is_told(fitted: Forecaster) -> None:
    with pytest.raises(
        DataError, match=r"before the origin 56 steps from the end to train on: The longest series has 4"
    ):
        backtest(fitted, count=14, refit=True)
    with pytest.raises(UsageError, match="must be 1 or more, got 0"):
        backtest(fitted, count=0)


MONTHS = [datetime(2020 + m // 12, 1 + m % 12, 1) for m in range(9)]
TABLES: dict[str, tuple[pl.DataFrame, dict[str, Any]]] = {
    "covariates": (
        pl.DataFrame(
            {
                "shop": ["a"] * 6 + ["b"] * 5,
                "day": [*MONTHS[:6], *MONTHS[2:7]],
                "sold": [1.0, None, 3.0, 4.0, None, None, 2.0, 4.0, 8.0, 9.0, None],
                "lost": [None, 5.0, 3.0, 4.0, None, None, 2.0, 4.0, None, 9.0, None],
                "price": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
                "rain": [1.5, 2.5, 3.5, None, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5],
                "town": ["x"] * 6 + ["y"] * 5,
                "size": [3.0] * 6 + [4.0] * 5,
            }
        ),
        {"targets": ("sold", "lost"), "known": ("price",), "past": ("rain",), "static": ("town", "size")},
    ),
    "columns": (pl.DataFrame({"time": MONTHS, "007": range(9), "b": range(9, 18)}), {"wide": "columns"}),
    "rows": (pl.DataFrame({"id": ["007", "8"], "V1": [1, 4], "V2": [2, 5], "V3": [3, None]}), {"season": 2}),
    "counted": (pl.DataFrame({"sold": [1.0, 5.0, 2.0, 9.0]}), {"frequency": "hour"}),
    "apart": (pl.DataFrame({"time": [10, 20, 40], "series": [1, 2, 3], "y": [1, 2, 3]}), {"targets": ("series", "y")}),
    "ends": (
        pl.DataFrame({"date": [datetime(2023, 1, 31), datetime(2023, 2, 28), datetime(2023, 3, 31)], "y": [1, 2, 3]}),
        {},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_series_is_read_as_what_it_was(name: str) -> None:
    frame, given = TABLES[name]
    known = read_series(frame, **given)
    made, roles = as_table(known)
    again = read_series(made, **roles)
    assert_same(again, known)


def assert_same(one: SeriesSet, other: SeriesSet) -> None:
    assert one.frequency == other.frequency.with_season(other.frequency.season)
    assert one.names == other.names
    for mine, its in zip(one.series, other.series, strict=True):
        assert (mine.start, mine.static) == (its.start, its.static)
        for part in ("values", "known", "past"):
            np.testing.assert_array_equal(getattr(mine, part), getattr(its, part))


def test_what_lies_before_keeps_the_known_future() -> None:
    frame, given = TABLES["covariates"]
    shorter = before(read_series(frame, **given), 1, 2)
    assert [series.steps for series in shorter.series] == [3, 3]
    assert [series.known[:, 0].tolist() for series in shorter.series] == [[1, 2, 3, 4, 5], [7, 8, 9, 10, 11]]
    with pytest.raises(DataError, match="Nothing lies 4 steps before the end: the longest series has 4 steps"):
        before(read_series(frame, **given), 4, 2)
