"""Two ways to do the same, timed in turn."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn

from ricorso.exchange.run import Example
from ricorso.exchange.structure import leaves

LEAST_ROUNDS, MOST_ROUNDS = 5, 200
# Shorter samples are mostly noise of the clock and the scheduler.
SAMPLE_SECONDS = 2e-3


@dataclass(frozen=True)
class Ratio:
    """How many times faster the second way is: median and quartiles over rounds; before and after: median seconds."""

    value: float
    low: float
    high: float
    before: float
    after: float

    @property
    def faster(self) -> bool:
        """Whether it is, beyond the noise."""
        return self.low > 1.0

    @property
    def slower(self) -> bool:
        return self.high < 1.0

    def __str__(self) -> str:
        return f"{self.value:.2f}"


@dataclass(frozen=True)
class Way:
    """What is timed, and what has to be done before that."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


def compared(before: Way, after: Way, seconds: float) -> Ratio:
    """Time both in turn for about so many seconds, and at least LEAST_ROUNDS times."""
    ways = (before, after)
    once = [_timed(way, 1) for way in ways for _ in range(2)][1::2]
    repeats = max(1, int(SAMPLE_SECONDS / max(once)))
    end = time.perf_counter() + seconds
    times: list[tuple[float, float]] = []
    while len(times) < LEAST_ROUNDS or (time.perf_counter() < end and len(times) < MOST_ROUNDS):
        # each goes first in every other round
        order = (0, 1) if len(times) % 2 else (1, 0)
        taken = {way: _timed(ways[way], repeats) for way in order}
        times.append((taken[0], taken[1]))
    ratios = [first / second for first, second in times]
    low, _, high = quantiles(ratios, n=4)
    return Ratio(median(ratios), low, high, median(t[0] for t in times), median(t[1] for t in times))


def _timed(way: Way, repeats: int) -> float:
    way.prepare()
    start = time.perf_counter()
    for _ in range(repeats):
        way.run()
    return (time.perf_counter() - start) / repeats


def forward_of(layer: nn.Module, calls: Sequence[Example]) -> Way:
    """Run a layer on what it was called with, without gradients."""
    given = [call.copies() for call in calls]

    def run() -> None:
        with torch.no_grad():
            for arguments, keywords in given:
                layer.forward(*arguments, **keywords)

    return Way(run)


def training_of(layer: nn.Module, calls: Sequence[Example]) -> Way:
    """Run a layer on what it was called with, and all its gradients."""
    given = [call.copies() for call in calls]
    inputs = [value for call in given for _, value in leaves(call) if isinstance(value, Tensor)]
    wanted = [tensor for tensor in (*layer.parameters(), *inputs) if tensor.requires_grad]

    def run() -> None:
        outputs = []
        for arguments, keywords in given:
            found = [value for _, value in leaves(layer.forward(*arguments, **keywords))]
            outputs += [value for value in found if isinstance(value, Tensor) and value.requires_grad]
        gradients = [torch.ones_like(output) for output in outputs]
        torch.autograd.grad(outputs, wanted, gradients, allow_unused=True)

    return Way(run)


def whole_of(
    model: Callable[..., object], example: Example, prepare: Callable[[], object], wanted: Sequence[Tensor] | None
) -> Way:
    """Run a model; wanted: with the gradients of these."""

    def run() -> None:
        arguments, keywords = example.copies()
        if wanted is None:
            with torch.no_grad():
                model(*arguments, **keywords)
            return
        found = [value for _, value in leaves(model(*arguments, **keywords))]
        outputs = [value for value in found if isinstance(value, Tensor) and value.requires_grad]
        torch.autograd.grad(outputs, wanted, [torch.ones_like(output) for output in outputs], allow_unused=True)

    return Way(run, prepare)
