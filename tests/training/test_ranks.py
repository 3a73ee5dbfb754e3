"""Several processes that train one model: what they agree on, what they write, and what becomes of them."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import Ended, children, command, finish, kill_with_children, together, wait_for
from small_training import Work, plan, training, weights

from ricorso.cli.main import run
from ricorso.tasks.generate.work import TextWork
from ricorso.training import ranks as ranks_module
from ricorso.training.interrupt import StopRequest, TrainingInterrupted
from ricorso.training.listener import Listener
from ricorso.training.loop import Training
from ricorso.training.ranks import ALONE, RankLost, Ranks, of_environment, step_seed

TEXT = "the cat sat on the mat and the dog ran far away\n" * 40
BATCH = 5  # shared by 2 as 2 and 3, by 3 as 1, 2 and 2
OPTIONS = [
    "--hidden-size", "8", "--epochs", "2", "--sequence-length", "16", "--batch-size", str(BATCH), "--samples", "1",
    "--sample-length", "20", "--threads", "1", "--log-every", "1", "--validations", "3", "--restart", "0.3",
]  # fmt: skip
EXACT = ["--dropout", "0"]


# --- without processes


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [0, 1, 5, 8, 100])
def test_shares_are_even_and_cover_everything_once(total: int, count: int) -> None:
    shares = [list(range(total))[Ranks(number, count).share(total)] for number in range(count)]
    assert [number for share in shares for number in share] == list(range(total))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_alone_nothing_changes_and_nobody_is_asked() -> None:
    values, part = torch.arange(3.0), torch.randn(2, 4, 3)
    assert ALONE.first
    assert ALONE.share(5) == slice(0, 5)
    assert ALONE.sum(values) is values
    assert ALONE.from_first([1.5]) == [1.5]
    assert ALONE.whole(part, 4) is part
    ALONE.wait()
    ALONE.leave()
    gradient = torch.ones(3)
    ALONE.add_gradients([gradient])
    assert torch.equal(gradient, torch.ones(3))


def test_the_seed_of_a_step_depends_on_everything_and_stays_as_it_is() -> None:
    places = [(s, e, n, r) for s in (0, 1, 11) for e in (0, 1, 11) for n in (0, 1, 11) for r in (0, 1, 11)]
    seeds = {step_seed(*place) for place in places}
    assert len(seeds) == len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
    # runs that were stopped under an older version go on with the same numbers
    assert step_seed(0, 1, 2, 3) == 8415226463665777121


@pytest.mark.parametrize(
    ("told", "interface"),
    [
        ({"MASTER_ADDR": "127.0.0.1"}, "lo"),
        ({"MASTER_ADDR": "::1"}, "lo"),
        ({"MASTER_ADDR": "localhost"}, "lo"),
        ({}, "lo"),
        ({"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "eth7"}, "eth7"),
        ({"MASTER_ADDR": "192.0.2.7"}, None),
        ({"MASTER_ADDR": "node-0.example"}, None),
        ({"MASTER_ADDR": "here.example", "LOCAL_WORLD_SIZE": "4"}, "lo"),
        ({"MASTER_ADDR": "here.example", "LOCAL_WORLD_SIZE": "2"}, None),
        ({"MASTER_ADDR": "here.example"}, None),
    ],
)
def test_they_talk_over_loopback_when_all_are_here(
    told: dict[str, str], interface: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MASTER_ADDR", "GLOO_SOCKET_IFNAME", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # so that what is set below is undone
        monkeypatch.delenv(name)
    for name, value in ({"WORLD_SIZE": "4"} | told).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks_module.socket, "gethostname", lambda: "here.example")
    monkeypatch.setattr(ranks_module.socket, "if_nameindex", lambda: [(1, "eth7"), (2, "lo")])
    for name, value in {
        "is_initialized": False,
        "init_process_group": None,
        "get_rank": 3,
        "get_world_size": 4,
    }.items():
        monkeypatch.setattr(ranks_module.dist, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(ranks_module.atexit, "register", lambda _: None)
    assert of_environment() == Ranks(3, 4)
    assert os.environ.get("GLOO_SOCKET_IFNAME") == interface


def test_without_torchrun_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert of_environment() is ALONE


def test_a_lost_process_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer")

    for name in ("all_reduce", "broadcast", "barrier"):
        monkeypatch.setattr(ranks_module.dist, name, refuse)
    for ask in (lambda r: r.sum(torch.ones(2)), lambda r: r.from_first([1.0]), lambda r: r.wait()):
        with pytest.raises(RankLost, match=r"^Process 1 of 2 could not reach the others; one of them has ended or"):
            ask(Ranks(1, 2))
    Ranks(1, 2).leave()


# --- with forked processes

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="Processes are looked at under /proc.")


def listening_at() -> set[str]:
    """The addresses at which this process listens, IPv4 and IPv6."""
    own = {os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                found.add(fields[1].partition(":")[0])
    return found


def test_what_they_tell_one_another(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> None:
        number = ranks.number
        assert ranks.sum(torch.tensor([1.0, number])).tolist() == [3.0, 3.0]
        assert ranks.from_first([number + 0.125]) == [0.125]
        whole = torch.arange(2 * BATCH * 3.0).reshape(2, BATCH, 3)
        for dimension in (0, 1, 2):
            parts = whole.movedim(1, dimension)
            own = parts.narrow(dimension, (s := ranks.share(BATCH)).start, s.stop - s.start)
            assert torch.equal(ranks.whole(own, BATCH, dimension), parts)
        gradients = [torch.full((2, 3), number + 1.0), torch.full((4,), 10.0**number)]
        ranks.add_gradients(gradients)
        assert [g.unique().tolist() for g in gradients] == [[6.0], [111.0]]
        ranks.wait()
        # the first is where torchrun's meeting place would be, which listens everywhere
        if number:
            assert listening_at() == {"0100007F"}
        ranks.leave()

    ended = together(3, work, tmp_path)
    assert [one.status for one in ended] == [0, 0, 0], ended


def test_nobody_leaves_before_all_are_done(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> None:
        if ranks.first:
            time.sleep(0.3)
            assert not list(tmp_path.glob("left-*"))
        ranks.leave()
        (tmp_path / f"left-{ranks.number}").touch()

    ended = together(3, work, tmp_path)
    assert [one.status for one in ended] == [0, 0, 0], ended
    assert len(list(tmp_path.glob("left-*"))) == 3


@pytest.mark.parametrize("stopped", [True, False])
def test_a_training_ends_for_all_at_once(stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(Ranks, "leave", lambda self: left.append(self.number))
    done = training()
    done.stop.made = stopped
    with pytest.raises(TrainingInterrupted) if stopped else nullcontext():
        done.run()
    assert left == [0]


def train(folder: Path, *more: str) -> list[str]:
    text = folder.parent / "text.txt"
    # whole or not at all: every process of a training comes past here while the others read
    own = text.with_suffix(f".{os.getpid()}")
    own.write_text(TEXT)
    own.replace(text)
    return ["train", "generate", str(text), "--out", str(folder), *OPTIONS, *more]


def ricorso(words: list[str], ranks: int, folder: Path) -> list[Ended]:
    """Run a command line in forked processes that train together."""
    return together(ranks, lambda _: run(words), folder.with_suffix(".said"))


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "symbols_per_second", "time")} for line in found]


def assert_close(one: Path, other: Path) -> None:
    """The same course up to rounding."""
    for mine, others in zip(lines(one), lines(other), strict=True):
        assert mine.keys() == others.keys()
        for name, value in mine.items():
            if isinstance(value, float):
                assert value == pytest.approx(others[name], rel=2e-4, abs=1e-6), (mine["step"], name)
            elif mine["kind"] != "sample":
                assert value == others[name], (mine["step"], name)


def assert_same_bits(one: Path, other: Path) -> None:
    assert lines(one) == lines(other)
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of this process, which then has at hand all that its forked children need."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert run([*train(folder, *EXACT), "--json"]) == 0
    losses = [line["loss"] for line in lines(folder) if line["kind"] == "step"]
    assert losses[-1] < 0.9 * losses[0]
    return folder


@pytest.mark.parametrize("count", [2, 3])
def test_the_same_batch_gives_the_same_losses(count: int, alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ended = ricorso(train(folder, *EXACT), count, folder)
    assert [one.status for one in ended] == [0] * count, ended
    assert_close(folder, alone)


def watch_writes(folder: Path) -> None:
    """Say so when this process changes anything under a folder."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if (event in changes or writes) and str(arguments[0]).startswith(str(folder)):
            sys.stdout.write(f"{event} {arguments[0]}\n")

    sys.addaudithook(hook)


