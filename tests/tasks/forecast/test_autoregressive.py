"""The autoregressive model against a plain loop over steps, and what padding and sampling must not change."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_forecast import SMALL, table

from ricorso.cells import get_cell
from ricorso.errors import UsageError
from ricorso.tasks.forecast.autoregressive import AutoregressiveModel
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.inputs import ForecastBatch, InputSizes
from ricorso.tasks.forecast.scaling import scale_of
from ricorso.tasks.forecast.task import Forecaster

CONTEXT, HORIZON, LAG = 6, 3, 4
HISTORY = CONTEXT + LAG


def model_of(loss: str, cell: str = "lstm", layers: int = 1) -> AutoregressiveModel:
    config = ForecastConfig.of(
        {
            "model": "autoregressive",
            "loss": loss,
            "context": CONTEXT,
            "horizon": HORIZON,
            "lags": (2, LAG),
            "hidden_size": 8,
            "num_layers": layers,
            "scaling": "mean",
            "difference": False,
            "dropout": 0.0,
        }
    )
    torch.manual_seed(0)
    return AutoregressiveModel(get_cell(cell), InputSizes(2, 0, 1, (3,)), config).eval()


def batch_of(windows: int = 5) -> ForecastBatch:
    random = torch.Generator().manual_seed(1)
    values = torch.randn(windows, HISTORY + HORIZON, generator=random) + 3
    return ForecastBatch(
        values[:, :HISTORY], values[:, HISTORY:], torch.randn(windows, HISTORY + HORIZON, 2, generator=random),
        torch.zeros(windows, HISTORY, 0), torch.randn(windows, 1, generator=random),
        torch.randint(4, (windows, 1), generator=random),
    )  # fmt: skip


def by_steps(model: AutoregressiveModel, batch: ForecastBatch, row: int, values: list[float], first: int) -> Any:
    """What the head reads of the step after `values` (scaled, NaN where missing), one cell step after another."""
    states = None
    raw = torch.zeros(model.head.size)
    for place in range(first, len(values) + 1):
        seen = values[:place]
        known = [n for n, value in enumerate(seen) if not np.isnan(value)]
        gap = place - 1 - (known[-1] if known else -1)
        lagged = [0.0 if np.isnan(seen[place - lag]) else seen[place - lag] for lag in (1, 2, LAG)]
        marks = [float(not np.isnan(seen[-1])), float(np.log1p(gap))]
        constant = model.static(batch.numbers[row : row + 1], batch.codes[row : row + 1])[0]
        read = torch.cat([torch.tensor(lagged + marks), batch.features[row, place], constant])
        output, states = model.recurrent(read.view(1, 1, -1), states)
        raw = model.write(output[0, 0])
    return raw


@torch.no_grad()
def test_the_losses_are_those_of_a_loop_over_steps() -> None:
    model, batch = model_of("gaussian"), batch_of()
    batch.past[1, :7] = torch.nan  # begins late
    batch.past[2, 8] = torch.nan  # has a gap
    batch.future[3, 1] = torch.nan
    scale = scale_of(batch.past, "mean", difference=False, log=False)
    each, weight = model.losses(batch, scale)
    assert each.shape == weight.shape == (5, CONTEXT + HORIZON)
    whole = scale.apply(torch.cat([batch.past, batch.future], 1))
    for row in range(5):
        # the first step that is read is that after the first value
        first = max(int((~whole[row].isnan()).long().argmax()) + 1, LAG)
        for step in range(CONTEXT + HORIZON):
            place = LAG + step
            counts = place >= first and not bool(whole[row, place].isnan())
            assert bool(weight[row, step]) == counts
            if counts:
                raw = by_steps(model, batch, row, whole[row, :place].tolist(), first)
                expected = model.head.loss(raw.view(1, 1, -1), whole[row, place].view(1, 1), scale)
                torch.testing.assert_close(each[row, step], expected[0, 0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
def test_a_point_that_reads_itself_is_the_loop_that_does(layers: int) -> None:
    model, batch = model_of("mse", layers=layers), batch_of()
    batch.past[1, :7] = torch.nan
    batch.past[2, -1] = torch.nan
    scale = scale_of(batch.past, "mean", difference=False, log=False)
    found = scale.apply(model.paths(batch, scale, count=7, seed=0)[:, 0])
    for row in range(5):
        values = scale.apply(batch.past)[row].tolist()
        first = max(int((~torch.tensor(values).isnan()).long().argmax()) + 1, LAG)
        for _ in range(HORIZON):
            values.append(float(by_steps(model, batch, row, values, first)[0]))
        torch.testing.assert_close(found[row], torch.tensor(values[HISTORY:]), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_paths_are_spread_as_the_first_step_says_and_drawn_again_from_the_same_seed() -> None:
    model, batch = model_of("gaussian"), batch_of(2)
    scale = scale_of(batch.past, "mean", difference=False, log=False)
    # more than are drawn side by side
    paths = model.paths(batch, scale, count=6000, seed=3)
    assert paths.shape == (2, 6000, HORIZON)
    torch.testing.assert_close(paths, model.paths(batch, scale, count=6000, seed=3), rtol=0, atol=0)
    assert not torch.equal(paths, model.paths(batch, scale, count=6000, seed=4))
    for row in range(2):
        values = scale.apply(batch.past)[row].tolist()
        raw = by_steps(model, batch, row, values, LAG)
        mean = raw[0] * scale.size[row]
        spread = (torch.nn.functional.softplus(raw[1]) + 1e-3) * scale.size[row]
        assert abs(paths[row, :, 0].mean() - mean) < 5 * spread / 6000**0.5
        assert abs(paths[row, :, 0].std() / spread - 1) < 0.05


def test_a_forecaster_of_distributions_has_quantiles_and_paths() -> None:
    options = SMALL | {"model": "autoregressive", "segment": None, "epochs": 15}
    fitted = Forecaster(**options).fit(table())
    assert fitted.config_.loss == "student_t"
    assert fitted.config_.lags == (4,)
    assert fitted.evaluate()["mae"] < 0.5 * fitted.evaluate()["naive"]["mae"]
    frame = fitted.predict(quantiles=[0.01, 0.99])
    assert frame.columns == ["series", "time", "q0.01", "q0.99"]
    assert (frame["q0.01"] < frame["q0.99"]).all()
    paths = fitted.sample(paths=5, seed=1)
    assert paths.columns == ["series", "path", "time", "value"]
    assert len(paths) == 3 * 5 * 4
    assert paths["path"].to_list()[:8] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert paths.equals(fitted.sample(paths=5, seed=1))
    assert paths["time"][:4].equals(frame["time"][:4])


def test_segments_have_no_paths() -> None:
    fitted = Forecaster(**SMALL | {"epochs": 1}).fit(table(1))
    with pytest.raises(UsageError, match="Train with model='autoregressive'"):
        fitted.sample()
    assert fitted.predict(quantiles=[0.3, 0.7]).columns == ["series", "time", "q0.3", "q0.7"]


def test_counts_with_many_zeros_are_drawn_as_counts() -> None:
    draw = np.random.default_rng(0)
    rows = pl.DataFrame(
        {"id": ["a"] * 80 + ["b"] * 80, "step": [*range(80), *range(80)], "sold": draw.poisson(0.8, 160).tolist()}
    )
    fitted = Forecaster(**SMALL | {"epochs": 2, "segment": None}).fit(rows)
    assert (fitted.config_.model, fitted.config_.loss) == ("autoregressive", "negative_binomial")
    assert any("zero" in sentence for sentence in fitted.told_)
    values = fitted.sample(paths=50)["value"].to_numpy()
    np.testing.assert_allclose(values, values.round(), atol=1e-4)
    assert values.min() >= 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "autoregressive", "loss": "quantile"}, "loss=quantile is for segments"),
        ({"model": "segments", "loss": "student_t"}, "loss=student_t is for autoregressive"),
        ({"model": "autoregressive", "past": ("rain",)}, "only segments can read them"),
        ({"lags": (1, 4)}, "lags should rise and be above 1"),
        ({"loss": "negative_binomial", "log": True}, "is for counts"),
    ],
)
def test_settings_that_do_not_fit_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ForecastConfig.of(options)
