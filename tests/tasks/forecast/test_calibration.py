"""Intervals that were too narrow hold what they promise after calibration, on values that nothing has seen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_forecast import SMALL, table
from stopping import StopAt

import ricorso
from ricorso import bundle
from ricorso.errors import UsageError
from ricorso.insight.forecast import forecasts_section
from ricorso.tasks.forecast.calibration import helpful_factors, stretch_factors, stretched
from ricorso.tasks.forecast.task import Forecaster
from ricorso.training.interrupt import TrainingInterrupted

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
NORMAL = torch.tensor([-1.96, -1.2816, -0.6745, 0, 0.6745, 1.2816, 1.96])
WIDTHS = torch.tensor([0.8, 0.6, 0.4, 1.0, 0.4, 0.6, 0.8])
NOISE: dict[str, Any] = SMALL | {
    "time": "when",
    "epochs": 4,
    "windows_per_epoch": 1000,
    "scaling": "standard",
    "difference": False,
    "linear": False,
}


def made_up(windows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values on many scales, and what was said of them: too narrow, most of all near the middle."""
    random = torch.Generator().manual_seed(seed)
    size = torch.rand(windows, 1, generator=random) * 10 + 0.1
    noise = torch.randn(windows, 12, generator=random)
    said = WIDTHS * NORMAL * size.unsqueeze(-1)
    return said.expand(windows, 12, -1), size * noise


def shares(quantiles: torch.Tensor, target: torch.Tensor) -> list[float]:
    found: list[float] = (target.unsqueeze(-1) <= quantiles).double().mean((0, 1)).tolist()
    return found


def noise(series: int, seed: int) -> pl.DataFrame:
    """A level that has been calm, and is not at the end: what is learnt from the calm is too sure of itself."""
    draw = np.random.default_rng(seed)
    steps = 36
    values = 50 + draw.normal(size=(series, steps)) * np.where(np.arange(steps) < steps - 4, 1.0, 3.0)
    return pl.DataFrame(
        {
            "id": np.repeat([f"s{n}" for n in range(series)], steps),
            "when": np.tile(np.arange(steps), series),
            "y": values.ravel(),
        }
    )


def test_intervals_hold_their_share_of_fresh_values() -> None:
    factors = stretch_factors(*made_up(400, seed=0), LEVELS)
    assert factors.tolist() == pytest.approx((1 / WIDTHS).tolist(), rel=0.05)
    said, target = made_up(4000, seed=1)
    assert max(abs(a - b) for a, b in zip(shares(said, target), LEVELS, strict=True)) > 0.08
    right = shares(stretched(said, factors, LEVELS), target)
    assert right == pytest.approx(list(LEVELS), abs=0.015)


def test_an_interval_that_is_pushed_out_by_the_one_within_holds_its_share_too() -> None:
    random = torch.Generator().manual_seed(0)
    # the narrowest interval is near nothing in half of the windows, so that its factor is large where it is not
    inner = torch.where(torch.rand(2000, 1, 1, generator=random) < 0.5, 0.01, 1.0)
    said = (NORMAL * torch.where(NORMAL.abs() < 1, inner, 1.0)).expand(2000, 6, -1)
    target = torch.randn(2000, 6, generator=random)
    after = stretched(said, stretch_factors(said, target, LEVELS), LEVELS)
    right = shares(after, target)
    assert [right[6] - right[0], right[5] - right[1]] == pytest.approx([0.95, 0.8], abs=0.005)


def test_the_share_is_that_of_conformal_prediction() -> None:
    narrow = torch.tensor([-1.0, 0.0, 1.0]).expand(1, 9, 3)
    values = torch.tensor([[-9.0, -7, -5, -3, 0, 2, 4, 6, 8]])
    # of nine values the eighth in size stands for eight tenths, as the tenth is the one to come
    assert stretch_factors(narrow, values, (0.1, 0.5, 0.9)).tolist() == [8.0, 1.0, 8.0]


def test_missing_values_and_forecasts_without_width_do_no_harm() -> None:
    said, target = made_up(100, seed=0)
    gappy = torch.where(torch.arange(12) < 6, target, torch.nan)
    torch.testing.assert_close(
        stretch_factors(said, gappy, LEVELS), stretch_factors(said[:, :6], target[:, :6], LEVELS)
    )
    flat = torch.zeros(50, 12, len(LEVELS))
    assert bool(stretch_factors(flat, target[:50], LEVELS).isfinite().all())


def test_stretched_quantiles_rise_and_the_median_stays() -> None:
    said = made_up(50, seed=2)[0].sort(-1).values + 3
    factors = torch.tensor([0.2, 3.0, 1.0, 1.0, 4.0, 0.0, 2.0])
    found = stretched(said, factors, LEVELS)
    assert bool((found.diff(dim=-1) >= 0).all())
    assert torch.equal(found[..., 3], said[..., 3])


