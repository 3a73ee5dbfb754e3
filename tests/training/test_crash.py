"""A crash at any moment leaves a checkpoint that can be used. Children are forked and end without a word."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import command, fork, kill_with_children, wait_for
from small_training import assert_same_result, plan, resumed, training

from ricorso import bundle
from ricorso.cli.main import run
from ricorso.errors import TrainingError
from ricorso.training.checkpoint import Cursor, Snapshot, newest_checkpoint, write_checkpoint
from ricorso.training.listener import Listener


def snapshot(step: int) -> Snapshot:
    weights = {"w": torch.full((50,), float(step))}
    return Snapshot(Cursor(step=step), weights, weights, {"w/step": torch.tensor(float(step))}, None)


def in_a_child(work: Callable[[], None]) -> int:
    """Run in a forked child, which dies when it is done; its exit status."""
    child = fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def die_at(number: int) -> None:
    """End this process at the file operation with that number, as if the power had failed."""
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os._exit(9)

    sys.addaudithook(lambda event, arguments: count() if event in EVENTS else None)
    fsync = os.fsync

    def counted(file: int) -> None:
        count()
        fsync(file)

    os.fsync = counted


def write_half_of(number: int) -> None:
    """End this process in the middle of the file with that number."""
    seen = 0
    usual = bundle._write_durably

    def half(path: Path, content: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            path.write_bytes(content[: len(content) // 2])
            os._exit(9)
        usual(path, content)

    bundle._write_durably = half


@pytest.mark.parametrize("kind", ["last", "best"])
@pytest.mark.parametrize("trouble", [die_at, write_half_of])
def test_a_crash_at_every_file_operation_leaves_a_whole_checkpoint(
    trouble: Callable[[int], None], kind: str, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    write_checkpoint(before, "last", snapshot(1))
    write_checkpoint(before, "best", snapshot(2))
    found = []
    for number in range(1, 200):
        folder = tmp_path / f"{number}"
        shutil.copytree(before, folder)

        def work(folder: Path = folder, number: int = number) -> None:
            trouble(number)
            write_checkpoint(folder, kind, snapshot(3))

        status = in_a_child(work)
        kept = newest_checkpoint(folder)
        assert kept is not None
        assert torch.equal(kept.weights["w"], torch.full((50,), float(kept.cursor.step)))
        found.append(kept.cursor.step)
        if status == 0:
            break
        assert status == 9
        bundle.remove_unfinished(folder)
        write_checkpoint(folder, kind, snapshot(4))
        after = newest_checkpoint(folder)
        assert after
        assert after.cursor.step == 4
    assert status == 0
    assert found == sorted(found)
    assert {found[0], found[-1]} == {2, 3}
    assert len(found) > (15 if trouble is die_at else 3)


class Trouble(Listener):
    """The disk refuses from a step on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
        self.monkeypatch, self.name, self.number = monkeypatch, name, number

    def on_step(self, figures: Any) -> None:
        if figures["step"] == 10:

            def refuse(*_: Any, **__: Any) -> None:
                raise OSError(self.number, os.strerror(self.number))

            self.monkeypatch.setattr(
                *{"write": (bundle, "_write_durably"), "mkdir": (Path, "mkdir")}[self.name], refuse
            )


