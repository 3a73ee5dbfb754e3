from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ricorso.errors import UsageError
from ricorso.tasks.forecast.anomaly import anomalies, log_probability, scores
from ricorso.tasks.forecast.task import Forecaster

SMALL: dict[str, Any] = {
    "horizon": 2, "season": 4, "context": 12, "segment": 4, "hidden_size": 8, "batch_size": 16, "epochs": 12,
    "windows_per_epoch": 300, "threads": 1, "dropout": 0.0, "learning_rate": 0.01,
}  # fmt: skip
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
START = datetime(2024, 1, 1)


def table(steps: int = 240, **changes: float | None) -> pl.DataFrame:
    """A wave of four hours with noise; changes: other values at steps, such as s100=50.0."""
    draw = np.random.default_rng(1)
    values = (20 + 5 * np.sin(np.pi * np.arange(steps) / 2) + draw.normal(0, 0.3, steps)).tolist()
    for name, value in changes.items():
        values[int(name[1:])] = value
    return pl.DataFrame({"when": [START + timedelta(hours=t) for t in range(steps)], "load": values})


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(**SMALL).fit(table(160))


# --- probabilities


def test_probabilities_follow_the_quantiles_of_a_known_distribution() -> None:
    # a Laplace distribution: exponential on both sides, so that the tails are exact
    levels = np.array(LEVELS)
    quantiles = np.where(levels < 0.5, np.log(2 * levels), -np.log(2 * (1 - levels)))
    values = np.array([-8.0, -3.0, quantiles[0], 0.0, quantiles[4], 3.0, 8.0])
    found = np.exp(log_probability(LEVELS, np.tile(quantiles, (7, 1)), values))
    np.testing.assert_allclose(found, np.exp(-np.abs(values)), rtol=1e-9)


def test_probabilities_are_the_same_upside_down_and_fall_with_the_distance() -> None:
    draw = np.random.default_rng(0)
    quantiles = np.sort(draw.normal(size=(50, 3)), axis=1)
    values = draw.normal(size=50)
    above = log_probability((0.2, 0.5, 0.8), quantiles, values)
    below = log_probability((0.2, 0.5, 0.8), -quantiles[:, ::-1], -values)
    np.testing.assert_allclose(above, below, atol=1e-12)
    line = np.linspace(-5, 20, 400)
    fall = log_probability(LEVELS, np.tile([1.0, 2.0, 3.0, 4.0, 6.0], (400, 1)), line)
    assert (np.diff(fall[line <= 3]) >= 0).all()
    assert (np.diff(fall[line >= 3]) <= 0).all()
    assert (fall <= 0).all()


def test_far_values_keep_finite_logarithms_and_a_forecast_without_width_is_no_error() -> None:
    far = log_probability(LEVELS, np.array([[1.0, 2, 3, 4, 5]]), np.array([1e9]))
    assert np.isfinite(far).all()
    assert far[0] < -1e8
    flat = log_probability(LEVELS, np.full((3, 5), 7.0), np.array([7.0, 7.1, np.nan]))
    assert flat[0] == 0
    assert flat[1] < -1000
    assert np.isnan(flat[2])


# --- scores


def test_scores_of_a_right_model_are_as_rare_as_they_say() -> None:
    chance = np.log(np.random.default_rng(0).random(200_000))
    for window in (1, 10):
        found = scores(chance, window)
        for zeros in (1, 2, 3):
            # two looks at each step are never rarer than promised, and not by more than half too careful
            assert 0.5 < np.mean(found >= zeros) * 10**zeros < 1.15


def test_a_model_that_is_too_sure_of_itself_raises_few_alarms() -> None:
    chance = 3 * np.log(np.random.default_rng(0).random(50_000))
    assert np.mean(-chance / np.log(10) >= 3) > 0.05
    assert np.mean(scores(chance, 1)[5000:] >= 3) < 0.002


def test_small_surprises_in_a_row_are_seen_together() -> None:
    chance = np.log(np.random.default_rng(0).random(3000))
    chance[2000:2010] = np.log(0.02)
    alone, together = scores(chance, 1), scores(chance, 10)
    assert alone[2000:2010].max() < 2.5
    assert together[2009] > 4.5


def test_one_anomaly_does_not_hide_the_next() -> None:
    chance = np.log(np.random.default_rng(0).random(3000))
    chance[[1500, 2500]] = -60.0
    found = scores(chance, 10)
    assert found[2500] > 0.6 * found[1500] > 6


def test_scores_use_nothing_that_comes_after() -> None:
    chance = np.log(np.random.default_rng(0).random(500))
    whole = scores(chance, 10)
    np.testing.assert_array_equal(scores(chance[:300], 10), whole[:300])
    changed = chance.copy()
    changed[300:] = -50
    np.testing.assert_array_equal(scores(changed, 10)[:300], whole[:300])