def test_only_the_first_measures_writes_and_prints(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def refuse(self: TextWork) -> None:
        raise AssertionError("Only the first measures and writes samples.")

    def work(ranks: Ranks) -> int:
        watch_writes(folder)
        if not ranks.first:
            TextWork.validate = TextWork.sample = refuse
        return run(train(folder, "--checkpoint-steps", "5"))

    first, second = together(2, work, tmp_path / "said")
    assert (first.status, second.status) == (0, 0)
    assert (second.out, second.err) == ("", "")
    assert "open" in first.out
    assert "What it writes now" in first.out
    assert "834 parameters" in first.err


def test_their_weights_are_the_same_bits(alone: Path, tmp_path: Path) -> None:
    def work(ranks: Ranks) -> int:
        usual = Training.run

        def run_and_tell(self: Training) -> None:
            usual(self)
            weights = b"".join(p.detach().numpy().tobytes() for p in self.model.parameters())
            sys.stdout.write(hashlib.sha256(weights).hexdigest())

        Training.run = run_and_tell
        return run([*train(tmp_path / "run"), "--json"])

    first, second = together(2, work, tmp_path / "said")
    assert len(second.out) == 64
    assert first.out.startswith(second.out)


def stop_at(step: int, *stopped: int, kill: bool = False) -> None:
    """Let the process with one of these numbers get a signal after a step."""
    usual = Training._look_around

    def look(self: Training) -> None:
        usual(self)
        if self.cursor.step == step and self.ranks.number in stopped:
            os.kill(os.getpid(), signal.SIGKILL if kill else signal.SIGTERM)

    Training._look_around = look


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (3, 2)])
def test_a_checkpoint_goes_on_with_another_number_of_processes(
    before: int, after: int, alone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"

    def work(ranks: Ranks) -> int:
        stop_at(9, 0)
        return run(train(folder, *EXACT))

    ended = together(before, work, tmp_path / "said")
    assert [one.status for one in ended] == [1] + [0] * (before - 1), ended
    assert "Stopped; a checkpoint is written" in ended[0].err
    ended = ricorso(["resume", str(folder)], after, folder)
    assert [one.status for one in ended] == [0] * after, ended
    assert_close(folder, alone)


@pytest.fixture(scope="module")
def pair(alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes, with dropout, that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("pair") / "run"
    assert [one.status for one in ricorso(train(folder), 2, folder)] == [0, 0]
    return folder


def test_a_signal_to_any_of_them_stops_all_after_the_same_step(pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def work(ranks: Ranks) -> int:
        stop_at(9, 1)
        return run(train(folder))

    first, second = together(2, work, tmp_path / "said")
    assert (first.status, second.status) == (1, 0)
    assert (second.out, second.err) == ("", "")
    assert lines(folder)[-1] | {"step": 10, "steps": 10} == lines(folder)[-1]
    assert [one.status for one in ricorso(["resume", str(folder)], 2, folder)] == [0, 0]
    assert_same_bits(folder, pair)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_the_others_and_the_run_goes_on_later(lost: int, pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a run"

    def work(ranks: Ranks) -> int:
        stop_at(9, lost, kill=True)
        return run(train(folder, "--checkpoint-steps", "4"))

    ended = together(2, work, tmp_path / "said")
    assert ended[lost].status == -signal.SIGKILL
    left = ended[1 - lost]
    assert left.status == 1
    assert f"Process {1 - lost} of 2 could not reach the others" in left.err
    command = f"torchrun --standalone --nproc-per-node 2 -m ricorso resume '{folder}'"
    assert left.err.endswith(f"The checkpoint of step 8 is whole: go on from there with: {command}\n")
    assert "Traceback" not in left.err
    assert [one.status for one in ricorso(["resume", str(folder)], 2, folder)] == [0, 0]
    assert_same_bits(folder, pair)


def test_killed_before_the_first_checkpoint_it_starts_again(pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def work(ranks: Ranks) -> int:
        stop_at(3, 0, 1, kill=True)
        return run(train(folder))

    assert [one.status for one in together(2, work, tmp_path / "said")] == [-signal.SIGKILL] * 2
    assert len(lines(folder)) == 3
    assert [one.status for one in ricorso(["resume", str(folder)], 2, folder)] == [0, 0]
    assert_same_bits(folder, pair)


def test_more_processes_than_examples_are_too_many(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for one in ricorso(train(folder, "--batch-size", "1"), 2, folder):
        assert one.status == 2
        assert "A batch of 1 cannot be shared by 2 processes" in one.err


def test_a_step_that_is_not_finite_for_one_is_skipped_by_all(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> None:
        spoiled = Training(Work(), plan(validations=0), StopRequest(), Listener(), None, ranks)
        spoiled.work.spoil = lambda seen: seen == 3 and ranks.number == 1  # type: ignore[attr-defined]
        spoiled.run()
        assert spoiled.cursor.skipped == 1
        sys.stdout.write(np.concatenate([w.numpy().ravel() for w in weights(spoiled).values()]).tobytes().hex())

    first, second = together(2, work, tmp_path / "said")
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert first.out == second.out != ""


# --- with torchrun


def started(folder: Path, *more: str) -> "subprocess.Popen[str]":
    words = command(*train(folder, "--checkpoint-steps", "7", *more), ranks=2)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: (folder / "checkpoints").exists() or process.poll() is not None, "there is a checkpoint")
    assert process.poll() is None, process.communicate()
    return process


LONG = ["--epochs", "60"]


@pytest.fixture(scope="module")
def long_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long") / "run"
    finish(command(*train(folder, *LONG), ranks=2))
    return folder


@pytest.mark.long
@pytest.mark.parametrize("disturbance", ["first", "second", "launcher", signal.SIGTERM, signal.SIGINT])
def test_disturbed_under_torchrun_it_ends_with_the_same_bits(
    disturbance: str | int, long_pair: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = started(folder, *LONG)
    if disturbance == "launcher":
        kill_with_children(process)
    elif isinstance(disturbance, str):
        os.kill(children(process.pid)[0 if disturbance == "first" else 1], signal.SIGKILL)
    else:
        process.send_signal(disturbance)
    said = process.communicate()[1]
    assert process.returncode != 0
    if disturbance in ("first", "second"):
        assert "could not reach the others" in said
        assert (
            f"is whole: go on from there with: torchrun --standalone --nproc-per-node 2 -m ricorso resume {folder}"
            in said
        )
    elif disturbance != "launcher":
        assert said.count(f"Stopped; a checkpoint is written. To go on from here:\n\n  ricorso resume {folder}") == 1
        assert lines(folder)[-1]["kind"] == "end"
    finish(command("resume", str(folder), ranks=2))
    assert_same_bits(folder, long_pair)


@pytest.mark.long
@pytest.mark.parametrize("count", [2, 3])
def test_the_same_losses_under_torchrun(count: int, alone: Path, tmp_path: Path) -> None:
    said = finish(command(*train(tmp_path / "run", *EXACT), "--json", ranks=count))
    assert json.loads(said)["finished"] is True
    assert_close(tmp_path / "run", alone)