@pytest.mark.parametrize(
    ("name", "number", "said"),
    [("write", errno.ENOSPC, "No space left"), ("mkdir", errno.EROFS, "Read-only file system")],
)
def test_a_disk_that_refuses_is_told_and_the_run_goes_on_later(
    name: str, number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training(tmp_path / "whole")
    whole.run()
    with pytest.raises(TrainingError, match=rf"{said}.*checkpoint of step 9 is whole: make room"):
        training(tmp_path / "run", Trouble(monkeypatch, name, number), checkpoint_steps=1).run()
    monkeypatch.undo()
    assert_same_result(resumed(tmp_path / "run"), whole)


TEXT = "the cat sat on the mat and the dog ran far away\n" * 200
OPTIONS = [
    "--hidden-size", "8", "--sequence-length", "16", "--batch-size", "8", "--samples", "2",
    "--sample-length", "20", "--threads", "1", "--checkpoint-steps", "7", "--dropout", "0.3", "--zoneout", "0.1",
    "--json",
]  # fmt: skip


class Started:
    """`ricorso` in a process, or in several that train together."""

    def __init__(self, words: list[str], ranks: int) -> None:
        self.words = command(*words, ranks=ranks)
        self.said = Path(words[1] if words[0] == "resume" else words[-1]).with_suffix(".said")
        with self.said.open("w") as said:
            self.process = subprocess.Popen(self.words, stdout=said, stderr=said, start_new_session=True)

    def status(self) -> int | None:
        return self.process.poll()

    def kill(self) -> None:
        kill_with_children(self.process)

    def told(self) -> str:
        """The end of what was printed."""
        return self.said.read_text()[-2000:]


class Forked:
    """`ricorso` in a fork of this process, which has imported everything."""

    def __init__(self, words: list[str], ranks: int) -> None:
        assert ranks == 1
        self.found: int | None = None
        self.number = fork()
        if self.number == 0:
            try:
                for stream in (1, 2):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
                torch.set_num_threads(1)
                os._exit(run(words))
            finally:
                os._exit(70)

    def status(self) -> int | None:
        if self.found is None:
            reaped, status = os.waitpid(self.number, os.WNOHANG)
            self.found = os.waitstatus_to_exitcode(status) if reaped else None
        return self.found

    def kill(self) -> None:
        if self.found is None:
            os.kill(self.number, signal.SIGKILL)
            os.waitpid(self.number, 0)

    def told(self) -> str:
        """Nothing: what a fork prints is thrown away."""
        return ""


Begin = Callable[[list[str], int], Started | Forked]


def finish(process: Started | Forked) -> None:
    wait_for(lambda: process.status() is not None, "the training ends")
    assert process.status() == 0, process.told()


def killed_again_and_again(
    folder: Path, words: list[str], times: int, longest: float, ranks: int, draw: random.Random, begin: Begin
) -> int:
    """Train, kill and go on until the training ends; how often it was killed in time."""
    kills = 0
    while True:
        going = (folder / "manifest.json").exists()
        if folder.exists() and not going:
            shutil.rmtree(folder)
        process = begin(["resume", str(folder), "--json"] if going else [*words, "--out", str(folder)], ranks)
        if kills >= times:
            finish(process)
            return kills
        while process.status() is None and not (folder / "checkpoints").exists() and not going:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, longest))
        if process.status() is not None:
            return kills
        process.kill()
        kills += 1


def outcome(folder: Path) -> tuple[bytes, list[str]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    timeless = [line.split('"seconds"')[0] for line in lines if '"kind": "step"' not in line]
    return (folder / "model.safetensors").read_bytes(), timeless


def compare_with_undisturbed(
    tmp_path: Path, times: int, longest: float, epochs: int = 12, ranks: int = 1, begin: Begin = Started
) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    words = ["train", "generate", str(text), *OPTIONS, "--epochs", str(epochs)]
    finish(begin([*words, "--out", str(tmp_path / "whole")], ranks))
    draw, kills, rounds = random.Random(5), 0, 0
    while kills < times:
        folder = tmp_path / f"run-{rounds}"
        kills += killed_again_and_again(folder, words, min(6, times - kills), longest, ranks, draw, begin)
        assert outcome(folder) == outcome(tmp_path / "whole")
        rounds += 1
        assert rounds < 4 * times


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    compare_with_undisturbed(tmp_path, 3, longest=0.2, epochs=2, begin=Forked)


@pytest.mark.long
def test_killed_thirty_times_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    compare_with_undisturbed(tmp_path, 30, longest=3.0)


@pytest.mark.long
def test_two_processes_killed_five_times_end_with_the_same_bits(tmp_path: Path) -> None:
    compare_with_undisturbed(tmp_path, 5, longest=6.0, ranks=2)


def test_the_plan_of_these_tests_has_validations() -> None:
    assert plan().validations > 0
