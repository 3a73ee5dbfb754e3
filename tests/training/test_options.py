"""What the settings of a training do, seen from outside the loop."""

from pathlib import Path

import pytest
import torch
from small_training import Forgetful, Net, Work, plan, resumed, training, weights
from torch import Tensor

from ricorso.errors import TrainingError, UsageError
from ricorso.training.checkpoint import newest_checkpoint
from ricorso.training.interrupt import StopRequest
from ricorso.training.listener import Listener
from ricorso.training.loop import Training
from ricorso.training.schedule import Budget
from ricorso.training.settings import TrainingSettings


class Halves(Work):
    """Work without dropout whose batches are halves of those of `Work`."""

    def __init__(self, halves: bool) -> None:
        super().__init__()
        self.model.dropout.p = 0.0
        self.halves = halves
        self.examples = 2 if halves else 4
        self.batches_per_epoch = 2 if halves else 1

    def batch(self, epoch: int, number: int, part: slice) -> Tensor:
        generator = torch.Generator().manual_seed(epoch)
        whole = torch.randn(6, 4, 3, generator=generator)
        return whole[:, 2 * number : 2 * number + 2] if self.halves else whole

    def loss(self, batch: Tensor, state: object) -> tuple[Tensor, None]:
        return super().loss(batch, None)[0], None


def test_accumulated_batches_are_one_larger_batch() -> None:
    whole = Training(Halves(False), plan(validations=0), StopRequest())
    halves = Training(Halves(True), plan(validations=0, accumulate=2), StopRequest())
    for one in (whole, halves):
        one.run()
    assert halves.cursor.step == whole.cursor.step
    assert halves.cursor.epoch == whole.cursor.epoch
    for name, weight in weights(whole).items():
        torch.testing.assert_close(weights(halves)[name], weight, rtol=1e-4, atol=1e-6)


def test_patience_ends_training_early() -> None:
    done = Training(Forgetful(), plan(patience=2), StopRequest())
    done.run()
    assert done.cursor.finished
    assert done.cursor.best_step == 4
    assert done.cursor.step == 12


def test_plateaus_lower_the_rate_and_a_resumed_run_knows() -> None:
    done = Training(Forgetful(), plan(schedule="plateau", plateau_patience=2, warmup=0.0, log_every=1), StopRequest())
    done.run()
    rates = [line["learning_rate"] for line in done.log.lines if line["kind"] == "step"]
    assert rates[:12] == [0.02] * 12
    assert rates[12:20] == [0.01] * 8
    assert rates[20:] == [0.005] * 4


def test_averaging_evenly_begins_when_validation_stops_improving() -> None:
    done = Training(Forgetful(), plan(average_after=1), StopRequest())
    done.run()
    assert done.cursor.averaged_from == 8


OPTIONS = {
    "sgd": {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.1},
    "adam with l2": {"optimiser": "adam", "l2": 0.01, "clip_value": 0.01},
    "one cycle": {"schedule": "one_cycle"},
    "plateau": {"schedule": "plateau", "plateau_patience": 1},
    "accumulated": {"accumulate": 3},
    "averaged evenly": {"average_after": 1},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)
def test_with_every_option_a_killed_run_goes_on_bit_for_bit(changes: dict[str, object], tmp_path: Path) -> None:
    class Dies(Listener):
        def on_step(self, figures: object) -> None:
            if figures["step"] == 15:  # type: ignore[index]
                raise SystemExit

    whole = training(tmp_path / "whole", **changes)  # type: ignore[arg-type]
    whole.run()
    with pytest.raises(SystemExit):
        training(tmp_path / "run", Dies(), checkpoint_steps=4, **changes).run()  # type: ignore[arg-type]
    again = resumed(tmp_path / "run", checkpoint_steps=4, **changes)
    for name, weight in weights(whole).items():
        assert torch.equal(weights(again)[name], weight), name
    start = Work().model
    assert any(not torch.equal(p, weights(whole)[name]) for name, p in start.named_parameters())


def test_a_wild_learning_rate_is_stopped_with_advice_within_200_steps(tmp_path: Path) -> None:
    wild = training(tmp_path / "run", learning_rate=10.0, warmup=0.0, validations=0, budget=Budget(steps=500))
    with pytest.raises(TrainingError, match=r"learning_rate of 3\.3"):
        wild.run()
    assert wild.cursor.step <= 200


def test_weights_that_are_not_finite_never_replace_a_checkpoint(tmp_path: Path) -> None:
    spoiled = training(tmp_path / "run", checkpoint_steps=5, validations=0)

    class Spoil(Listener):
        def on_step(self, figures: object) -> None:
            if figures["step"] == 7:  # type: ignore[index]
                with torch.no_grad():
                    spoiled.model.get_parameter("head.bias").fill_(torch.inf)

    spoiled.listener = Spoil()
    spoiled.work.loss = lambda batch, state: (spoiled.model.get_parameter("head.weight").sum(), None)  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"head.bias is not finite after step 10. The checkpoint of step 5 is"):
        spoiled.run()
    snapshot = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert snapshot
    assert snapshot.cursor.step == 5


def test_an_unknown_option_and_a_bad_value_are_told() -> None:
    with pytest.raises(UsageError, match=r"no option 'learning_rat'.*learning_rate"):
        TrainingSettings.of({"learning_rat": 1.0})
    with pytest.raises(UsageError, match="clip should be greater than or equal to 0, got -1"):
        TrainingSettings.of({"clip": -1.0})
    with pytest.raises(UsageError, match="schedule should be"):
        TrainingSettings.of({"schedule": "sawtooth"})


def test_the_net_of_these_tests_uses_dropout() -> None:
    assert Net().dropout.p > 0
