import json
import re
from pathlib import Path

import numpy as np
import pytest

from ricorso.cli.demo_forecast import clean_sine, known_part, series


def test_the_forecast_demo_draws_what_it_learns_and_says_what_to_do_next(ricorso, tmp_path):
    outcome = ricorso("demo", "forecast", "--minutes", "0.03", "--seed", "1")
    assert outcome.status == 0
    assert "seasonal naive" in outcome.out
    assert "the free run of 3 days" in outcome.out
    page = (tmp_path / "runs" / "demo-forecast" / "report.html").read_text(encoding="utf-8")
    runs = json.loads(re.search(r'id="free-runs">(.*?)</script>', page)[1])
    for run in runs:
        assert len(run["original"]["x"]) == 2 * 72
        assert run["predicted"]["x"] == run["original"]["x"][:72]
        assert run["free"]["x"] == run["original"]["x"][72:]
        assert len(run["free"]["y"]) == 72
    steps = [line.split("   ")[0].split() for line in outcome.out.split("Next:\n")[1].splitlines()]
    assert [words[0] for words in steps] == ["ricorso"] * 3
    predicted = ricorso(*steps[0][1:])
    assert predicted.status == 0
    assert "visitors,2024-03-25T00:00:00" in predicted.out


def test_the_table_of_the_demo_overwrites_nothing(ricorso, tmp_path):
    (tmp_path / "mine.csv").write_text("precious")
    outcome = ricorso("demo", "forecast", "--out", "mine")
    assert outcome.status == 2
    assert "in the way" in outcome.err
    assert (tmp_path / "mine.csv").read_text() == "precious"


def test_the_series_of_the_demo_are_the_same_everywhere():
    whole = series()
    assert whole["series"].unique(maintain_order=True).to_list() == ["noisy sine", "visitors"]
    assert len(known_part(whole)) == len(whole) - 2 * 72
    sine = whole.filter(series="noisy sine")["value"].to_numpy()
    assert np.std(sine - clean_sine(len(sine))) == pytest.approx(0.1, rel=0.05)
    assert whole["value"][-1] == series()["value"][-1]


def test_a_file_named_like_a_task_is_a_file(ricorso, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("ricorso.cli.demo._demo_text", lambda text, *rest: asked.append(text) or 0)
    monkeypatch.setattr("ricorso.cli.demo_forecast.demo_forecast", lambda *rest: asked.append("forecast") or 0)
    ricorso("demo", "generate")
    ricorso("demo", "forecast")
    (tmp_path / "forecast").write_text("a text")
    ricorso("demo", "forecast")
    assert asked == [None, "forecast", Path("forecast")]
