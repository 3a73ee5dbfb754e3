"""Where the time of a training step goes: recurrent kernels, matrix products, data, optimiser, the rest."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.profiler import record_function

from ricorso.data.batches import Streams
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.model import TextModel
from ricorso.training.checkpoint import State
from ricorso.training.loop import Work
from ricorso.training.optimiser import clip, gradient_norm, optimiser
from ricorso.training.settings import TrainingSettings

WARM_UP, MEASURED = 2, 6
KERNELS, PRODUCTS, DATA, OPTIMISER, REST = (
    "recurrent kernels", "matrix products", "data", "optimiser and clipping", "the rest",
)  # fmt: skip
KINDS = (KERNELS, PRODUCTS, DATA, OPTIMISER, REST)
_OURS = ("_Eager", "ricorso::")
_PEERS = ("aten::lstm", "aten::gru", "aten::rnn", "aten::mkldnn_rnn", "mkldnn::_rnn")
_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::matmul", "mkldnn::_linear", "aten::linear")
_SECTIONS = {"inspect: data": DATA, "inspect: optimiser": OPTIMISER}


@dataclass(frozen=True)
class Profile:
    """Shares of the time of training steps, by kind; they add up to 1. milliseconds: of one step.

    batch_size, sequence_length: of the batches.
    """

    shares: dict[str, float]
    milliseconds: float
    batch_size: int
    sequence_length: int

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "milliseconds_per_step": self.milliseconds,
            "batch_size": self.batch_size,
            "sequence_length": self.sequence_length,
            "shares": self.shares,
        }


def profile(model: TextModel, ids: NDArray[np.integer], config: GenerateConfig, seed: int = 0) -> Profile:
    """Train a copy of a text model for a few steps as its config says, and see where the time goes."""
    assert config.batch_size is not None
    assert config.sequence_length is not None
    streams = Streams(ids, config.batch_size, min(config.sequence_length, len(ids) - 1), seed)
    copied = deepcopy(model).train()

    def batch(number: int) -> tuple[Tensor, Tensor]:
        inputs, targets = map(torch.from_numpy, streams.batch(0, number % streams.steps_per_epoch))
        return inputs, targets

    steps = _steps(copied, batch, lambda read, state: copied.training_loss(read[0], read[1], state), config)
    return Profile(*_measured(steps, seed), streams.batch_size, streams.sequence_length)


def profile_work(model: nn.Module, work: Callable[[nn.Module], Work], config: TrainingSettings, seed: int) -> Profile:
    """The same of any task, whose training of a model `work` makes; sequences are as long as they are on average."""
    training = work(deepcopy(model).train())

    def batch(number: int) -> Any:
        return training.batch(*divmod(number, training.batches_per_epoch), slice(None))

    steps = _steps(training.model, batch, training.loss, config)
    return Profile(*_measured(steps, seed), training.examples, round(training.symbols_per_batch / training.examples))


def _measured(steps: Iterator[None], seed: int) -> tuple[dict[str, float], float]:
    """Shares of the time of training steps, and the milliseconds of one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(WARM_UP):
            next(steps)
        with _quiet(), torch.autograd.profiler.profile(use_kineto=False) as recorded:
            began = time.perf_counter()
            for _ in range(MEASURED):
                next(steps)
            seconds = time.perf_counter() - began
    return _shares(recorded), 1000 * seconds / MEASURED


def _steps(
    model: nn.Module,
    batch: Callable[[int], Any],
    loss_of: Callable[[Any, State], tuple[Tensor, State]],
    config: TrainingSettings,
) -> Iterator[None]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    # it starts with a learning rate of zero: what is measured does not depend on where the weights go
    stepping = optimiser(model, config.optimiser, config.weight_decay, config.momentum)
    half = torch.autocast(parameters[0].device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
    state: State = None
    for number in count():
        with _section("inspect: step"):
            with _section("inspect: data"):
                read = batch(number)
            with half:
                loss, state = loss_of(read, state)
            stepping.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            with _section("inspect: optimiser"):
                clip(parameters, float(gradient_norm(parameters)), config.clip)
                stepping.step()
            state = state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state or ())
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the block torch's profiler does not tell standard error that it starts and stops."""
    name, before = "KINETO_LOG_LEVEL", os.environ.get("KINETO_LOG_LEVEL")
    os.environ[name] = before or "99"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _section(name: str) -> AbstractContextManager[None]:
    section: Callable[[str], AbstractContextManager[None]] = record_function
    return section(name)


def _shares(recorded: Any) -> dict[str, float]:
    spent = dict.fromkeys(KINDS, 0.0)
    for event in recorded.function_events:
        spent[_kind(event)] += event.self_cpu_time_total
    total = sum(spent.values()) or 1.0
    return {kind: value / total for kind, value in spent.items()}


def _kind(event: Any) -> str:
    name = event.name
    outer = event
    while outer is not None:
        if outer.name in _SECTIONS:
            return _SECTIONS[outer.name]
        outer = outer.cpu_parent
    if name.startswith(_OURS) or name.startswith(_PEERS):
        return KERNELS
    return PRODUCTS if name.startswith(_PRODUCTS) else REST
