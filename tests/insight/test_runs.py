"""Runs are told from their folders, whatever is in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ricorso import bundle
from ricorso.errors import RunError, UsageError
from ricorso.insight.comparison import compare, labels, write_comparison
from ricorso.insight.runs import Run, arranged, comparable, differing, find, look
from ricorso.training.checkpoint import Cursor, Snapshot, write_checkpoint

SETTINGS = {"cell": "gru", "hidden_size": 12, "num_layers": 2, "level": "character", "dropout": 0.25}
DATA = {"text": {"path": "/there/fox.txt", "characters": 80, "sha256": "ab"}, "validation": None}


def make(folder: Path, cursor: Cursor | None = None, model: bool = True, **changes: Any) -> Path:
    """A run folder with 15 parameters, without a training."""
    config = {"task": "generate", "settings": SETTINGS | changes, "data": DATA, "versions": {}}
    bundle.write_folder(folder, {bundle.CONFIG: bundle.to_json(config), bundle.CELL: b"{}"})
    lines = [{"kind": "step", "step": 5 * n, "loss": 3.0 / n, "seconds": 2.0 * n} for n in (1, 2, 3)]
    lines += [{"kind": "validation", "step": 10, "validation_loss": 1.25, "seconds": 4.5}]
    if model:
        weights = {"a": np.zeros((3, 4), np.float32), "b": np.zeros(3, np.float32)}
        (folder / bundle.MODEL).write_bytes(bundle.to_safetensors(weights))
        end = {"kind": "end", "step": 15, "steps": 15, "seconds": 6.5, "best_step": 10, "validation_loss": 1.25}
        lines.append(end)
    (folder / bundle.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    bundle.seal(folder)
    if cursor:
        tensors = {"a": torch.zeros(3, 4), "b": torch.zeros(3)}
        snapshot = Snapshot(cursor, tensors, tensors, {"a/moment": torch.zeros(7)}, None)
        write_checkpoint(folder / bundle.CHECKPOINTS, "last", snapshot)
    return folder


def cursor(**changes: Any) -> Cursor:
    return Cursor(**({"step": 15, "seconds": 6.5, "best_loss": 1.25, "best_step": 10, "finished": True} | changes))


def test_a_finished_run(tmp_path: Path) -> None:
    run = look(make(tmp_path / "fox", cursor()))
    assert (run.state, run.why, run.resume) == ("finished", None, None)
    assert (run.name, run.task, run.cell, run.data) == ("fox", "generate", "gru", "fox.txt")
    assert (run.hidden_size, run.num_layers, run.parameters) == (12, 2, 15)
    assert (run.steps, run.seconds, run.validation_loss, run.best_step) == (15, 6.5, 1.25, 10)
    json.dumps(run.to_json(), allow_nan=False)


def test_a_saved_model_without_checkpoints_is_finished(tmp_path: Path) -> None:
    run = look(make(tmp_path / "fox"))
    assert (run.state, run.steps, run.seconds, run.validation_loss, run.best_step) == ("finished", 15, 6.5, 1.25, 10)


def test_a_stopped_run_says_how_to_go_on(tmp_path: Path) -> None:
    run = look(make(tmp_path / "my fox", cursor(finished=False, step=9)))
    assert (run.state, run.steps) == ("stopped", 9)
    assert run.resume == f"ricorso resume '{tmp_path / 'my fox'}'"


def test_a_killed_run_has_its_size_from_the_checkpoint(tmp_path: Path) -> None:
    run = look(make(tmp_path / "fox", cursor(finished=False), model=False))
    assert (run.state, run.parameters) == ("stopped", 15)
    run = look(make(tmp_path / "hen", model=False))
    assert (run.state, run.parameters, run.steps) == ("stopped", None, 0)


def test_a_running_one_is_known_by_its_lock(tmp_path: Path) -> None:
    folder = make(tmp_path / "fox", cursor(finished=False, step=9, seconds=3.0), model=False)
    with (folder / bundle.METRICS).open("a") as file:
        file.write('{"kind": "step", "step": 20, "seconds": 8.0}\n{"kind": "st')
    with bundle.locked(folder):
        run = look(folder)
        assert (run.state, run.steps, run.seconds, run.resume) == ("running", 20, 8.0, None)
    run = look(folder)
    assert (run.state, run.steps, run.seconds) == ("stopped", 9, 3.0)


def test_a_diverged_run_says_why_until_it_goes_on(tmp_path: Path) -> None:
    folder = make(tmp_path / "fox", cursor(finished=False, step=9), model=False)
    with (folder / bundle.METRICS).open("a") as file:
        file.write('{"kind": "diverged", "step": 12, "reason": "Training has diverged: the loss was not finite."}\n')
    run = look(folder)
    assert (run.state, run.resume) == ("diverged", None)
    assert run.why == "Training has diverged: the loss was not finite."
    with bundle.locked(folder):
        assert (look(folder).state, look(folder).why) == ("running", None)
    with (folder / bundle.METRICS).open("a") as file:
        file.write('{"kind": "step", "step": 20, "seconds": 8.0}\n')
    assert (look(folder).state, look(folder).why) == ("stopped", None)


def test_losses_of_forecasts_compare_only_in_the_same_unit(tmp_path: Path) -> None:
    settings = {"loss": "quantile", "scaling": "mean", "context": 24, "quantiles": [0.1, 0.5]}
    one = look(make(tmp_path / "one", **settings))
    assert comparable([one, look(make(tmp_path / "two", **settings, learning_rate=0.1))])
    for name, value in {"loss": "mse", "scaling": "standard", "context": 48, "quantiles": [0.5]}.items():
        assert not comparable([one, look(make(tmp_path / name, **settings | {name: value}))])


def truncate(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-7])


def spoil(folder: Path, **changes: Any) -> None:
    """Change config.json and seal it again, as a foreign program might."""
    config = bundle.read_json(folder / bundle.CONFIG)
    (folder / bundle.CONFIG).write_text(json.dumps(config | changes))
    bundle.seal(folder)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda f: (f / bundle.MANIFEST).unlink(), "not a run of Ricorso: it has no manifest.json"),
    "manifest": (lambda f: (f / bundle.MANIFEST).write_text("[1]"), "'manifest.json' holds a list, not a JSON object"),
    "newer": (
        lambda f: (f / bundle.MANIFEST).write_text('{"format_version": 99, "files": {}}'),
        "was written by a newer Ricorso",
    ),
    "config": (
        lambda f: truncate(f, bundle.CONFIG),
        "'config.json' has 273 bytes, its manifest says 280: it is truncated or was changed",
    ),
    "settings": (lambda f: spoil(f, settings=[1]), "'config.json' does not describe a run"),
    "model cut": (lambda f: truncate(f, bundle.MODEL), "'model.safetensors' has 173 bytes, its manifest says 180"),
    "no cell": (lambda f: (f / bundle.CELL).unlink(), "has lost its cell.json"),
    "metrics lost": (lambda f: (f / bundle.METRICS).unlink(), "has lost its metrics.jsonl"),
    "header": (
        lambda f: (f / bundle.MODEL).write_bytes(b"\xff" * (f / bundle.MODEL).stat().st_size),
        "'model.safetensors' does not begin with a header of safetensors",
    ),
    "shape": (
        lambda f: (f / bundle.MODEL).write_bytes((14).to_bytes(8, "little") + b'{"a":{"s":[]}}'),
        "'model.safetensors' does not begin with a header of safetensors",
    ),
    "checkpoint": (
        lambda f: truncate(next((f / bundle.CHECKPOINTS).iterdir()), "tensors.safetensors"),
        "'checkpoints/last-000001/tensors.safetensors' has",
    ),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_a_row_that_says_why(damage: Callable[[Path], object], why: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "fox", cursor())
    damage(folder)
    run = look(folder)
    assert run.state == "damaged"
    assert run.why
    assert run.why.startswith(why)
    assert "\n" not in run.why


def test_the_newest_checkpoint_counts_and_an_older_one_stands_in_for_it(tmp_path: Path) -> None:
    folder = make(tmp_path / "fox", cursor(finished=False, step=6))
    snapshot = Snapshot(cursor(finished=False, step=12), {}, {}, {}, None)
    write_checkpoint(folder / bundle.CHECKPOINTS, "best", snapshot)
    assert look(folder).steps == 12
    truncate(folder / "checkpoints" / "best-000002", "tensors.safetensors")
    run = look(folder)
    assert (run.state, run.steps) == ("stopped", 6)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\x00\xff" * 50, b"[" * 100_000, b'{"settings": NaN}'])
@pytest.mark.parametrize("name", [bundle.MANIFEST, bundle.CONFIG, bundle.MODEL, bundle.METRICS])
def test_nothing_in_a_folder_raises(name: str, content: bytes, tmp_path: Path) -> None:
    folder = make(tmp_path / "fox", cursor())
    (folder / name).write_bytes(content)
    if name != bundle.MANIFEST:
        bundle.seal(folder)
    json.dumps([look(folder).to_json(), compare([look(folder), look(folder)]).to_json()], allow_nan=False)


def test_strange_values_are_left_out(tmp_path: Path) -> None:
    folder = make(tmp_path / "fox", hidden_size="big", num_layers=True, cell=["gru"])
    truncate(folder, bundle.METRICS)
    settings = bundle.read_json(folder / bundle.CONFIG)["settings"] | {"dropout": float("inf")}
    spoil(folder, settings=settings, data={"text": {"path": 7}}, task={"a": 1})
    with (folder / bundle.METRICS).open("a") as file:
        file.write('\n{"kind": "end", "steps": "x", "seconds": 1' + "0" * 400 + ', "validation_loss": NaN}\n')
    bundle.seal(folder)
    run = look(folder)
    assert (run.state, run.task, run.cell, run.hidden_size, run.num_layers) == ("finished", None, None, None, None)
    assert (run.data, run.steps, run.seconds, run.validation_loss) == (None, None, None, None)
    other = look(make(tmp_path / "hen"))
    json.dumps(compare([run, other]).to_json(), allow_nan=False)
    assert differing([run, other])["dropout"] == ["Infinity", 0.25]


def test_weights_are_never_read(tmp_path: Path) -> None:
    folder = make(tmp_path / "fox", cursor())
    before = look(folder)
    for path in (folder / bundle.MODEL, folder / "checkpoints" / "last-000001" / "tensors.safetensors"):
        content = bytearray(path.read_bytes())
        start = 8 + int.from_bytes(content[:8], "little")
        content[start:] = b"\xff" * (len(content) - start)
        path.write_bytes(content)
    assert look(folder) == before


def test_what_is_in_a_folder_of_runs(tmp_path: Path) -> None:
    for name in ("hen", "fox"):
        make(tmp_path / name)
    (tmp_path / "notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "owl.unfinished").mkdir()
    (tmp_path / "file").write_text("")
    assert [path.name for path in find(tmp_path)] == ["fox", "hen", "notes"]
    assert find(tmp_path / "hen") == [tmp_path / "hen"]
    assert look(tmp_path / "notes").why == "not a run of Ricorso: it has no manifest.json"
    with pytest.raises(RunError, match="no folder"):
        find(tmp_path / "file")


def test_orders() -> None:
    runs = [
        Run(Path("b"), "finished", validation_loss=2.0, seconds=5.0),
        Run(Path("c"), "damaged"),
        Run(Path("a"), "finished", validation_loss=1.0, seconds=9.0),
        Run(Path("d"), "stopped", seconds=7.0),
    ]
    told = {order: "".join(run.name for run in arranged(runs, order)) for order in ("loss", "time", "name")}
    assert told == {"loss": "abcd", "time": "adbc", "name": "abcd"}
    with pytest.raises(UsageError, match="'size'"):
        arranged(runs, "size")


def test_a_comparison_shows_what_differs(tmp_path: Path) -> None:
    folders = [make(tmp_path / "fox", dropout=0.5), make(tmp_path / "hen"), tmp_path / "none"]
    comparison = compare([look(folder) for folder in folders])
    assert comparison.settings == {"dropout": [0.5, 0.25, None]}
    assert comparison.figures["validation loss"] == [1.25, 1.25, None]
    assert comparison.figures["training loss at the end"] == [1.0, 1.0, None]
    assert comparison.figures["state"] == ["finished", "finished", "damaged"]
    assert comparison.comparable
    other = Run(Path("x"), "finished", task="generate", settings=SETTINGS | {"level": "word"}, fingerprint={})
    assert not comparable([*comparison.runs, other])
    assert differing([look(folders[1]), other])["level"] == ["character", "word"]


def test_the_page_has_all_curves_and_needs_no_network(tmp_path: Path) -> None:
    runs = [look(make(tmp_path / "fox", dropout=0.5)), look(make(tmp_path / "h<e>n")), look(tmp_path / "none")]
    page = write_comparison(compare(runs), tmp_path / "page.html").read_text(encoding="utf-8")
    told = page.partition('id="curves">')[2].partition("</script>")[0]
    assert [curve["name"] for curve in json.loads(told)] == ["fox", "h<e>n", "none"]
    first, _, last = json.loads(told)
    assert first["step"] == {"x": [5, 10, 15], "loss": [3.0, 1.5, 1.0], "seconds": [2.0, 4.0, 6.0]}
    assert first["validation"] == {"x": [10], "loss": [1.25], "seconds": [4.5]}
    assert last["step"]["x"] == []
    assert "h&lt;e&gt;n" in page
    assert "<th>dropout</th><td>0.5</td><td>0.25</td>" in page
    outside = page.replace(page[page.index("<script>") : page.index('<script type="application/json"')], "")
    assert "http" not in outside
    assert "Plotly.react" in outside
    with pytest.raises(RunError, match="could not be written"):
        write_comparison(compare(runs), tmp_path / "nowhere" / "page.html")


def test_labels_are_unambiguous() -> None:
    assert labels([Run(Path("a/fox"), "stopped"), Run(Path("b/fox"), "stopped")]) == ["a/fox", "b/fox"]
