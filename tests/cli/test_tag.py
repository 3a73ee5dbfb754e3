"""A tagger from the command line: train, measure, tag, mark."""

import csv
import io
import json
from pathlib import Path

import pytest
from small_tagging import SMALL, sentences, write_columns

from ricorso.data.conll import read_tagged

OPTIONS = [part for name, value in SMALL.items() for part in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ricorso.cli.main import run as command

    folder = tmp_path_factory.mktemp("tag")
    data = write_columns(folder / "names.train", sentences())
    assert command(["train", "tag", str(data), "--out", str(folder / "run"), *OPTIONS]) == 0
    return folder / "run"


def test_training_tells_how_good_it_is_and_marks_sentences(ricorso, tmp_path):
    data = write_columns(tmp_path / "names.train", sentences())
    done = ricorso("train", "tag", data, "--valid", data, "--out", "run", *OPTIONS)
    assert done.status == 0
    assert "tags mark spans (IOB2)" in done.err
    assert "F1 of spans" in done.out
    assert "ricorso predict run FILE" in done.out
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "A tagger, learnt from names.train (60 sequences" in report
    assert "<small>PER</small></mark>" in report
    again = ricorso("resume", "run")
    assert "had finished already" in again.out
    assert "F1 of spans" in again.out


def test_a_row_for_each_word_and_a_page(ricorso, run, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Paul Baker sees New York.\nRosa visits Oslo.\n", encoding="utf-8")
    found = ricorso("predict", run, text, "--page", "page.html")
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert list(rows[0]) == ["sequence", "step", "word", "tag", "probability"]
    assert [row["tag"] for row in rows[:6]] == ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"]
    assert rows[6]["sequence"] == "2"
    assert "Marked: page.html" in found.err
    assert "New York<small>LOC" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["tagged.conll", "tagged.jsonl"])
def test_sentences_are_written_as_training_reads_them(ricorso, run, tmp_path, name):
    data = write_columns(tmp_path / "names.conll", sentences(20, seed=1))
    assert "Sentences written to" in ricorso("predict", run, data, "--out", name).err
    written = read_tagged(tmp_path / name)
    assert [one.tokens for one in written] == [one.tokens for one in read_tagged(data)]
    rows = list(csv.DictReader(io.StringIO(ricorso("predict", run, data).out)))
    assert [tag for one in written for tag in one.tags] == [row["tag"] for row in rows]
    assert ricorso("evaluate", run, name).status == 0


def test_evaluate(ricorso, run, tmp_path):
    data = write_columns(tmp_path / "names.test", sentences(20, seed=1))
    assert "most frequent tag of each word" in ricorso("evaluate", run, data).out
    figures = json.loads(ricorso("evaluate", run, data, "--json").out)
    assert figures["spans"]["f1"] > 0.9
    assert figures["sequences"] == 20


def test_what_does_not_fit_is_told(ricorso, run, tmp_path):
    for arguments, status, message in (
        (("predict", run), 2, "DATA is missing: what should"),
        (("predict", run, "x.txt", "--explain"), 2, "--explain is for runs of the task classify"),
        (("predict", run, "x.txt"), 1, "There is no file 'x.txt'"),
        (("evaluate", run, write_columns(tmp_path / "a", [(["a", "b"], ["O", ""])])), 1, "line 2: there is 1 column"),
        (("train", "tag", "x.conll", "--scheme", "IOB7"), 2, "IOB7"),
    ):
        done = ricorso(*arguments)
        assert done.status == status
        assert message in done.err
        assert "Traceback" not in done.err
