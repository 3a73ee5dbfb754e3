import json
import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import numpy as np
import polars as pl
import pytest

from ricorso.errors import DataError, RunError, UsageError
from ricorso.tasks.forecast.plot import plot, shown_intervals
from ricorso.tasks.forecast.task import Forecaster

SMALL: dict[str, Any] = {
    "horizon": 4, "season": 4, "context": 12, "segment": 4, "hidden_size": 8, "batch_size": 16, "epochs": 1,
    "windows_per_epoch": 100, "threads": 1,
}  # fmt: skip


def table(series: int = 3, steps: int = 40, **columns: Any) -> pl.DataFrame:
    times = [datetime(2024, 1, 1) + timedelta(hours=t) for t in range(steps)]
    waves = [10.0 * (n + 1) + np.sin(np.pi * np.arange(steps) / 2) for n in range(series)]
    parts = [{"id": [f"shop {n}"] * steps, "when": times, "sold": wave} | columns for n, wave in enumerate(waves)]
    return pl.concat(pl.DataFrame(part) for part in parts)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(**SMALL).fit(table())


def drawn(text: str) -> dict[str, Any]:
    found = re.search(r'id="forecasts">(.*?)</script>', text, re.DOTALL)
    assert found
    values: dict[str, Any] = json.loads(found[1])
    return values


def test_the_forecast_ahead_and_the_last_horizon_are_drawn(fitted: Forecaster) -> None:
    found = plot(fitted)
    assert [one.name for one in found.pictures] == ["shop 0", "shop 1", "shop 2"]
    values = drawn(found.charts())
    assert [share for share, _, _ in values["intervals"]] == [0.95, 0.8, 0.5]
    one = values["series"][1]
    assert one["known"]["y"][-1] == pytest.approx(20 + np.sin(np.pi * 39 / 2), abs=1e-6)
    assert one["seen"]["x"] == one["known"]["x"][-4:]
    assert one["ahead"]["x"][0].startswith("2024-01-02T16")
    ahead = fitted.predict().filter(pl.col("series") == "shop 1")
    assert one["ahead"]["quantiles"][values["middle"]] == pytest.approx(ahead["q0.5"].to_list(), rel=1e-5)
    hindsight = fitted.hindsight()[1].quantiles
    assert one["seen"]["quantiles"][0] == pytest.approx(hindsight[:, 0].tolist(), rel=1e-5)


def test_what_to_draw_can_be_chosen(fitted: Forecaster) -> None:
    only = plot(fitted, series="shop 2", hindsight=False)
    assert [one.name for one in only.pictures] == ["shop 2"]
    assert only.pictures[0].seen is None
    assert only.pictures[0].ahead is not None
    two = plot(fitted, series=["shop 2", "shop 0"], ahead=False)
    assert [one.name for one in two.pictures] == ["shop 2", "shop 0"]
    assert all(one.ahead is None and one.seen is not None for one in two.pictures)
    # the forecaster is as it was
    assert fitted.series_ is not None
    assert len(fitted.series_) == 3


def test_newer_data_and_more_series_than_can_be_shown(fitted: Forecaster) -> None:
    found = plot(fitted, table(series=20, steps=50))
    assert len(found.pictures) == 6
    assert (found.pictures[0].name, found.pictures[-1].name) == ("shop 0", "shop 19")
    assert len(found.pictures[0].values) == 50
    assert "6 of 20 series" in repr(found)


def test_several_targets_are_chosen_by_name() -> None:
    forecaster = Forecaster(**SMALL, targets=("sold", "back")).fit(table(series=2, back=np.arange(40.0)))
    assert len(plot(forecaster).pictures) == 4
    assert [one.name for one in plot(forecaster, series="back").pictures] == ["shop 0 back", "shop 1 back"]
    assert [one.name for one in plot(forecaster, series="shop 1").pictures] == ["shop 1 sold", "shop 1 back"]
    (one,) = plot(forecaster, series="shop 1 back").pictures
    assert one.values[-1] == 39
    assert one.ahead is not None
    asked = forecaster.predict().filter(series="shop 1", target="back")["q0.5"].to_numpy()
    assert np.allclose(one.ahead[1][:, 3], asked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"series": "shop1"}, "There is no series 'shop1'. Did you mean 'shop 1'?"),
        ({"series": "zebra"}, "There are shop 0, shop 1, shop 2"),
        ({"series": []}, "is empty"),
        ({"ahead": False, "hindsight": False}, "nothing to draw"),
    ],
)
def test_mistakes_are_told(fitted: Forecaster, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        plot(fitted, **options)


def test_what_the_data_do_not_allow_is_left_out() -> None:
    times = [datetime(2024, 1, 1) + timedelta(hours=t) for t in range(40)]
    data = pl.DataFrame({"when": times, "sold": np.arange(40.0), "price": np.ones(40)})
    forecaster = Forecaster(**SMALL, known=("price",), targets=("sold",)).fit(data)
    (one,) = plot(forecaster).pictures
    assert one.ahead is None
    assert one.seen is not None
    with pytest.raises(DataError, match="price"):
        plot(forecaster, ahead=True)


def test_a_series_too_short_for_hindsight_has_its_forecast_ahead(fitted: Forecaster) -> None:
    data = table(series=2).filter((pl.col("id") == "shop 0") | (pl.col("when") < datetime(2024, 1, 1, 5)))
    long, short = plot(fitted, data).pictures
    assert long.seen is not None
    assert short.seen is None
    assert short.ahead is not None
    assert len(short.values) == 5
    assert drawn(plot(fitted, data).charts())["series"][1]["seen"] is None


def test_it_shows_itself_and_is_saved(fitted: Forecaster, tmp_path: Any) -> None:
    found = plot(fitted, series="shop 0")
    path = found.save(tmp_path / "shop.html")
    text = path.read_text(encoding="utf-8")
    assert text == found.page()
    own = re.sub(r"<script>.*?</script>", "", text, count=1, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", own)
    frame = re.fullmatch(r'<iframe srcdoc="([^"]*)" title="Forecasts" style="[^"]*"></iframe>', found._repr_html_())
    assert frame
    assert unescape(frame[1]) == text
    with pytest.raises(RunError, match="could not be written"):
        found.save(tmp_path / "shop.html" / "shop.html")


def test_names_cannot_become_markup(fitted: Forecaster) -> None:
    data = table(series=1).with_columns(pl.lit("<script>alert(1)</script>").alias("id"))
    text = plot(fitted, data).charts()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_bands_are_those_that_people_know_or_the_widest() -> None:
    assert [share for share, _, _ in shown_intervals([0.1, 0.2, 0.5, 0.8, 0.9])] == [0.8]
    assert [share for share, _, _ in shown_intervals([0.05, 0.15, 0.3, 0.4, 0.6, 0.7, 0.85, 0.95])] == [0.9, 0.7, 0.4]
    assert shown_intervals([0.5]) == []
