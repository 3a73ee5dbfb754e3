import json

import pytest
from tests.support.small_labelled import reviews
from tests.support.small_tagging import sentences, write_columns

from ricorso.bundle import verify

SMALL = ("--hidden-size", 8, "--embedding-size", 8, "--epochs", 2, "--batch-size", 8, "--threads", 1)


def test_it_tells_what_was_found(ricorso, trained, text_file):
    outcome = ricorso("inspect", trained, text_file, "--steps", 20)
    assert outcome.status == 0
    assert outcome.err == ""
    for part in ("Gradient: ", "sigmoid(z)", "spectral radius, r", "inside a word", "recurrent kernels", "report.html"):
        assert part in outcome.out


def test_the_report_gets_a_section_and_the_run_stays_whole(ricorso, trained, text_file):
    before = (trained / "report.html").read_text(encoding="utf-8")
    assert "A look inside" not in before
    assert ricorso("inspect", trained, text_file, "--steps", 20).status == 0
    after = (trained / "report.html").read_text(encoding="utf-8")
    assert "A look inside" in after
    for heading in ("Learning", "What it wrote", "The cell", "Settings"):
        assert f"<h2>{heading}</h2>" in after
    assert "report.html" in verify(trained)
    assert ricorso("generate", trained, "--length", 5).status == 0


def test_as_json(ricorso, trained):
    told = json.loads(ricorso("inspect", trained, "--json", "--steps", 20, "--prompt", "The quick ").out)
    assert told["run"] == str(trained)
    assert told["layers"][0]["gates"]["units"] == 8
    assert told["saliency"]["text"] == "The quick "


def test_the_same_seed_looks_at_the_same_place(ricorso, trained, text_file):
    def norms(seed):
        told = json.loads(ricorso("inspect", trained, text_file, "--json", "--steps", 8, "--seed", seed).out)
        return told["layers"][0]["norms"]

    assert norms(1) == norms(1)


def test_a_unit_over_the_text(ricorso, trained, text_file):
    assert ricorso("inspect", trained, text_file, "--steps", 20, "--unit", 5).status == 0
    assert "h[5] of layer 1" in (trained / "report.html").read_text(encoding="utf-8")
    outcome = ricorso("inspect", trained, text_file, "--unit", 8)
    assert outcome.status == 2
    assert "units 0 to 7" in outcome.err


def test_mistakes(ricorso, trained, tmp_path):
    assert "no run folder" in ricorso("inspect", "nowhere").err
    outcome = ricorso("inspect", trained, "nowhere.txt")
    assert (outcome.status, outcome.out) == (1, "")
    (tmp_path / "short.txt").write_text("too short", encoding="utf-8")
    assert "more than 32" in ricorso("inspect", trained, "short.txt").err
    assert ricorso("inspect", trained, "--steps", 1).status == 2


def test_the_text_of_the_run_is_gone(ricorso, text_file, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes(text_file.read_bytes())
    tiny = ("--hidden-size", 8, "--sequence-length", 16, "--batch-size", 4, "--epochs", 1, "--sample-length", 5)
    assert ricorso("train", "generate", copy, *tiny, "--threads", 1, "--out", "run").status == 0
    copy.unlink()
    outcome = ricorso("inspect", "run")
    assert outcome.status == 1
    assert "Name one: ricorso inspect RUN TEXT" in outcome.err


def test_a_report_that_cannot_be_written(ricorso, trained, text_file, monkeypatch):
    def refuse(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ricorso.insight.report.write_file", refuse)
    outcome = ricorso("inspect", trained, text_file, "--steps", 20)
    assert outcome.status == 0
    assert "No space left" in outcome.err
    assert "Gradient: " in outcome.out
    assert "Pictures" not in outcome.out


def test_help_has_an_example(ricorso):
    outcome = ricorso("inspect", "--help")
    assert "Example: ricorso inspect runs/my-book" in outcome.out
    assert "--unit" in outcome.out


@pytest.fixture
def labelled(ricorso, tmp_path):
    """A classifier of words, trained on reviews.csv."""
    rows = [f"{text.replace(',', '')},{label}\n" for text, label in zip(*reviews(), strict=True)]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    assert ricorso("train", "classify", "reviews.csv", *SMALL, "--out", "run").status == 0
    return tmp_path / "run"


def test_a_classifier(ricorso, labelled):
    measured = "<h2>Labels of the examples kept for validation</h2>"
    before = (labelled / "report.html").read_text(encoding="utf-8").partition(measured)[2].partition("<h2>Use it")[0]
    assert len(before) > 1000
    outcome = ricorso("inspect", "run")
    assert (outcome.status, outcome.err) == (0, "")
    for part in ("10 texts of reviews.csv", "Gradient, layer 1, backward: ", "1, forward", "the label '"):
        assert part in outcome.out
    page = (labelled / "report.html").read_text(encoding="utf-8")
    assert page.partition(measured)[2].partition("<h2>Use it")[0] == before
    assert page.count('<section class="inside">') == 1
    assert "What units follow" not in page
    assert "report.html" in verify(labelled)
    assert ricorso("inspect", "run", "reviews.csv").status == 0
    page = (labelled / "report.html").read_text(encoding="utf-8")
    assert page.partition(measured)[2].partition("<h2>Use it")[0] == before
    assert page.count('<section class="inside">') == 1


def test_examples_without_labels_as_json(ricorso, labelled, tmp_path):
    (tmp_path / "new.csv").write_text("text\nthe film was really dull\nand a fine story it was\n", encoding="utf-8")
    told = json.loads(ricorso("inspect", "run", "new.csv", "--json", "--prompt", "a moving story").out)
    assert told["data"] | {"path": None} == {
        "path": None, "total": 2, "typical": 5, "read": 2, "steps": 11, "shortest": 5, "longest": 6,
        "called": {"one": "text", "several": "texts", "step": "word"},
    }  # fmt: skip
    assert [layer["direction"] for layer in told["layers"]] == ["forward", "backward"]
    assert [step["piece"] for step in told["saliency"]["steps"]] == ["a", "moving", "story"]
    assert told["saliency"]["label"] in ("good", "bad")


def test_mistakes_with_a_classifier(ricorso, labelled, tmp_path):
    outcome = ricorso("inspect", "run", "--unit", 1)
    assert outcome.status == 2
    assert "text model" in outcome.err
    (tmp_path / "reviews.csv").unlink()
    outcome = ricorso("inspect", "run")
    assert outcome.status == 1
    assert "Name some: ricorso inspect RUN DATA" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_tagger(ricorso, tmp_path):
    write_columns(tmp_path / "some.conll", sentences())
    small = (*SMALL, "--character-size", 8, "--character-hidden", 8)
    assert ricorso("train", "tag", "some.conll", *small, "--out", "run").status == 0
    outcome = ricorso("inspect", "run")
    assert (outcome.status, outcome.err) == (0, "")
    for part in ("6 sentences of some.conll", "Gradient, layer 1, forward: ", "of which it is least sure"):
        assert part in outcome.out
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "The step of which the model is least sure" in page
    assert "F1" in page.partition("<h2>Sentences kept for validation</h2>")[2].partition("<h2>Use it")[0]
    (tmp_path / "new.txt").write_text("Anna Smith visits New York .\n", encoding="utf-8")
    assert json.loads(ricorso("inspect", "run", "new.txt", "--json").out)["data"]["longest"] == 6
