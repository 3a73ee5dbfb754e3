"""Several contexts: the forecast is the mean of those of networks that each see their own length of the past."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_forecast import SMALL, table
from stopping import StopAt

import ricorso
from ricorso.errors import UsageError
from ricorso.tasks.forecast.blend import BlendedModel
from ricorso.tasks.forecast.data import Batches, prepare
from ricorso.tasks.forecast.segments import SegmentModel
from ricorso.tasks.forecast.task import Forecaster
from ricorso.tasks.forecast.work import ForecastWork, scale_for
from ricorso.training.interrupt import TrainingInterrupted

SEVERAL: dict[str, Any] = {name: value for name, value in SMALL.items() if name != "context"} | {"contexts": (4, 12)}


def covariates(steps: int = 60) -> pl.DataFrame:
    """A table with a column known ahead, one of the past and a constant."""
    rows = table(2, steps)
    draw = np.random.default_rng(3).normal(size=(len(rows), 2))
    return rows.with_columns(
        price=pl.Series(draw[:, 0]), rain=pl.Series(draw[:, 1]), shop=pl.col("id").replace({"s0": "a", "s1": "b"})
    )


COVARIATES = {"known": ("price",), "past": ("rain",), "static": ("shop",), "targets": ("y",)}


def first_windows(forecaster: Forecaster) -> Any:
    assert forecaster.series_ is not None
    data = prepare(forecaster.series_, forecaster.config_)
    batches = Batches(data.known, data.windows, forecaster._encoding(), forecaster.config_)
    return data, batches.at(np.array([0, 1]), np.array([30, 40]))


def test_the_forecast_is_the_mean_of_models_with_a_context_each() -> None:
    fitted = Forecaster(**SEVERAL | COVARIATES | {"epochs": 1}).fit(covariates())
    assert fitted.config_.context == 12
    assert isinstance(fitted.model_, BlendedModel)
    _, batch = first_windows(fitted)
    scale = scale_for(batch.past, fitted.config_)
    single = []
    for part, context in zip(fitted.model_.parts, (4, 12), strict=True):
        alone = Forecaster(**SMALL | COVARIATES | {"context": context, "epochs": 1}).fit(covariates()).model_
        assert isinstance(alone, SegmentModel)
        alone.load_state_dict(part.state_dict() | {"stretch": torch.ones(7)})
        cut = [one[:, 12 - context :] for one in (batch.past, batch.features, batch.past_features)]
        own = type(batch)(cut[0], batch.future, cut[1], cut[2], batch.numbers, batch.codes)
        single.append(alone(own, scale))
    torch.testing.assert_close(fitted.model_(batch, scale), (single[0] + single[1]) / 2)


def test_each_network_learns_from_its_own_error_and_their_mean_is_validated() -> None:
    fitted = Forecaster(**SEVERAL | {"loss": "mse", "epochs": 1}).fit(table())
    model = fitted.model_
    assert isinstance(model, BlendedModel)
    data, batch = first_windows(fitted)
    scale = scale_for(batch.past, fitted.config_)
    target = scale.apply(batch.future)
    said = [part(batch.since(8 if n == 0 else 0), scale)[..., 0] for n, part in enumerate(model.parts)]
    each = [(one - target).square() for one in said]
    torch.testing.assert_close(model.train().losses(batch, scale)[0], (each[0] + each[1]) / 2)
    torch.testing.assert_close(model.eval().losses(batch, scale)[0], ((said[0] + said[1]) / 2 - target).square())
    work = ForecastWork(model, data, fitted._encoding(), fitted.config_)
    assert work.validate()["validation_loss"] == pytest.approx(fitted.best_["validation_loss"], rel=1e-5)


def test_it_learns_is_kept_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    table().write_csv(path)
    options = SEVERAL | {"checkpoint_steps": 3, "dropout": 0.2}
    whole = Forecaster(**options).fit(path)
    figures = whole.evaluate()
    assert figures["mae"] < 0.5 * figures["naive"]["mae"]
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        Forecaster(**options).fit(path, out=tmp_path / "run", listener=StopAt(8))
    again = Forecaster.resume(tmp_path / "run")
    for name, weight in whole.model_.state_dict().items():
        assert torch.equal(again.model_.state_dict()[name], weight), name
    loaded = ricorso.load(tmp_path / "run")
    assert isinstance(loaded, Forecaster)
    assert loaded.predict().equals(whole.predict())
    assert loaded.backtest(count=2)["mae"] == whole.backtest(count=2)["mae"]


def test_the_same_context_twice_is_two_networks() -> None:
    model = Forecaster(**SEVERAL | {"contexts": (12, 12)}).fit(table()).model_
    assert isinstance(model, BlendedModel)
    one, other = (torch.cat([p.flatten() for p in part.parameters()]) for part in model.parts)
    assert one.shape == other.shape
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contexts": (12, 4)}, "shorter ones first"),
        ({"contexts": (0, 4)}, "contexts should be 1 or more"),
        ({"contexts": (4, 12), "context": 8}, "Give context=8 or contexts="),
        ({"contexts": (4, 12), "model": "autoregressive"}, "contexts are for segments"),
        ({"contexts": (4, 12), "loss": "student_t"}, "contexts are for segments"),
    ],
)
def test_contexts_that_cannot_be_used_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Forecaster(**{name: value for name, value in SMALL.items() if name != "context"} | options).fit(table())