def test_what_does_not_help_is_left_alone() -> None:
    said, target = made_up(100, seed=0)
    groups = np.arange(100)
    assert helpful_factors(said, target, LEVELS, groups) is not None
    assert helpful_factors(said, target, LEVELS, groups // 10) is None
    random = torch.Generator().manual_seed(0)
    right, truth = NORMAL.expand(100, 12, -1), torch.randn(100, 12, generator=random)
    assert helpful_factors(right, truth, LEVELS, groups) is None


@pytest.fixture(scope="module")
def pair() -> tuple[Forecaster, Forecaster]:
    known = noise(60, seed=0)
    return Forecaster(**NOISE).fit(known), Forecaster(**NOISE, calibrate=False).fit(known)


def test_a_forecaster_holds_what_it_promises_on_fresh_series(pair: tuple[Forecaster, Forecaster]) -> None:
    fitted, plain = pair
    fresh = noise(300, seed=1)
    before, after = plain.evaluate(fresh), fitted.evaluate(fresh)
    assert before["coverage_80"] < 0.6
    assert after["coverage_80"] == pytest.approx(0.8, abs=0.04)
    assert after["coverage_95"] == pytest.approx(0.95, abs=0.03)
    assert after["mae"] == before["mae"]
    assert after["wql"] < before["wql"]
    assert "intervals calibrated on 60 held-out windows: times as wide as learnt, that of 50%" in fitted.told_[-1]
    assert not any("calibrated" in sentence for sentence in plain.told_)
    assert fitted.config_.calibrate is True


def test_predictions_backtests_and_anomalies_have_the_same_intervals(pair: tuple[Forecaster, Forecaster]) -> None:
    fresh = noise(30, seed=2)
    fitted, plain = (one.predict(fresh, quantiles=[0.1, 0.2, 0.5, 0.9]) for one in pair)
    assert fitted["q0.5"].equals(plain["q0.5"])
    assert bool((fitted["q0.2"] < plain["q0.2"]).all())
    assert bool((fitted["q0.9"].to_numpy() >= fitted.select("q0.1", "q0.2", "q0.5", "q0.9").to_numpy()[:, :-1].T).all())
    held = [one.backtest(fresh, count=1)["coverage_80"] for one in pair]
    assert held[1] < 0.6 < 0.7 < held[0] < 0.9
    rows = [one.anomalies(fresh).drop_nulls("low") for one in pair]
    widths = [(own["high"] - own["low"]).mean() for own in rows]
    assert widths[0] > 1.3 * widths[1]  # type: ignore[operator]


def test_the_report_says_what_was_done(pair: tuple[Forecaster, Forecaster]) -> None:
    fitted, plain = pair
    assert fitted.stretch[3] == 1
    assert min(fitted.stretch[:3]) > 1
    assert fitted.stretch[:3] == fitted.stretch[:3:-1]
    page = forecasts_section(fitted)
    assert f"that of 95% is {fitted.stretch[0]:.3g} times as wide as learnt" in page
    assert "calibrated" not in forecasts_section(plain)


def test_a_run_keeps_its_calibration(pair: tuple[Forecaster, Forecaster], tmp_path: Path) -> None:
    fresh = noise(5, seed=3)
    fitted, plain = pair
    for number, one in enumerate((fitted, plain)):
        one.save(tmp_path / str(number))
        assert ricorso.load(tmp_path / str(number)).predict(fresh).equals(one.predict(fresh))
    assert not fitted.predict(fresh).equals(plain.predict(fresh))


def test_a_run_from_before_there_was_calibration_is_read(pair: tuple[Forecaster, Forecaster], tmp_path: Path) -> None:
    folder = pair[1].save(tmp_path / "old")
    facts = json.loads((folder / "config.json").read_text())
    del facts["settings"]["calibrate"], facts["settings"]["contexts"]
    bundle.write_file(folder / "config.json", bundle.to_json(facts))
    bundle.seal(folder)
    fresh = noise(5, seed=3)
    assert ricorso.load(folder).predict(fresh).equals(pair[1].predict(fresh))


def test_a_resumed_training_ends_with_the_same_intervals(tmp_path: Path) -> None:
    path = tmp_path / "noise.csv"
    noise(40, seed=0).write_csv(path)
    options = NOISE | {"epochs": 3, "checkpoint_steps": 2}
    whole = Forecaster(**options).fit(path)
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        Forecaster(**options).fit(path, out=tmp_path / "run", listener=StopAt(5))
    again = Forecaster.resume(tmp_path / "run")
    assert again.model_.state_dict()["stretch"].tolist() == whole.model_.state_dict()["stretch"].tolist()
    assert again.model_.state_dict()["stretch"].tolist() != [1.0] * 7
    assert ricorso.load(tmp_path / "run").predict().equals(whole.predict())


def test_few_windows_and_other_losses_stay_as_they_were_learnt() -> None:
    few = Forecaster(**SMALL | {"epochs": 1}).fit(table())
    assert few.model_.state_dict()["stretch"].tolist() == [1.0] * 7
    assert Forecaster(**SMALL | {"epochs": 1, "validation_fraction": 0.0}).fit(table()).config_.calibrate is False
    assert Forecaster(**SMALL | {"epochs": 1, "loss": "mae"}).fit(table()).config_.calibrate is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mse"}, "calibrate is for loss=quantile"),
        ({"model": "autoregressive"}, "paths drawn from a distribution stay as they are"),
        ({"validation_fraction": 0.0}, "validation_fraction above 0"),
        ({"quantiles": (0.1, 0.5, 0.8)}, "the ends of an interval"),
    ],
)
def test_what_cannot_be_calibrated_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Forecaster(**SMALL | options, calibrate=True).fit(table())
