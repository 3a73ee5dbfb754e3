"""Covariates of every kind reach the model, on one scale, and are the same after loading."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_forecast import SMALL

import ricorso
from ricorso.data.series import read_series
from ricorso.errors import DataError, RunError, UsageError
from ricorso.tasks.forecast.data import Batches, prepare
from ricorso.tasks.forecast.inputs import Encoding, Standard, since_last
from ricorso.tasks.forecast.task import Forecaster


def table(steps: int = 60, ahead: int = 0, size: float = 1000.0) -> pl.DataFrame:
    """Two shops: what is sold follows the price, which is known ahead, on a level that the region sets."""
    draw = np.random.default_rng(0)
    rows = []
    for shop, region, area in (("a", "north", 10.0), ("b", "south", 30.0), ("c", "north", 20.0)):
        price = draw.normal(0, 1, steps + ahead)
        for t in range(steps + ahead):
            rows.append(
                {
                    "shop": shop, "when": datetime(2024, 1, 1) + timedelta(hours=t), "region": region, "area": area,
                    "price": size * (5 + price[t]), "rain": float(draw.normal()),
                    "sold": 20.0 - 3 * price[t] if t < steps else None,
                }
            )  # fmt: skip
    return pl.DataFrame(rows)


ROLES: dict[str, Any] = {"series": "shop", "time": "when", "targets": "sold", "known": ("price",)}
OPTIONS = SMALL | ROLES | {"targets": ("sold",), "past": ("rain",), "static": ("region", "area")}


def test_a_known_price_of_any_size_is_used() -> None:
    fitted = Forecaster(**SMALL | ROLES | {"targets": ("sold",), "epochs": 30}).fit(table())
    figures = fitted.evaluate(table(56, 4))
    blind = fitted.evaluate(table())["seasonal_naive"]["mae"]
    assert figures["mae"] < 0.6 * blind
    with pytest.raises(DataError, match="needs them as far ahead"):
        fitted.predict(table())
    assert len(fitted.predict(table(56, 4))) == 12


@pytest.mark.parametrize("model", ["segments", "autoregressive"])
def test_covariates_of_every_kind_survive_saving(tmp_path: Path, model: str) -> None:
    changed: dict[str, Any] = {"model": model, "epochs": 2, "segment": None} | (
        {} if model == "segments" else {"past": ()}
    )
    fitted = Forecaster(**OPTIONS | changed).fit(table())
    fitted.save(tmp_path / "run")
    loaded = ricorso.load(tmp_path / "run")
    frame = fitted.predict(table(56, 4))
    assert loaded.predict(table(56, 4)).equals(frame)
    # another region and another shop are forecast like others
    other = table(56, 4).with_columns(region=pl.lit("west"), shop=pl.col("shop") + "x")
    assert np.isfinite(loaded.predict(other)["q0.5"].to_numpy()).all()


def test_what_is_constant_changes_the_forecast() -> None:
    fitted = Forecaster(**OPTIONS | {"epochs": 2}).fit(table())
    north = fitted.predict(table(56, 4))
    south = fitted.predict(table(56, 4).with_columns(region=pl.lit("south")))
    assert not np.allclose(north["q0.5"].to_numpy()[:4], south["q0.5"].to_numpy()[:4])
    larger = fitted.predict(table(56, 4).with_columns(area=pl.col("area") * 2))
    assert not np.allclose(north["q0.5"].to_numpy(), larger["q0.5"].to_numpy())


def test_rain_of_the_past_changes_the_forecast() -> None:
    fitted = Forecaster(**OPTIONS | {"epochs": 2}).fit(table())
    dry = fitted.predict(table(56, 4).with_columns(rain=pl.lit(0.0)))
    wet = fitted.predict(table(56, 4).with_columns(rain=pl.lit(3.0)))
    assert not np.allclose(dry["q0.5"].to_numpy(), wet["q0.5"].to_numpy())


def test_a_number_that_became_a_name_is_refused() -> None:
    series = read_series(table(), time="when", series="shop", targets="sold", static=("area",))
    encoding = Encoding.of(series)
    changed = read_series(
        table().with_columns(area=pl.lit("big")), time="when", series="shop", targets="sold", static=("area",)
    )
    with pytest.raises(DataError, match="Column 'area' of series 'a' should be a number, got 'big'"):
        encoding.constants(changed.series, ("area",))


def test_columns_come_to_one_scale_and_missing_ones_to_zero() -> None:
    values = np.array([[1.0, 5.0], [3.0, np.nan], [5.0, 5.0]], np.float32)
    scale = Standard.of([values[:2], values[2:]])
    found = scale.apply(values)
    np.testing.assert_allclose(found[:, 0], [-1.2247449, 0, 1.2247449], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], [0, 0, 0])


def test_an_encoding_that_does_not_hold_together_is_a_damaged_run() -> None:
    series = read_series(table(), time="when", series="shop", targets="sold", static=("region", "area"))
    encoding = Encoding.of(series)
    data = encoding.to_json()
    assert Encoding.from_json(data) == encoding
    assert encoding.categories == (("north", "south"), ())
    with pytest.raises(RunError, match="damaged"):
        Encoding.from_json({"known": data["known"]})


def test_steps_since_the_last_value() -> None:
    observed = torch.tensor([[False, False, True, False], [True, True, False, False]])
    np.testing.assert_allclose(since_last(observed).exp().numpy(), [[2, 3, 1, 2], [1, 1, 2, 3]], rtol=1e-6)


def test_each_of_several_targets_has_a_vector_of_its_own() -> None:
    both = table().with_columns(cost=pl.col("sold"))
    roles = {"time": "when", "series": "shop", "targets": ("sold", "cost")}
    fitted = Forecaster(**SMALL | roles | {"epochs": 2}).fit(both)
    with torch.no_grad():
        fitted.model_.static.vectors[-1].weight[2] += 1
    frame = fitted.predict()
    sold, cost = (frame.filter(target=name)["q0.5"].to_numpy() for name in ("sold", "cost"))
    assert not np.allclose(sold, cost), "the same values, told apart by their vectors"


@pytest.mark.parametrize("targets", [("sold",), ("sold", "area")])
def test_batches_cut_together_are_those_cut_alone(targets: tuple[str, ...]) -> None:
    roles = {"time": "when", "series": "shop", "targets": targets, "known": ("price",)}
    fitted = Forecaster(**SMALL | roles | {"epochs": 1}).fit(table())
    data = prepare(fitted.series_, fitted.config_)
    work = fitted._work(data)
    batches = Batches(data.known, data.windows, fitted._encoding(), fitted.config_)
    for number in (0, 7, 8, work.batches_per_epoch - 1):
        found = work.batch(1, number, slice(2, 9))
        alone = batches.of(data.train.batch(1, number, slice(2, 9)))
        for name, tensor in vars(alone).items():
            torch.testing.assert_close(getattr(found, name), tensor, rtol=0, atol=0, equal_nan=True)


def test_past_columns_are_for_segments() -> None:
    with pytest.raises(UsageError, match="only segments can read them"):
        Forecaster(**OPTIONS | {"model": "autoregressive"}).fit(table())


def test_cycles_that_come_only_once_are_left_out_and_told() -> None:
    fitted = Forecaster(**SMALL | {"time": "when", "series": "shop", "targets": ("sold",), "epochs": 1}).fit(table())
    assert fitted.series_ is not None
    steps = max(series.steps for series in fitted.series_)
    assert fitted.config_.calendar == fitted.series_.frequency.repeated_cycles(steps)
    once = set(fitted.series_.frequency.calendar_names) - set(fitted.config_.calendar)
    assert once, "the table should be short enough for this test"
    assert all(any(name in sentence for sentence in fitted.told_) for name in once)


@pytest.mark.parametrize("names", [(), ("day of week",)])
def test_the_calendar_can_be_chosen(names: tuple[str, ...]) -> None:
    roles = {"time": "when", "series": "shop", "targets": ("sold",), "epochs": 1, "calendar": names}
    fitted = Forecaster(**SMALL | roles).fit(table())
    assert fitted.config_.calendar == names
    data = prepare(fitted.series_, fitted.config_)
    features = fitted._work(data).batch(0, 0, slice(None)).features
    assert features.shape[2] == len(names)
    assert not any("twice" in sentence for sentence in fitted.told_)


def test_a_cycle_that_there_is_not_is_told() -> None:
    roles = {"time": "when", "series": "shop", "targets": ("sold",), "calendar": ("day of weak",)}
    with pytest.raises(UsageError, match=r"'day of weak' is no cycle .* Did you mean 'day of week'"):
        Forecaster(**SMALL | roles).fit(table())
