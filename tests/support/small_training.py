"""A small training whose every number is known, for tests of the loop and of what stands around it."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ricorso.training.checkpoint import State, newest_checkpoint
from ricorso.training.interrupt import StopRequest
from ricorso.training.listener import Listener
from ricorso.training.loop import Plan, Training
from ricorso.training.schedule import Budget
from ricorso.training.settings import TrainingSettings

STEPS = 24
STEPS_ALONE = Budget(steps=STEPS)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 8)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(8, 3)


class Work:
    """Predict the next vector of a noisy wave; state carried, dropout drawn from torch's generator."""

    batches_per_epoch = 7
    symbols_per_batch = 20
    examples = 4

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = Net()
        self.states: list[State] = []
        self.spoil: Callable[[int], bool] = lambda step: False
        self.seen = 0

    def batch(self, epoch: int, number: int, part: slice) -> Tensor:
        generator = torch.Generator().manual_seed(epoch * 100 + number)
        return torch.randn(6, self.examples, 3, generator=generator).cumsum(0)[:, part]

    def place(self, epoch: int, number: int) -> str:
        return f"wave {epoch * 100 + number}"

    def loss(self, batch: Tensor, state: State) -> tuple[Tensor, State]:
        self.states.append(state)
        self.seen += 1
        output, state = self.model.rnn(batch[:-1], state)
        loss = (self.model.head(self.model.dropout(output)) - batch[1:]).square().mean()
        return (loss * torch.nan if self.spoil(self.seen) else loss), state

    def validate(self) -> dict[str, float]:
        with torch.no_grad():
            return {"validation_loss": float(self.loss(self.batch(999, 0, slice(None)), None)[0])}

    def sample(self) -> str:
        return f"{float(self.model.head.weight.detach().sum()):.6f}"


def plan(budget: Budget = STEPS_ALONE, validations: int = 6, samples: int = 3, **changes: Any) -> Plan:
    usual: dict[str, Any] = {
        "learning_rate": 0.02,
        "weight_decay": 0.01,
        "clip": 0.5,
        "warmup": 0.2,
        "average": 0.8,
        "log_every": 5,
        "checkpoint_minutes": 1e9,
    }
    return Plan(TrainingSettings(**(usual | changes)), budget, validations, samples)


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
    return [{k: v for k, v in line.items() if k not in ("seconds", "symbols_per_second", "time")} for line in lines]


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
