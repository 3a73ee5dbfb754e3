import os
import resource
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ricorso.errors import RunError, TrainingError
from ricorso.training.checkpoint import State, newest_checkpoint
from ricorso.training.guard import LIMIT
from ricorso.training.interrupt import StopRequest, TrainingInterrupted, listening
from ricorso.training.listener import Listener
from ricorso.training.loop import Plan, Training
from ricorso.training.schedule import Budget

STEPS = 24


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 8)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(8, 3)


class Work:
    """Predict the next vector of a noisy wave; state carried, dropout drawn from torch's generator."""

    steps_per_epoch = 7
    symbols_per_step = 20

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = Net()
        self.states: list[State] = []
        self.spoil: Callable[[int], bool] = lambda step: False
        self.seen = 0

    def batch(self, epoch: int, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(epoch * 100 + step)
        return torch.randn(6, 4, 3, generator=generator).cumsum(0)

    def loss(self, batch: Tensor, state: State) -> tuple[Tensor, State]:
        self.states.append(state)
        self.seen += 1
        output, state = self.model.rnn(batch[:-1], state)
        loss = (self.model.head(self.model.dropout(output)) - batch[1:]).square().mean()
        return (loss * torch.nan if self.spoil(self.seen) else loss), state

    def validate(self) -> dict[str, float]:
        with torch.no_grad():
            return {"validation_loss": float(self.loss(self.batch(999, 0), None)[0])}

    def sample(self) -> str:
        return f"{float(self.model.head.weight.detach().sum()):.6f}"


def plan(**changes: Any) -> Plan:
    usual: dict[str, Any] = {
        "budget": Budget(steps=STEPS),
        "learning_rate": 0.02,
        "weight_decay": 0.01,
        "clip": 0.5,
        "warmup": 0.2,
        "average": 0.8,
        "validations": 6,
        "samples": 3,
        "log_every": 5,
        "checkpoint_seconds": 1e9,
    }
    return Plan(**(usual | changes))


class Forgetful(Work):
    """Work whose validation grows worse with every step, so that the best weights are early ones."""

    def validate(self) -> dict[str, float]:
        return {"validation_loss": float(self.model.head.weight.detach().sub(INITIAL).norm())}


INITIAL = Work().model.head.weight.detach().clone()


def training(folder: Path | None = None, listener: Listener | None = None, **changes: Any) -> Training:
    if folder:
        folder.mkdir(exist_ok=True)
    return Training(Work(), plan(**changes), StopRequest(), listener or Listener(), folder)


def weights(trained: Training) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in trained.model.named_parameters()}


def timeless(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in ("seconds", "symbols_per_second")} for line in lines]


def assert_same_result(one: Training, other: Training) -> None:
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, weights(other)[name]), f"{name} differs"
    assert timeless(one.log.lines) == timeless(other.log.lines)
    assert (one.cursor.best_step, one.cursor.best_loss) == (other.cursor.best_step, other.cursor.best_loss)


class StopAt(Listener):
    """Asks to stop after a step, as Ctrl-C does, or dies there, as kill -9 does."""

    def __init__(self, step: int, dies: bool = False) -> None:
        self.step, self.dies = step, dies
        self.checkpoints: list[Path] = []

    def on_step(self, figures: Mapping[str, Any]) -> None:
        if figures["step"] == self.step:
            if self.dies:
                raise SystemExit
            os.kill(os.getpid(), signal.SIGINT)

    def on_checkpoint(self, folder: Path) -> None:
        self.checkpoints.append(folder)


def resumed(folder: Path, **changes: Any) -> Training:
    again = training(folder, **changes)
    snapshot = newest_checkpoint(folder / "checkpoints")
    assert snapshot
    torch.rand(5)  # the generator stands elsewhere in a new process
    again.restore(snapshot)
    again.run()
    return again


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Training:
    done = training(tmp_path_factory.mktemp("whole"))
    done.run()
    return done


