import json
import math

import pytest

SMALL = [
    "--horizon", "4", "--season", "4", "--context", "12", "--segment", "4", "--hidden-size", "8", "--epochs", "2",
    "--threads", "1", "--batch-size", "16",
]  # fmt: skip


@pytest.fixture
def sales(tmp_path):
    rows = [f"2024-01-{1 + t // 24:02d} {t % 24:02d}:00,{20 + 5 * math.sin(t * math.pi / 2):.3f}" for t in range(60)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["when,sold", *rows, ""]))
    return path


def test_from_a_table_to_a_forecast_in_three_commands(ricorso, sales, tmp_path):
    trained = ricorso("train", "forecast", sales, "--out", "run", "--quantiles", "0.1,0.5,0.9", *SMALL)
    assert trained.status == 0
    assert "seasonal naive" in trained.out
    assert "ricorso predict run" in trained.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Forecasts of 4 steps, learnt from sales.csv (1 series, 60 steps)" in page
    assert "perplexity" not in page
    told = ricorso("predict", "run")
    lines = told.out.splitlines()
    assert lines[0] == "series,time,q0.1,q0.5,q0.9"
    assert len(lines) == 5
    assert ricorso("predict", "run", sales, "--out", "next.parquet").status == 0
    assert (tmp_path / "next.parquet").exists()
    figures = json.loads(ricorso("evaluate", "run", sales, "--json").out)
    assert figures["horizon"] == 4
    assert "MASE" in ricorso("evaluate", "run", sales).out
    for verb, message in (
        ("generate", "'run' is a run of the task forecast; this is for generate."),
        ("inspect", "Models that generate, classify or tag can be looked into; this one is of 'forecast'."),
    ):
        refused = ricorso(verb, "run")
        assert refused.status == 2
        assert message in refused.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["predict", "run", "--out", "x.xlsx"], 2, "--out should end in .csv"),
        (["predict", "nowhere"], 1, "no run folder"),
        (["train", "forecast", "none.csv"], 1, "none.csv"),
        (["train", "forecast", "sales.csv", "--quantiles", "a,b"], 2, "quantiles"),
    ],
)
def test_mistakes_get_one_line(ricorso, sales, words, status, message):
    outcome = ricorso(*words)
    assert outcome.status == status
    assert message in outcome.err
    assert "Traceback" not in outcome.err
