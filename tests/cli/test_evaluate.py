import json
import math
import shutil

import pytest

import ricorso as package
from ricorso.cli.main import run


def test_the_figures_are_those_of_the_model(ricorso, trained, text_file):
    told = json.loads(ricorso("evaluate", trained, text_file, "--json").out)
    expected = package.load(trained).evaluate(text_file)
    assert {name: told[name] for name in expected} == expected
    assert math.isclose(told["perplexity"], math.exp(told["nats_per_symbol"]))


def test_they_are_shown_with_their_protocol(ricorso, trained, text_file):
    outcome = ricorso("evaluate", trained, text_file)
    assert outcome.status == 0
    assert "each from a zero state" in outcome.out
    assert "bits per character" in outcome.out
    assert "One pass" not in outcome.out


def test_the_stateful_figures_stand_apart(ricorso, trained, text_file):
    outcome = ricorso("evaluate", trained, text_file, "--stateful")
    assert "not comparable" in outcome.out
    assert outcome.out.count("nats per symbol") == 2


def test_unknown_symbols_are_mentioned(ricorso, trained, tmp_path):
    (tmp_path / "other.txt").write_text("ΩΩΩ The fox", encoding="utf-8")
    assert "unknown symbols" in ricorso("evaluate", trained, "other.txt").out


def test_a_missing_text(ricorso, trained):
    outcome = ricorso("evaluate", trained, "nowhere.txt")
    assert (outcome.status, outcome.out) == (1, "")
    assert "There is no file 'nowhere.txt'" in outcome.err


# --- rolling origins

SMALL = [
    "--horizon", "4", "--season", "4", "--context", "12", "--segment", "4", "--hidden-size", "8", "--epochs", "1",
    "--threads", "1", "--batch-size", "16", "--windows-per-epoch", "60",
]  # fmt: skip


@pytest.fixture(scope="module")
def forecast_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    rows = [f"2024-01-{1 + t // 24:02d} {t % 24:02d}:00,{20 + 5 * math.sin(t * math.pi / 2):.3f}" for t in range(60)]
    (folder / "sales.csv").write_text("\n".join(["when,sold", *rows, ""]))
    assert run(["train", "forecast", str(folder / "sales.csv"), *SMALL, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def forecast(forecast_once, tmp_path):
    return shutil.copytree(forecast_once, tmp_path / "series")


def forecast_of(folder):
    return folder / "run", folder / "sales.csv"


def test_series_are_measured_at_several_origins(ricorso, forecast):
    told = json.loads(ricorso("evaluate", *forecast_of(forecast), "--origins", 3, "--json").out)
    assert [row["back"] for row in told["origins"]] == [8, 4, 0]
    assert told["origins"][0]["from"] == "2024-01-03 00:00:00"
    assert told["forecasts"] == 3
    # a wave without noise has no changes over a season to measure in
    assert told["mase"] is None
    # the last origin is that of a plain evaluation
    plain = json.loads(ricorso("evaluate", *forecast_of(forecast), "--json").out)
    assert told["origins"][2]["mae"] == plain["mae"]
    outcome = ricorso("evaluate", *forecast_of(forecast), "--origins", 3, "--stride", 1)
    assert outcome.status == 0
    assert "2024-01-03 07:00" in outcome.out
    nearer = json.loads(ricorso("evaluate", *forecast_of(forecast), "--origins", 3, "--stride", 1, "--json").out)
    better = sum(row["mae"] < row["naive_mae"] for row in nearer["origins"])
    assert f"Better than the seasonal naive at 0, than the last value at {better} of 3 origins." in outcome.out
    assert "--refit shows how it would have been" in outcome.out


def test_a_model_is_trained_anew_for_each_origin(ricorso, forecast):
    outcome = ricorso("evaluate", *forecast_of(forecast), "--origins", 2, "--refit")
    assert outcome.status == 0
    assert outcome.err.count("trained and measured, MAE ") == 2
    assert "2 forecasts, each by a new model that knew only what lay before." in outcome.out
    kept = ricorso("evaluate", *forecast_of(forecast), "--origins", 2)
    assert kept.out.splitlines()[3] != outcome.out.splitlines()[3]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--refit"], 2, "--refit needs --origins"),
        (["--stride", "2"], 2, "--stride needs --origins"),
        (["--origins", "0"], 2, "0 is not in the range"),
        (["--origins", "20", "--refit"], 1, "Ask for fewer origins, or a smaller stride."),
        (["--stateful"], 2, "--stateful is for texts"),
    ],
)
def test_a_mistake_about_origins_gets_one_line(ricorso, forecast, words, status, message):
    outcome = ricorso("evaluate", *forecast_of(forecast), *words)
    assert outcome.status == status
    assert message in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err


def test_a_text_has_no_origins(ricorso, trained, text_file):
    outcome = ricorso("evaluate", trained, text_file, "--origins", 2)
    assert (outcome.status, outcome.out) == (2, "")
    assert "--origins is for series; " in outcome.err
