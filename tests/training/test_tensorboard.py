"""What TensorBoard reads back is what the training told."""

import builtins
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_search import TEXT, TINY
from small_training import StopAt
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from ricorso import Generator
from ricorso.cli.main import run
from ricorso.errors import TrainingError, UsageError
from ricorso.training.interrupt import TrainingInterrupted
from ricorso.training.listener import Listener, Listeners
from ricorso.training.tensorboard import TensorBoard, tracked

SETTINGS = TINY | {"log_every": 1, "samples": 2, "sample_length": 20, "checkpoint_steps": 5}


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, pytest.approx(e.value)) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def texts(folder: Path, tag: str) -> list[tuple[int, str]]:
    read = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return [(e.step, e.tensor_proto.string_val[0].decode()) for e in read.Tensors(f"{tag}/text_summary")]


def recorded(folder: Path, kind: str, name: str) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line[name]) for line in lines if line["kind"] == kind]


def test_it_shows_what_the_metrics_say(tmp_path: Path) -> None:
    heard: list[str] = []

    class Hears(Listener):
        def on_start(self, info: Mapping[str, Any]) -> None:
            heard.append("start")

        def on_end(self, info: Mapping[str, Any]) -> None:
            heard.append("end")

    folder, board = tmp_path / "run", tmp_path / "board"
    Generator(**SETTINGS, tensorboard=str(board)).fit(TEXT, out=folder, listener=Hears())
    assert heard == ["start", "end"]
    [place] = board.iterdir()
    assert place.name == "run"
    shown = curves(place)
    for name in ("loss", "learning_rate", "gradient_norm", "clip_rate", "symbols_per_second", "skipped"):
        assert recorded(folder, "step", name) == shown[f"train/{name}"], name
    assert recorded(folder, "validation", "validation_loss") == shown["validation/loss"]
    assert set(shown) == {tag for tag in shown if tag.startswith(("train/", "validation/"))}
    samples = [(step, "\n".join(f"    {line}" for line in text.split("\n"))) for step, text in samples_of(folder)]
    assert texts(place, "sample") == samples
    assert len(samples) == 2


def samples_of(folder: Path) -> list[tuple[int, str]]:
    return [(step, str(text)) for step, text in recorded(folder, "sample", "text")]


@pytest.mark.parametrize("dies", [True, False], ids=["killed", "stopped"])
def test_after_a_resume_the_steps_continue_without_a_gap_or_a_repetition(dies: bool, tmp_path: Path) -> None:
    board = tmp_path / "board"
    with pytest.raises((TrainingInterrupted, SystemExit)):
        Generator(**SETTINGS, tensorboard=str(board)).fit(TEXT, out=tmp_path / "run", listener=StopAt(13, dies=dies))
    before = curves(board / "run")["train/loss"]
    # the step in which it dies is told to nobody after the listener that kills it
    assert [step for step, _ in before] == list(range(1, 13 if dies else 14))
    Generator.resume(tmp_path / "run")
    assert len(list((board / "run").iterdir())) == 2
    assert recorded(tmp_path / "run", "step", "loss") == curves(board / "run")["train/loss"]
    assert len(before) < len(curves(board / "run")["train/loss"])


def test_a_point_is_the_mean_over_its_steps_and_never_not_finite(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, every=2)
    for step, loss in enumerate([1.0, 3.0, float("nan"), 5.0, float("nan"), float("inf")], 1):
        board.on_step({"step": step, "loss": loss, "gradient_norm": loss})
    board.on_skipped({"step": 6, "loss": "inf", "gradient_norm": "nan", "batches": ["batch 5: line 7"]})
    board.on_validation({"step": 6, "seconds": 1.0, "best": True, "validation_loss": 2.0, "accuracy": 0.5})
    board.close()
    assert curves(tmp_path) == {
        "train/loss": [(2, 2.0), (4, 5.0)],
        "train/gradient_norm": [(2, 3.0), (4, 5.0)],
        "validation/loss": [(6, 2.0)],
        "validation/accuracy": [(6, 0.5)],
    }
    assert texts(tmp_path, "skipped") == [(6, "    loss inf, norm of the gradient nan\n    batch 5: line 7")]


def test_without_a_folder_nothing_is_loaded_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Generator(**SETTINGS).fit(TEXT)
    assert list(tmp_path.iterdir()) == []


def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return usual(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_a_missing_package_is_told_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    missing(monkeypatch)
    told = Listeners(StopAt(1, dies=True))
    with pytest.raises(UsageError, match=r"pip install 'ricorso\[track\]'"):
        Generator(**SETTINGS, tensorboard=str(tmp_path / "board")).fit(TEXT, listener=told)
    (tmp_path / "text.txt").write_text(TEXT)
    words = ["train", "generate", str(tmp_path / "text.txt"), "--hidden-size", "8", "--out", str(tmp_path / "run")]
    assert run([*words, "--tensorboard", str(tmp_path / "board")]) == 2
    assert "pip install 'ricorso[track]'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written for TensorBoard"):
        Generator(**SETTINGS, tensorboard=str(tmp_path / "file")).fit(TEXT, listener=StopAt(1, dies=True))


def test_a_disk_that_fills_up_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def fill_up() -> None:
        with tracked(Listener(), str(tmp_path / "board"), None, after=0, every=1) as told:
            monkeypatch.setattr(RecordWriter, "write", refuse)
            for step in range(1, 3):
                told.on_step({"step": step, "loss": 1.0})
                told.on_checkpoint(tmp_path)

    usual = threading.excepthook
    with pytest.raises(TrainingError, match=r"board' can no longer be written.*No space left.*resume RUN"):
        fill_up()
    assert "Traceback" not in capsys.readouterr().err
    assert threading.excepthook is usual


def test_what_was_told_before_a_checkpoint_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = RecordWriter.write

    def slow(self: RecordWriter, data: bytes) -> None:
        time.sleep(0.02)
        usual(self, data)

    board = TensorBoard(tmp_path, every=1)
    monkeypatch.setattr(RecordWriter, "write", slow)
    board.on_step({"step": 1, "loss": 1.0, "gradient_norm": 2.0, "skipped": 0})
    board.on_checkpoint(tmp_path)
    assert len(curves(tmp_path)) == 3
    board.close()


def test_other_threads_are_heard_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: heard.append(str(arguments.exc_value)))
    with tracked(Listener(), str(tmp_path), None, after=0, every=1):
        thread = threading.Thread(target=lambda: [][1])
        thread.start()
        thread.join()
    assert heard == ["list index out of range"]


def test_listeners_all_hear_everything_in_order() -> None:
    heard: list[tuple[str, str, Any]] = []

    class Notes(Listener):
        def __init__(self, name: str) -> None:
            self.name = name

    methods = [name for name in vars(Listener) if name.startswith("on_")]
    for method in methods:
        setattr(Notes, method, lambda self, value, method=method: heard.append((self.name, method, value)))
    both = Listeners(Notes("a"), Notes("b"))
    for method in methods:
        getattr(both, method)(method * 2)
    assert heard == [(name, method, method * 2) for method in methods for name in "ab"]
    assert len(methods) == 7