def test_it_learns_and_tells(whole: Training) -> None:
    kinds = [line["kind"] for line in whole.log.lines]
    assert kinds.count("step") == STEPS // 5
    assert kinds.count("validation") == 6
    assert kinds.count("sample") == 3
    losses = [line["validation_loss"] for line in whole.log.lines if line["kind"] == "validation"]
    assert losses[-1] < 0.9 * losses[0]
    assert whole.cursor.best_loss == min(losses)
    assert whole.cursor.finished
    assert whole.cursor.epoch == STEPS // 7


def test_the_model_ends_with_the_best_averaged_weights(whole: Training) -> None:
    whole.model.eval()
    assert whole.work.validate()["validation_loss"] == whole.cursor.best_loss


def test_state_is_carried_within_an_epoch_only(whole: Training) -> None:
    work = training(validations=0)
    work.run()
    states = work.work.states  # type: ignore[attr-defined]
    assert [state is None for state in states] == [step % 7 == 0 for step in range(STEPS)]
    assert all(not part.requires_grad for state in states if state is not None for part in state)


@pytest.mark.parametrize("step", [1, 6, 7, 11, 12, 23])
def test_stopped_and_resumed_equals_never_stopped(whole: Training, tmp_path: Path, step: int) -> None:
    with listening() as stop:
        first = training(tmp_path / "run", StopAt(step))
        first.stop = stop
        with pytest.raises(TrainingInterrupted, match="ricorso resume") as caught:
            first.run()
    assert caught.value.run == tmp_path / "run"
    assert first.cursor.step == step
    assert_same_result(resumed(tmp_path / "run"), whole)