def test_missing_steps_have_no_score_and_leave_the_others_as_they_are() -> None:
    chance = np.log(np.random.default_rng(0).random(300))
    gaps = np.insert(chance, [100, 100, 200], np.nan)
    found = scores(gaps, 10)
    assert np.isnan(found).sum() == 3
    np.testing.assert_array_equal(found[~np.isnan(gaps)], scores(chance, 10))


def test_what_is_not_learnt_from_does_not_change_what_is_usual() -> None:
    draw = np.random.default_rng(0)
    chance = np.log(draw.random(2000))
    chance[1000:] *= 4
    learnt = np.arange(2000) < 1000
    frozen, moving = scores(chance, 1, learnt), scores(chance, 1)
    np.testing.assert_array_equal(frozen[:1000], moving[:1000])
    assert np.mean(frozen[1500:] >= 2) > 3 * np.mean(moving[1500:] >= 2)


# --- frames


def test_a_spike_is_flagged_and_nothing_else(fitted: Forecaster) -> None:
    frame = anomalies(fitted, table(s200=45.0), false_alarm_every=1000)
    assert frame.columns == [
        "series", "time", "target", "value", "expected", "low", "high", "probability", "score", "anomaly",
    ]  # fmt: skip
    assert len(frame) == 240
    assert frame["time"].to_list() == table()["when"].to_list()
    top = frame.row(int(frame["score"].arg_max() or 0), named=True)
    assert (top["time"], top["value"]) == (START + timedelta(hours=200), 45.0)
    assert top["high"] < 45
    assert top["probability"] < 1e-3
    flagged = frame.filter(pl.col("anomaly"))["time"]
    assert flagged.len() >= 1
    assert flagged.min() == START + timedelta(hours=200)
    assert flagged.max() < START + timedelta(hours=215)
    calm = frame[:200].drop_nulls()
    assert ((calm["low"] <= calm["expected"]) & (calm["expected"] <= calm["high"])).all()
    assert np.abs(calm["expected"].to_numpy() - calm["value"].to_numpy()).mean() < 1.5


def test_the_expected_values_are_those_of_forecasts_from_the_steps_before(fitted: Forecaster) -> None:
    frame = anomalies(fitted, table())
    ahead = fitted.predict(table(200))
    row = frame.row(200, named=True)
    assert row["time"] == ahead["time"][0]
    assert row["expected"] == pytest.approx(ahead["q0.5"][0], rel=1e-6)
    assert row["low"] == pytest.approx(ahead["q0.025"][0], rel=1e-6)


def test_later_values_change_no_earlier_row(fitted: Forecaster) -> None:
    before = anomalies(fitted, table())
    after = anomalies(fitted, table(s150=90.0, s151=None))
    assert after[:150].equals(before[:150])
    assert not after[151:].equals(before[151:])


def test_missing_values_have_a_forecast_but_no_score(fitted: Forecaster) -> None:
    frame = anomalies(fitted, table(s100=None))
    row = frame.row(100, named=True)
    assert row["expected"] is not None
    assert [row[name] for name in ("value", "probability", "score", "anomaly")] == [None] * 4
    # the first steps have a forecast from two values on, a score from a whole context on
    assert frame["expected"].null_count() == 2
    assert frame["score"].null_count() == 12 + 1
    assert frame["score"][:12].null_count() == 12


def test_several_targets_and_series_that_were_never_seen() -> None:
    both = table(160).with_columns((-pl.col("load")).alias("loss"))
    forecaster = Forecaster(**{**SMALL, "epochs": 2}).fit(both)
    new = pl.concat([both[:100].with_columns(pl.lit(name).alias("id")) for name in ("a", "b")])
    frame = anomalies(Forecaster(**{**SMALL, "epochs": 2, "series": "id"}).fit(new), new[:150])
    assert frame.group_by("series", "target", maintain_order=True).len().rows() == [
        ("a", "load", 100), ("a", "loss", 100), ("b", "load", 50), ("b", "loss", 50),
    ]  # fmt: skip
    assert anomalies(forecaster)["target"].unique().sort().to_list() == ["load", "loss"]


def test_since_and_usual_until(fitted: Forecaster) -> None:
    frame = anomalies(fitted, table(), since="2024-01-03T00:00", usual_until=START + timedelta(days=5))
    assert frame["time"].min() == START + timedelta(days=2)
    assert frame["score"].null_count() == 0
    whole = anomalies(fitted, table(), since="2024-01-03")
    assert frame[:72].equals(whole[:72])
    assert not frame[73:].equals(whole[73:])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"since": "yesterday"}, "since must be a time such as"),
        ({"usual_until": 5}, "usual_until must be a time"),
        ({"window": 0}, "window must be 1"),
        ({"false_alarm_every": 1}, "false_alarm_every must be more than 1"),
    ],
)
def test_options_that_cannot_be_used(fitted: Forecaster, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        anomalies(fitted, table(), **options)


def test_a_forecaster_without_intervals_is_refused() -> None:
    forecaster = Forecaster(**{**SMALL, "loss": "mae", "epochs": 1}).fit(table())
    with pytest.raises(UsageError, match="has none"):
        anomalies(forecaster)
