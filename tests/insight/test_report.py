import json
import re
from html.parser import HTMLParser

import pytest

from ricorso.bundle import CELL, CONFIG, METRICS, to_json, verify
from ricorso.cells import get_cell
from ricorso.equations import portable
from ricorso.errors import RunError
from ricorso.insight.report import thinned, write_report

CONFIGURATION = {
    "task": "generate",
    "settings": {"cell": "gru", "num_layers": 2, "hidden_size": 64, "minutes": None, "note": "<b>bold</b>"},
    "data": {"text": {"path": "a/<corpus>.txt", "characters": 12345}, "validation": None},
    "versions": {"ricorso": "1.2.3"},
}


def step(number, **figures):
    usual = {
        "loss": 3.0 / number,
        "learning_rate": 1e-3,
        "gradient_norm": 0.5,
        "symbols_per_second": 1000.0,
        "skipped": 0,
    }
    return {"kind": "step", "step": number, "seconds": float(number), **usual, **figures}


LINES = [
    step(1),
    step(2, loss=None, gradient_norm=None, skipped=1),
    {"kind": "validation", "step": 2, "seconds": 2.0, "validation_loss": 1.25, "best": True},
    {"kind": "sample", "step": 2, "text": "He said </script> & <i>left</i>. 床前明月光"},
    step(3, skipped=1),
    {"kind": "validation", "step": 3, "seconds": 3.0, "validation_loss": 1.5, "best": False},
    {"kind": "sample", "step": 3, "text": "the last one"},
]


class References(HTMLParser):
    """Collects what a page points at."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href")]


@pytest.fixture
def run(tmp_path):
    """A run folder as a training leaves it, without the weights."""
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / CONFIG).write_bytes(to_json(CONFIGURATION))
    (folder / CELL).write_bytes(to_json(portable.to_json(get_cell("gru"))))
    (folder / METRICS).write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    return folder


@pytest.fixture
def page(run):
    return write_report(run, {"cell": "Which cell & why."}).read_text(encoding="utf-8")


def test_it_joins_the_manifest(run):
    path = write_report(run)
    assert path == run / "report.html"
    assert "report.html" in verify(run)


def test_it_asks_nothing_of_a_network(page):
    assert References(page).found == []
    head = page[: page.index("<script>")]
    assert "http" not in head
    assert "@import" not in head


def test_the_best_figures_stand_on_top(page):
    figures = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert figures["validation loss, nats"] == "1.2500"
    assert figures["perplexity"] == "3.49"
    assert figures["steps"] == "3"


def test_the_curves_are_the_recorded_ones(page):
    curves = json.loads(re.search(r'id="curves">(.*?)</script>', page).group(1))
    assert curves["step"]["x"] == [1, 2, 3]
    assert curves["step"]["loss"] == [3.0, None, 1.0]
    assert curves["validation"] == {"x": [2, 3], "loss": [1.25, 1.5]}


def test_text_of_the_model_stays_text(page):
    assert "He said &lt;/script&gt; &amp; &lt;i&gt;left&lt;/i&gt;. 床前明月光" in page
    assert "<b>bold</b>" not in page
    assert "&lt;corpus&gt;.txt" in page
    assert page.index("the last one") < page.index("He said")


def test_skipped_steps_are_told(page):
    assert "1 step was skipped" in page


def test_it_says_how_to_use_the_model(page, run):
    assert f"ricorso generate &#x27;{run}&#x27;" in page
    assert "ricorso.load(" in page


def test_it_shows_formulas_settings_and_their_meaning(page):
    assert "h&#x27; = " in page
    assert "Which cell &amp; why." in page
    assert "not set" in page
    assert "2 layers of 64 units" in page


def test_a_run_without_records_has_a_page_too(run):
    (run / METRICS).unlink()
    page = write_report(run).read_text(encoding="utf-8")
    assert "No samples were written" in page


def test_what_was_made_stays_when_the_page_is_written_again(run):
    (run / "metrics.jsonl").unlink()
    write_report(run, made="<p>measured once</p>")
    again = write_report(run, inside="<p>a look inside</p>").read_text(encoding="utf-8")
    assert again.count("<p>measured once</p>") == 1
    assert "<p>a look inside</p>" in again
    assert "measured once" not in write_report(run, made="<p>measured anew</p>").read_text(encoding="utf-8")


def test_a_run_without_settings_is_refused(run):
    (run / CONFIG).unlink()
    with pytest.raises(RunError, match=r"config\.json"):
        write_report(run)


@pytest.mark.parametrize("count", [1, 599, 600, 601, 5000])
def test_thinned_curves_keep_their_mean_and_their_end(count):
    rows = [{"step": n + 1, "loss": float(n)} for n in range(count)]
    curve = thinned(rows, ["loss"])
    assert len(curve["x"]) <= 600
    assert curve["x"][-1] == count
    if count <= 600:
        assert curve["loss"] == [float(n) for n in range(count)]


def test_gaps_stay_gaps():
    assert thinned([{"step": 1, "loss": None}], ["loss"]) == {"x": [1], "loss": [None]}
