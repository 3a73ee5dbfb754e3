import os
import resource
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import (
    STEPS,
    Forgetful,
    StopAt,
    assert_same_result,
    plan,
    resumed,
    training,
    weights,
)

from ricorso.errors import RunError, TrainingError
from ricorso.training.checkpoint import newest_checkpoint
from ricorso.training.guard import LIMIT
from ricorso.training.interrupt import StopRequest, TrainingInterrupted, listening
from ricorso.training.listener import Listener
from ricorso.training.loop import Training
from ricorso.training.schedule import Budget


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
@pytest.mark.parametrize("every", [1, None], ids=["checkpoint each step", "at the best only"])
def test_killed_and_resumed_equals_never_stopped(whole: Training, tmp_path: Path, step: int, every: int | None) -> None:
    with pytest.raises(SystemExit):
        training(tmp_path / "run", StopAt(step, dies=True), checkpoint_steps=every).run()
    assert_same_result(resumed(tmp_path / "run", checkpoint_steps=every), whole)


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(whole: Training, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        training(tmp_path / "run", StopAt(15, dies=True), checkpoint_steps=1).run()
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
    first = Training(Forgetful(), plan(checkpoint_steps=1), StopRequest(), StopAt(18, dies=True), tmp_path / "run")
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
            training(tmp_path / "run", Full(), checkpoint_steps=1).run()
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
    lines = [line for line in spoiled.log.lines if line["kind"] == "step"]
    assert [line["loss"] is None for line in lines[:4]] == [False, False, True, False]
    [skipped] = [line for line in spoiled.log.lines if line["kind"] == "skipped"]
    assert (skipped["step"], skipped["loss"], skipped["batches"]) == (3, "nan", ["wave 2"])
    assert "rnn.weight_ih_l0" in skipped["parameters"]
    assert all(torch.isfinite(p).all() for p in spoiled.model.parameters())


def test_many_bad_steps_end_training_and_keep_the_last_checkpoint(tmp_path: Path) -> None:
    spoiled = training(tmp_path / "run", checkpoint_steps=1, validations=0, budget=Budget(steps=200))
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
