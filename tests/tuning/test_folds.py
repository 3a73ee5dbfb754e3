from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ricorso.data.series import read_series
from ricorso.errors import DataError
from ricorso.tasks.forecast.task import Forecaster
from ricorso.tuning.folds import check_series, rolling_origins, text_blocks


def test_blocks_of_a_text_are_contiguous_and_cover_it(tmp_path):
    text = "".join(chr(ord("a") + place % 26) for place in range(101)) + "é\n"
    (tmp_path / "text.txt").write_text(text, encoding="latin-1")
    parts = text_blocks(tmp_path / "text.txt", {"encoding": "latin-1"}, 4, tmp_path / "folds")
    held_out = [part.validation.read_text(encoding="latin-1") for part in parts]
    assert "".join(held_out) == text
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for part, block in zip(parts, held_out, strict=True):
        assert part.data.read_text(encoding="latin-1") == text.replace(block, "", 1)


def test_a_text_of_a_few_symbols_has_no_folds(tmp_path):
    (tmp_path / "text.txt").write_text("abc\n")
    with pytest.raises(DataError, match="has 4 characters, too few for 3 folds"):
        text_blocks(tmp_path / "text.txt", {}, 3, tmp_path / "folds")


# --- series

SETTINGS = {"horizon": 4, "season": 4, "known": ["price"], "targets": ["sold"], "series": "shop", "time": "when"}


@pytest.fixture
def sales(tmp_path):
    """Two shops of 60 and 40 hours, and prices for four hours more."""
    draw = np.random.default_rng(0)
    rows = [
        {
            "shop": name,
            "when": datetime(2024, 1, 1) + timedelta(hours=t),
            "sold": draw.normal(10, 1) if t < steps else None,
            "price": float(t),
            "note": "not used",
        }
        for name, steps in (("007", 60), ("b", 40))
        for t in range(steps + 4)
    ]
    path = tmp_path / "sales.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


def test_each_fold_ends_a_horizon_later_and_holds_all_that_lies_before(sales, tmp_path):
    parts = rolling_origins(sales, SETTINGS, 3, tmp_path / "folds")
    roles = {name: SETTINGS[name] for name in ("known", "targets", "series", "time")}
    whole = read_series(sales, **roles)
    assert len(parts) == 3
    for part, left in zip(parts, (8, 4, 0), strict=True):
        known = read_series(part.data, **{name: part.settings[name] for name in roles})
        assert part.validation is None
        assert known.names == ("007", "b")
        for shorter, series in zip(known.series, whole.series, strict=True):
            assert shorter.start == series.start
            assert shorter.values.tolist() == series.values[: series.steps - left].tolist()
            assert shorter.known.tolist() == series.known[: series.steps - left + 4].tolist()


def test_a_fold_is_what_was_known_at_its_time(sales, tmp_path):
    small = {"context": 8, "segment": 4, "hidden_size": 8, "epochs": 1, "windows_per_epoch": 40, "threads": 1}
    part = rolling_origins(sales, SETTINGS, 2, tmp_path / "folds")[0]
    fitted = Forecaster(**{**small, **SETTINGS, **part.settings}).fit(part.data)
    hours = pl.col("when").str.to_datetime()
    end = pl.when(pl.col("shop") == "b").then(datetime(2024, 1, 2, 12)).otherwise(datetime(2024, 1, 3, 8))
    whole = pl.read_csv(sales, schema_overrides={"shop": pl.String})
    # the prices of the next hours are known
    by_hand = whole.filter(hours < end + timedelta(hours=4)).with_columns(sold=pl.when(hours < end).then("sold"))
    assert fitted.best_["validation_loss"] == Forecaster(**small, **SETTINGS).fit(by_hand).best_["validation_loss"]


def test_folds_lie_as_far_apart_as_is_held_out(sales, tmp_path):
    parts = rolling_origins(sales, {**SETTINGS, "validation_fraction": 0.2}, 2, tmp_path / "folds")
    assert pl.read_parquet(parts[0].data)["sold"].count() == 100 - 2 * 12


def test_a_horizon_that_is_left_open_is_the_same_in_all_folds(sales, tmp_path):
    settings = {name: value for name, value in SETTINGS.items() if name != "horizon"}
    assert [part.settings["horizon"] for part in rolling_origins(sales, settings, 2, tmp_path / "folds")] == [4, 4]


def test_what_follows_from_the_values_is_the_same_in_all_folds(sales, tmp_path):
    below = pl.read_csv(sales, schema_overrides={"shop": pl.String})
    below.with_columns(sold=pl.when(price=59).then(-1.0).otherwise("sold")).write_csv(sales)
    parts = rolling_origins(sales, SETTINGS, 2, tmp_path / "folds")
    assert pl.read_parquet(parts[0].data)["sold"].min() > 0
    assert [part.settings["scaling"] for part in parts] == ["standard", "standard"]


def test_series_that_are_too_short_are_told(sales, tmp_path):
    with pytest.raises(DataError, match=r"sales\.csv is too short for 13 folds that are 4 steps apart"):
        rolling_origins(sales, SETTINGS, 13, tmp_path / "folds")
    check_series(sales, SETTINGS)
    with pytest.raises(DataError, match="long enough to hold out 16 steps for validation; the longest has 60"):
        check_series(sales, {**SETTINGS, "horizon": 16})
