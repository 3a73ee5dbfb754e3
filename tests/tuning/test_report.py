import json
import re
from html import unescape

from small_search import SPACE, TRIALS

from ricorso.tuning import tune
from ricorso.tuning.result import TrialRow, at_the_edge
from ricorso.tuning.space import Choice, Range


def page(found):
    return found.report.read_text(encoding="utf-8")


def numbers(text):
    return json.loads(re.search(r'id="charts">(.*?)</script>', text, re.DOTALL).group(1))


def test_the_page_shows_the_winner_and_how_to_train_it(found):
    text = page(found)
    assert f"<pre>{found.command}</pre>" in unescape(text)
    assert f"{found.best.loss:.4f}" in text
    assert "epsilon squared (Kelley 1935)" in text
    ranked = [int(number) for number in re.findall(r"<tr><td>\d+</td><td>(\d+)</td>", text)]
    assert ranked == [row.number for row in found.ranking]


def test_the_charts_hold_every_trial(found):
    charts = numbers(page(found))
    assert [trial["number"] for trial in charts["trials"]] == list(range(TRIALS))
    assert [axis["name"] for axis in charts["axes"]] == list(SPACE)
    assert charts["importance"] == dict(found.importance.shares)
    best = charts["trials"][found.best.number]
    assert best["losses"] == list(found.best.measured.values())
    assert charts["axes"][2]["choices"][-1] == str(found.best.settings["num_layers"])


def test_nothing_is_loaded_from_a_network(found):
    own = re.sub(r"<script>.*?</script>", "", page(found), count=1, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", own)


def test_names_cannot_become_markup(text_file, tmp_path):
    folder = tmp_path / "<script>alert(1)<"
    found = tune(
        "generate", text_file, trials=1, space={"dropout": [0.1]}, settings={"epochs": 1, "hidden_size": 8}, out=folder
    )
    text = page(found)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;" in text


def test_a_best_value_at_the_end_of_its_range_is_noticed():
    space = {
        "rate": Range(1e-4, 1e-1, log=True), "size": Range(64, 512), "layers": Range(1, 3), "cell": Choice(("a",)),
        "dropout": Range(0.0, 0.5),
    }  # fmt: skip

    def edge(**settings):
        row = TrialRow(0, "complete", 1.0, None, (1.0,), settings, {}, 1.0, None, "", 0)
        return at_the_edge(row, space)

    assert edge(rate=0.099, size=64, layers=1, cell="a", dropout=0.5) == ["rate", "size", "dropout"]
    assert edge(rate=0.01, size=128, layers=3, cell="a", dropout=0.0) == []
