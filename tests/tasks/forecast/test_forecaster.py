from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_forecast import SMALL, table
from stopping import StopAt

import ricorso
from ricorso.errors import DataError, RunError, UsageError
from ricorso.tasks.forecast.task import Forecaster
from ricorso.training.interrupt import TrainingInterrupted


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(**SMALL).fit(table())


def test_it_learns_a_wave_and_tells_what_was_chosen(fitted: Forecaster) -> None:
    figures = fitted.evaluate()
    assert figures["mae"] < 0.5 * figures["naive"]["mae"]
    assert figures["series"] == 3
    assert any("hourly" in sentence for sentence in fitted.told_)
    assert fitted.best_["validation_loss"] is not None


def test_a_forecast_follows_the_data_with_rising_quantiles(fitted: Forecaster) -> None:
    frame = fitted.predict()
    assert frame.columns == ["series", "time", *(f"q{level:g}" for level in fitted.levels)]
    assert frame["series"].to_list() == ["s0"] * 4 + ["s1"] * 4 + ["s2"] * 4
    assert frame["time"][0] == datetime(2024, 1, 1) + timedelta(hours=60)
    values = frame.drop("series", "time").to_numpy()
    assert (np.diff(values, axis=1) >= 0).all()
    truth = 10 + 5 * np.sin(np.pi * np.arange(60, 64) / 2)
    assert np.abs(frame["q0.5"].to_numpy()[:4] - truth).max() < 2.5


def test_newer_data_and_other_series_need_no_training(fitted: Forecaster) -> None:
    newer = table(5, 64)
    frame = fitted.predict(newer)
    assert frame["series"].n_unique() == 5
    assert frame["time"][0] == datetime(2024, 1, 1) + timedelta(hours=64)
    assert fitted.evaluate(newer)["series"] == 5


def test_two_targets_are_named(fitted: Forecaster) -> None:
    both = Forecaster(**SMALL | {"epochs": 1, "targets": ("y", "z")}).fit(table(2, targets=2))
    frame = both.predict()
    assert frame["target"].to_list() == (["y"] * 4 + ["z"] * 4) * 2
    assert both.config_.scaling == "standard"
    assert fitted.config_.scaling == "mean"


def test_what_is_missing_is_ignored_not_filled() -> None:
    gappy = Forecaster(**SMALL | {"epochs": 1}).fit(table(gap=True))
    assert gappy.series_ is not None
    assert np.isnan(gappy.series_["s0"].values[20, 0])
    assert np.isfinite(gappy.predict().drop("series", "time").to_numpy()).all()


@pytest.mark.parametrize(
    "options", [{"loss": "mse"}, {"loss": "mae", "scaling": "robust"}, {"log": True}, {"cell": "lstm"}]
)
def test_other_losses_scales_and_cells(options: dict[str, Any]) -> None:
    other = Forecaster(**SMALL | {"epochs": 2} | options).fit(table())
    frame = other.predict()
    assert ("q0.1" in frame.columns) == (options.get("loss") is None)
    assert np.isfinite(frame["q0.5"].to_numpy()).all()


def test_saved_and_loaded_it_forecasts_the_same(fitted: Forecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path / "run")
    loaded = ricorso.load(tmp_path / "run")
    assert isinstance(loaded, Forecaster)
    assert loaded.predict(table()).equals(fitted.predict(table()))
    with pytest.raises(UsageError, match="in no file; give the data"):
        loaded.predict()


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    table().write_csv(path)
    options = SMALL | {"checkpoint_steps": 3, "dropout": 0.2}
    whole = Forecaster(**options).fit(path)
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        Forecaster(**options).fit(path, out=tmp_path / "run", listener=StopAt(8))
    again = Forecaster.resume(tmp_path / "run")
    for name, weight in whole.model_.state_dict().items():
        assert bool((again.model_.state_dict()[name] == weight).all()), name
    table(steps=61).write_csv(path)
    other = tmp_path / "other"
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        Forecaster(**options).fit(path, out=other, listener=StopAt(8))
    table(steps=62).write_csv(path)
    with pytest.raises(RunError, match="not those that this run was trained on"):
        Forecaster.resume(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 40}, "longest series has 60 steps; a horizon of 40 needs at least 81"),
        ({"time": "whn"}, "when"),
    ],
)
def test_data_that_do_not_fit_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        Forecaster(**SMALL | options).fit(table())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantiles": (0.9, 0.1)}, "should rise"),
        ({"quantiles": (0.0, 0.5)}, "between 0 and 1"),
        ({"horizn": 3}, "horizon"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Forecaster(**options).fit(table())


def test_every_setting_says_what_it_is() -> None:
    for name, field in Forecaster.config_type.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_a_backtest_measures_every_origin(fitted: Forecaster) -> None:
    found = fitted.backtest(count=3, stride=1)
    assert found["forecasts"] == 9
    each = fitted.hindsight(count=3, stride=1)
    assert found["mse"] == pytest.approx(np.mean([(one.truth - one.quantiles[:, 3]) ** 2 for one in each]))
    assert [len(one.history) for one in each[:3]] == [54, 55, 56]


def test_validation_windows_lie_in_what_was_held_out() -> None:
    from ricorso.tasks.forecast.choice import chosen
    from ricorso.tasks.forecast.data import prepare

    forecaster = Forecaster(**SMALL | {"epochs": 1, "validation_fraction": 0.25}).fit(table())
    assert forecaster.series_ is not None
    data = prepare(forecaster.series_, chosen(forecaster.series_, forecaster.config_)[0])
    assert data.validation is not None
    numbers, origins = data.validation
    assert sorted(set(numbers.tolist())) == [0, 1, 2]
    assert origins.min() == 45
    assert origins.max() == 56
    assert len(origins) == 36


def test_known_columns_help_and_must_reach_as_far_as_the_forecast() -> None:
    draw = np.random.default_rng(1)
    switch = draw.integers(0, 2, 84).astype(float)
    rows = pl.DataFrame({"when": range(84), "sold": 10 + 5 * switch, "open": switch})
    known = rows.with_columns(pl.when(pl.col("when") < 80).then("sold").alias("sold"))
    options = SMALL | {"time": "when", "targets": ("sold",), "known": ("open",), "epochs": 60, "season": 1}
    forecaster = Forecaster(**options).fit(known)
    point = forecaster.predict()["q0.5"].to_numpy()
    nearer_to_open = np.abs(point - 15) < np.abs(point - 10)
    assert nearer_to_open.tolist() == [bool(value) for value in switch[80:]]
    with pytest.raises(DataError, match=r"ends 2 steps before its known columns \(open\)"):
        forecaster.predict(known[:82])
