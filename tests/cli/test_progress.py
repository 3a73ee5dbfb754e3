import io
import itertools
from pathlib import Path

import pytest
from rich.console import Console

from ricorso.cli import progress
from ricorso.cli.progress import TrainingDisplay

START = {
    "cell": "lstm", "parameters": 12345, "about": "9,000 symbols to train on, 1,000 to validate on",
    "threads": 2, "run": Path("runs/x"),
}  # fmt: skip
STEP = {"step": 40, "loss": 2.5, "progress": 0.25, "seconds": 30.0, "symbols_per_second": 18234.0}


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by six seconds between two looks at the clock."""
    ticks = itertools.count(0.0, 6.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))


def show(console, steps=4):
    with TrainingDisplay(console) as display:
        display.on_start(START)
        display.on_validation({"validation_loss": 2.75})
        for _ in range(steps):
            display.on_step(STEP)
        display.on_sample("He said [bold]nothing[/bold].")
    return console.file.getvalue()


def test_off_a_terminal_it_prints_plain_lines_now_and_then(clock):
    text = show(Console(file=io.StringIO(), force_terminal=False, width=200))
    lines = [line for line in text.splitlines() if "step 40" in line]
    assert lines == [" 25%  step 40  loss 2.500  validation 2.750  18.2k symbols/s  1:30 left"] * 2
    assert "12,345 parameters" in text
    assert "\x1b" not in text


def test_a_sample_is_shown_as_it_is():
    assert "He said [bold]nothing[/bold]." in show(Console(file=io.StringIO(), force_terminal=False, width=200))


def test_on_a_terminal_it_draws_a_bar_and_clears_it():
    text = show(Console(file=io.StringIO(), force_terminal=True, width=120, _environ={}))
    assert "━" in text
    assert "He said" in text
    assert "\x1b[?25h" in text  # the cursor is given back
