import csv
import io
import json
import math

import pytest

SMALL = [
    "--horizon", "2", "--season", "4", "--context", "8", "--segment", "4", "--hidden-size", "8", "--epochs", "6",
    "--threads", "1", "--batch-size", "16", "--learning-rate", "0.01",
]  # fmt: skip


def readings(path, steps=96, spike=None, name=None):
    rows = [
        f"2024-01-{1 + t // 24:02d} {t % 24:02d}:00,{60 if t == spike else 20 + 5 * math.sin(t * math.pi / 2):.3f}"
        for t in range(steps)
    ]
    head = "when,load"
    if name:
        head, rows = "pump,when,load", [f"{name},{row}" for row in rows]
    path.write_text("\n".join([head, *rows, ""]))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from ricorso.cli.main import run as command

    folder = tmp_path_factory.mktemp("predict")
    data = readings(folder / "pump.csv")
    assert command(["train", "forecast", str(data), "--out", str(folder / "run"), *SMALL]) == 0
    return folder / "run"


def test_a_spike_is_found_told_and_drawn(ricorso, run, tmp_path):
    data = readings(tmp_path / "new.csv", spike=80)
    found = ricorso("predict", run, data, "--anomalies", "--false-alarm-every", "1000", "--page", "page.html")
    assert found.status == 0
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert list(rows[0])[-3:] == ["probability", "score", "anomaly"]
    assert len(rows) == 96
    flagged = [row for row in rows if row["anomaly"] == "true"]
    assert flagged[0]["time"].startswith("2024-01-04T08:00")
    assert "are anomalies, in 1 alarm" in found.err
    assert "2024-01-04 08:00:00" in found.err
    assert "<h1>Anomalies in new.csv</h1>" in (tmp_path / "page.html").read_text()
    lines = ricorso("predict", run, data, "--anomalies", "--json").out.splitlines()
    assert json.loads(lines[80])["value"] == 60


def test_options_reach_the_scores(ricorso, run, tmp_path):
    data = readings(tmp_path / "new.csv", spike=80)
    few = ricorso(
        "predict", run, data, "--anomalies", "--since", "2024-01-02", "--usual-until", "2024-01-03", "--window", "1",
        "--out", "out.csv",
    )  # fmt: skip
    assert few.out == ""
    assert "72 rows written to out.csv" in few.err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert rows[0]["time"].startswith("2024-01-02T00:00")


def test_series_that_were_not_learnt_are_forecast_and_judged_too(ricorso, tmp_path):
    learnt, other = readings(tmp_path / "a.csv", name="north"), readings(tmp_path / "b.csv", name="south", steps=40)
    assert ricorso("train", "forecast", learnt, "--out", "run", *SMALL).status == 0
    ahead = ricorso("predict", "run", other)
    assert ahead.status == 0
    assert ahead.out.splitlines()[1].startswith("south,2024-01-02T16:00")
    judged = ricorso("predict", "run", other, "--anomalies")
    assert judged.status == 0
    assert judged.out.count("south,") == 40


def test_the_help_tells_the_defaults(ricorso):
    from ricorso.tasks.forecast.anomaly import FALSE_ALARM_EVERY, WINDOW

    told = " ".join(ricorso("predict", "--help").out.split())
    assert f"[default: {FALSE_ALARM_EVERY}]" in told
    assert f"[default: {WINDOW}]" in told


def test_forecasts_have_a_page_too(ricorso, run, tmp_path):
    found = ricorso("predict", run, readings(tmp_path / "new.csv"), "--page", "page.html")
    assert found.status == 0
    assert len(found.out.splitlines()) == 3
    assert "Pictures: page.html" in found.err
    assert "<h1>Forecasts</h1>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--window", "5"], "--window needs --anomalies"),
        (["--usual-until", "2024-01-02"], "--usual-until needs --anomalies"),
        (["--anomalies", "--since", "noon"], "since must be a time"),
        (["--anomalies", "--false-alarm-every", "1"], "x>1"),
        (["--anomalies", "--out", "x.xlsx"], "--out should end in .csv"),
    ],
)
def test_mistakes_get_one_line(ricorso, run, words, message):
    outcome = ricorso("predict", run, *words)
    assert outcome.status == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_other_quantiles_and_paths(ricorso, run, tmp_path):
    asked = ricorso("predict", run, "--quantiles", "0.2,0.5")
    assert asked.out.splitlines()[0] == "series,time,q0.2,q0.5"
    data = readings(tmp_path / "new.csv")
    options = ["--model", "autoregressive", "--loss", "gaussian", *SMALL, "--epochs", "1"]
    assert ricorso("train", "forecast", data, "--out", "ar", *options).status == 0
    drawn = ricorso("predict", "ar", "--paths", "3")
    assert drawn.out.splitlines()[0] == "series,path,time,value"
    assert len(drawn.out.splitlines()) == 1 + 3 * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quantiles", "a,b"], "--quantiles should be numbers such as 0.1,0.5,0.9, got 'a,b'"),
        (["--quantiles", "0.5", "--paths", "2"], "--quantiles and --paths exclude each other"),
        (["--anomalies", "--paths", "2"], "--anomalies and --paths exclude each other"),
        (["--paths", "2"], "Paths are drawn from an autoregressive model"),
        (["--explain"], "--explain is for runs of the task classify; "),
    ],
)
def test_options_that_do_not_fit_are_told(ricorso, run, words, message):
    outcome = ricorso("predict", run, *words)
    assert outcome.status == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
