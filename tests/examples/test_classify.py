"""The examples on reviews and on names run, learn, and say what they found."""

import runpy
import sys
from collections.abc import Callable

import pytest
from example import EXAMPLES


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run an example in this process, since polars may hang in a fork of one that has used it."""

    def started(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return started


def test_reviews_are_told_apart_by_what_stands_before_a_word(run):
    told = run("reviews", "--hidden", "16", "--threads", "1")
    assert "1,200 texts to learn from, 300 to test on" in told
    assert "The network beats the bag of words" in told
    assert float(told.split("accuracy on the test: ")[1].split(",")[0]) > 0.8
    assert told.count("because of:") == 3


def test_reviews_come_from_a_table(run, tmp_path):
    rows = [f"the film was {word},{label}" for word, label in (("fine", 1), ("dull", 0)) for _ in range(30)]
    (tmp_path / "own.csv").write_text("\n".join(["review,positive", *rows, ""]))
    sizes = ("--hidden", "8", "--epochs", "3", "--threads", "1", "--layers", "1", "--one-way")
    told = run("reviews", str(tmp_path / "own.csv"), *sizes)
    assert "48 texts to learn from, 12 to test on" in told


def test_names_are_guessed_letter_by_letter(run):
    told = run("names", "--hidden", "8", "--epochs", "3", "--threads", "1", "--spell", "Morucci")
    assert "Of names kept for validation: The network" in told
    assert "Italian" in told.splitlines()[-1]
    assert told.splitlines()[-1].count("%") == len("Morucci")


def test_names_come_from_a_folder(run, tmp_path):
    for language, names in (("Low", "aba bab aab bba"), ("High", "xyx yxy xxy yyx")):
        (tmp_path / f"{language}.txt").write_text("\n".join(names.split() * 10), encoding="utf-8")
    told = run("names", str(tmp_path), "--hidden", "8", "--epochs", "3", "--threads", "1", "--spell", "ab")
    assert told.splitlines()[-1].startswith("ab: a Low")