@pytest.mark.parametrize("step", [5, 13, 22])
@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["checkpoint each step", "at the best only"])
def test_killed_and_resumed_equals_never_stopped(whole: Training, tmp_path: Path, step: int, seconds: float) -> None:
    with pytest.raises(SystemExit):
        training(tmp_path / "run", StopAt(step, dies=True), checkpoint_seconds=seconds).run()
    assert_same_result(resumed(tmp_path / "run", checkpoint_seconds=seconds), whole)


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(whole: Training, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        training(tmp_path / "run", StopAt(15, dies=True), checkpoint_seconds=0.0).run()
    checkpoints = sorted((tmp_path / "run" / "checkpoints").iterdir(), key=lambda path: path.name.split("-")[1])
    assert [path.name.split("-")[0] for path in checkpoints] == ["best", "last"]
    os.truncate(checkpoints[-1] / "tensors.safetensors", 100)
    assert_same_result(resumed(tmp_path / "run"), whole)
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        os.truncate(path / "tensors.safetensors", 100)
    with pytest.raises(RunError, match="truncated"):
        newest_checkpoint(tmp_path / "run" / "checkpoints")


def test_the_best_weights_of_before_the_stop_survive(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    whole = Training(Forgetful(), plan(), StopRequest())
    whole.run()
    assert whole.cursor.best_step == STEPS // 6
    first = Training(Forgetful(), plan(checkpoint_seconds=0.0), StopRequest(), StopAt(18, dies=True), tmp_path / "run")
    with pytest.raises(SystemExit):
        first.run()
    snapshot = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert snapshot
    again = Training(Forgetful(), plan(), StopRequest(), Listener(), tmp_path / "run")
    again.restore(snapshot)
    again.run()
    assert_same_result(again, whole)


def test_old_checkpoints_are_pruned(whole: Training) -> None:
    assert whole.folder
    kinds = sorted(path.name.split("-")[0] for path in (whole.folder / "checkpoints").iterdir())
    assert kinds == ["best", "last"]


def test_a_full_disk_stops_training_and_spares_the_checkpoint(whole: Training, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Full(Listener):
        def on_step(self, figures: Mapping[str, Any]) -> None:
            if figures["step"] == 10:
                resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))

    try:
        with pytest.raises(TrainingError, match=r"step 1\d could not be written.*checkpoint of step \d+ is whole"):
            training(tmp_path / "run", Full(), checkpoint_seconds=0.0).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_same_result(resumed(tmp_path / "run"), whole)


def test_gradients_are_clipped_before_the_step() -> None:
    clipped = training(validations=0, samples=0)
    norms: list[tuple[float, float]] = []

    class Watch(Listener):
        def on_step(self, figures: Mapping[str, Any]) -> None:
            left = torch.cat([p.grad.flatten() for p in clipped.model.parameters() if p.grad is not None]).norm()
            norms.append((figures["gradient_norm"], float(left)))

    clipped.listener = Watch()
    clipped.run()
    assert max(before for before, _ in norms) > 0.5
    for before, left in norms:
        assert left == pytest.approx(min(before, 0.5), rel=1e-4)


def test_a_step_that_is_not_finite_changes_nothing_but_the_count() -> None:
    spoiled = training(validations=0, log_every=1)
    before = weights(spoiled)
    spoiled.work.spoil = lambda step: step == 3  # type: ignore[attr-defined]
    same: list[bool] = []

    class Watch(Listener):
        def on_step(self, figures: Mapping[str, Any]) -> None:
            same.append(all(torch.equal(p, before[name]) for name, p in spoiled.model.named_parameters()))
            before.update(weights(spoiled))

    spoiled.listener = Watch()
    spoiled.run()
    assert same[:4] == [False, False, True, False]
    assert spoiled.cursor.skipped == 1
    assert [state is None for state in spoiled.work.states[:5]] == [True, False, False, True, False]  # type: ignore[attr-defined]
    assert [line["loss"] is None for line in spoiled.log.lines[:4]] == [False, False, True, False]
    assert all(torch.isfinite(p).all() for p in spoiled.model.parameters())


def test_many_bad_steps_end_training_and_keep_the_last_checkpoint(tmp_path: Path) -> None:
    spoiled = training(tmp_path / "run", checkpoint_seconds=0.0, validations=0, budget=Budget(steps=200))
    spoiled.work.spoil = lambda step: step > 10  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=f"{LIMIT} steps in a row"):
        spoiled.run()
    snapshot = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert snapshot
    assert all(torch.isfinite(tensor).all() for tensor in snapshot.weights.values())


def test_without_a_folder_nothing_is_written_and_a_stop_says_so() -> None:
    stopped = training(None)
    stopped.stop.made = True
    with pytest.raises(TrainingInterrupted, match="out=") as caught:
        stopped.run()
    assert caught.value.run is None


def test_a_time_budget_goes_on_from_the_seconds_used(tmp_path: Path) -> None:
    limited = {"budget": Budget(seconds=0.25), "validations": 2}
    first = training(tmp_path / "run", **limited)

    class Stop(Listener):
        def on_step(self, figures: Mapping[str, Any]) -> None:
            first.stop.made = figures["seconds"] > 0.1

    first.listener = Stop()
    with pytest.raises(TrainingInterrupted):
        first.run()
    used = first.cursor.seconds
    again = training(tmp_path / "run", **limited)
    snapshot = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert snapshot
    assert snapshot.cursor.seconds == pytest.approx(used)
    again.restore(snapshot)
    again.run()
    assert again.cursor.finished
    assert 0.25 <= again.cursor.seconds < 0.25 + 1.0
    assert again.log.lines[-1]["kind"] in ("validation", "sample", "step")


def test_a_checkpoint_of_another_model_is_refused(whole: Training, tmp_path: Path) -> None:
    assert whole.folder
    shutil.copytree(whole.folder, tmp_path / "run")
    snapshot = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert snapshot
    snapshot.weights["head.bias"] = torch.zeros(5)
    with pytest.raises(RunError, match="does not fit"):
        training(tmp_path / "run").restore(snapshot)
