import io
import json
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest
import torch

from ricorso.bench import machine, sequence
from ricorso.cli import bench

SMALL = ["--hidden-size", "8", "--batch-size", "2", "--sequence-length", "5", "--seconds", "0.01"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(machine, "PRODUCTS", ((8, 8, 8),))


def test_it_prints_tables_and_sentences(ricorso):
    outcome = ricorso("bench", *SMALL, "--section", "training", "--section", "ragged")
    assert outcome.status == 0
    assert "Training step: forward and backward over 5 steps\n" in outcome.out
    assert "Training step on sequences of different lengths, 2 to 5 steps\n" in outcome.out
    assert "\nA training step of the GRU is " in outcome.out
    assert "\nMeasured in " in outcome.out
    assert outcome.err == ""


def test_json_and_picture(ricorso, tmp_path):
    outcome = ricorso("bench", *SMALL, "--section", "step", "--json", "--picture", "speed.svg")
    assert outcome.status == 0
    told = json.loads(outcome.out)
    assert [answer["cell"] for answer in told["answers"]] == ["lstm", "gru", "rnn"]
    assert told["picture"] == "speed.svg"
    assert "One step of one stream" in (tmp_path / "speed.svg").read_text(encoding="utf-8")
    ET.parse(tmp_path / "speed.svg")


def test_another_cell_is_set_beside_a_loop(ricorso):
    outcome = ricorso("bench", *SMALL, "--section", "inference", "--cell", "mgu")
    assert outcome.status == 0
    assert "Inference with the cell 'mgu' is" in outcome.out
    assert "a torch loop" in outcome.out


def test_sides_that_differ_are_told_and_end_with_status_1(ricorso, monkeypatch):
    ours, whole = sequence.Recurrent, sequence.whole
    monkeypatch.setattr(sequence, "whole", lambda run, x: [y + isinstance(run, ours) for y in whole(run, x)])
    outcome = ricorso("bench", *SMALL, "--section", "inference")
    assert outcome.status == 1
    assert "NOT TIMED: inference, lstm, 8 units, batch 2: results differ by" in outcome.out


def test_threads_are_given_back(ricorso):
    before = torch.get_num_threads()
    outcome = ricorso("bench", *SMALL, "--section", "step", "--threads", str(before + 1), "--json")
    assert json.loads(outcome.out)["machine"]["threads"] == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("flag", "hidden"), [("--quick", (128,)), ("--full", (64, 128, 256, 512)), (None, (128, 256))])
def test_extents(ricorso, monkeypatch, flag, hidden):
    from ricorso.bench import plan

    asked = []

    def run(given, seconds, tell):
        asked.append((given, seconds))
        return plan.Report(given, 1e9, [])

    monkeypatch.setattr(plan, "run", run)
    assert ricorso("bench", *([flag] if flag else [])).status == 0
    ((given, seconds),) = asked
    assert given.hidden == hidden
    assert seconds == (bench.QUICK_SECONDS if flag == "--quick" else bench.SECONDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cell", "lstn"], "Did you mean 'lstm'?"),
        (["--cell", "none.py:X"], "There is no file 'none.py'"),
        (["--quick", "--full"], "give one of them"),
        (["--picture", "speed.png"], "ends in .svg"),
        (["--picture", "nowhere/speed.svg"], "no folder 'nowhere'"),
        (["--section", "ragged", "--batch-size", "1"], "--batch-size above 1"),
        (["--section", "step", "--cell", "mgu"], "add one with --section"),
        (["--section", "trainin"], "training"),
        (["--threads", "0"], "--threads"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_a_mistake_is_told_in_one_line_before_anything_is_measured(ricorso, monkeypatch, arguments, message):
    from ricorso.bench import plan

    monkeypatch.setattr(plan, "run", lambda *_: pytest.fail("measured"))
    outcome = ricorso("bench", *arguments)
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_off_a_terminal_a_line_comes_now_and_then(monkeypatch, capsys):
    ticks = iter(range(0, 1000, 6))
    monkeypatch.setattr(bench.time, "monotonic", lambda: next(ticks))
    with bench._progress() as tell:
        for number in range(5):
            tell(number, 4, f"question {number}")
    assert capsys.readouterr().err == "1/4  question 1  36s left\n3/4  question 3  8s left\n"


def test_an_output_without_block_characters_gets_plain_bars(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert bench._blocks() == (" #",)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert bench._blocks() == ()


def test_help_is_light():
    code = "import sys; from ricorso.cli.main import run; assert run(['bench', '--help']) == 0; "
    code += "print([name for name in ('torch', 'sympy', 'onnxruntime', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
