import json
import shutil
import subprocess
import sys

import pytest

from ricorso import bundle
from ricorso.bundle import read_json

TINY = ["--hidden-size", "8", "--sequence-length", "16", "--batch-size", "4", "--samples", "0", "--threads", "1"]


@pytest.fixture
def three(trained, tmp_path):
    """A folder with a finished run, a stopped one and something that is no run."""
    folder = tmp_path / "runs"
    folder.mkdir()
    trained.rename(folder / "fox")
    stopped = shutil.copytree(folder / "fox", folder / "stop ped")
    (checkpoint,) = (stopped / "checkpoints").glob("last-*")
    cursor = read_json(checkpoint / "cursor.json") | {"finished": False, "best_loss": None, "step": 3}
    (checkpoint / "cursor.json").write_bytes(bundle.to_json(cursor))
    bundle.seal(checkpoint, ["cursor.json", "tensors.safetensors"])
    shutil.rmtree(next((stopped / "checkpoints").glob("best-*")), ignore_errors=True)
    (folder / "notes").mkdir()
    return folder


def rows(text):
    """The rows of the table by the name of the run."""
    lines = [line.strip() for line in text.partition("─ \n")[2].splitlines()]
    return {line.split("   ")[0].strip(): line for line in lines[: lines.index("")]}


def test_the_list(ricorso, three):
    outcome = ricorso("runs")
    assert (outcome.status, outcome.err) == (0, "")
    found = rows(outcome.out)
    assert list(found) == ["fox", "notes", "stop ped"]
    best = read_json(next((three / "fox" / "checkpoints").glob("last-*")) / "cursor.json")
    for part in ("generate", "gru", "8 x 1", "fox.txt", f"{best['best_loss']:.4f} at {best['best_step']}", "finished"):
        assert part in found["fox"]
    assert "stopped" in found["stop ped"]
    assert "  ricorso resume 'runs/stop ped'\n" in outcome.out
    assert "  runs/notes: not a run of Ricorso: it has no manifest.json\n" in outcome.out


def test_what_is_named_is_listed_in_the_order_asked_for(ricorso, three):
    told = json.loads(ricorso("runs", three, "--json", "--sort", "name").out)["runs"]
    assert [run["name"] for run in told] == ["fox", "notes", "stop ped"]
    assert [run["state"] for run in told] == ["finished", "damaged", "stopped"]
    assert told[2]["resume"] == f"ricorso resume '{three / 'stop ped'}'"
    assert told[0]["parameters"] > 100
    alone = json.loads(ricorso("runs", three / "fox", "--json").out)["runs"]
    assert [run["name"] for run in alone] == ["fox"]
    assert ricorso("runs", "--sort", "size").status == 2


def test_a_training_that_runs(ricorso, three):
    with bundle.locked(three / "stop ped"):
        told = json.loads(ricorso("runs", "--json").out)["runs"]
    assert {run["name"]: run["state"] for run in told}["stop ped"] == "running"


def test_a_diverged_training_is_listed_with_its_reason(ricorso, three):
    with (three / "stop ped" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "diverged", "step": 30, "reason": "Training has diverged: try clip=1."}\n')
    outcome = ricorso("runs")
    assert "diverged" in rows(outcome.out)["stop ped"]
    assert "\nDiverged:\n  runs/stop ped: Training has diverged: try clip=1.\n" in outcome.out
    assert "ricorso resume" not in outcome.out


def test_a_training_that_diverges_is_listed_as_that(ricorso, text_file):
    wild = ["--learning-rate", "1e9", "--clip", "0", "--optimiser", "sgd", "--warmup", "0", "--epochs", "500"]
    outcome = ricorso("train", "generate", text_file, *TINY, *wild, "--out", "runs/wild")
    assert outcome.status == 1
    assert "Training has diverged" in outcome.err
    (run,) = json.loads(ricorso("runs", "--json").out)["runs"]
    assert (run["state"], run["resume"]) == ("diverged", None)
    assert run["why"] in " ".join(outcome.err.split())


def test_a_comparison(ricorso, three, text_file):
    options = [*TINY, "--epochs", "1", "--cell", "carry", "--out", three / "hen"]
    assert ricorso("train", "generate", text_file, *options).status == 0
    outcome = ricorso("runs", three / "fox", three / "hen", three / "stop ped", "--report", "page.html")
    assert outcome.status == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["cell", "gru", "carry", "gru"] in lines
    assert ["epochs", "4", "1", "4"] in lines
    assert not any(line[:1] == ["hidden_size"] for line in lines)
    assert ["state", "finished", "finished", "stopped"] in lines
    assert "Curves: page.html" in outcome.out
    assert "do not compare" not in outcome.out
    assert "Plotly" in (three.parent / "page.html").read_text(encoding="utf-8")
    told = json.loads(ricorso("runs", three / "fox", three / "hen", "--json").out)
    assert told["settings"]["cell"] == ["gru", "carry"]
    assert told["report"] is None
    assert [run["name"] for run in told["runs"]] == ["fox", "hen"]


def test_losses_of_different_data_are_not_compared_in_silence(ricorso, three):
    for name, changes in (("fox", {"level": "byte"}),):
        config = read_json(three / name / "config.json")
        config["settings"] |= changes
        (three / name / "config.json").write_bytes(bundle.to_json(config))
        bundle.seal(three / name)
    assert "their losses do not compare" in ricorso("runs", three / "fox", three / "stop ped").out


def test_damaged_and_hostile_folders_are_rows(ricorso, three):
    (three / "fox" / "model.safetensors").write_bytes(b"\x1b[2J")
    (three / "a\x1b[31m").mkdir()
    outcome = ricorso("runs")
    assert outcome.status == 0
    assert "damaged" in rows(outcome.out)["fox"]
    assert "\x1b" not in outcome.out
    outcome = ricorso("runs", three / "fox", three / "stop ped")
    assert outcome.status == 0
    assert "'model.safetensors' does not begin with a header" in outcome.out


def test_nothing_to_list(ricorso, tmp_path):
    outcome = ricorso("runs")
    assert (outcome.status, outcome.err) == (0, "")
    assert "no runs in 'runs' yet" in outcome.out
    assert json.loads(ricorso("runs", "--json").out) == {"runs": []}


def test_mistakes(ricorso, three):
    outcome = ricorso("runs", "nowhere")
    assert outcome.status == 1
    assert "There is no folder 'nowhere'" in outcome.err
    outcome = ricorso("runs", three / "fox", "--report", "page.html")
    assert outcome.status == 2
    assert "two or more" in outcome.err


def test_it_needs_no_torch(three):
    code = (
        "import sys; from ricorso.cli.main import run; run(['runs', *sys.argv[1:]]); "
        "sys.exit(bool({'torch', 'sympy', 'plotly', 'pydantic'} & set(sys.modules)))"
    )
    for places in ([three], [three / "fox", three / "stop ped"]):
        subprocess.run([sys.executable, "-c", code, *map(str, places)], check=True, capture_output=True)


def test_help_has_an_example(ricorso):
    assert "Example: ricorso runs runs/my-book" in ricorso("runs", "--help").out
