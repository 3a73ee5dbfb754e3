import pytest
import torch
from torch import nn

from ricorso.exchange import measure
from ricorso.exchange.measure import Ratio, Way, compared, forward_of, training_of
from ricorso.exchange.run import Example


class Clock:
    """Time passes only when something runs."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def way(self, name, *seconds):
        def run():
            own = self.calls.count(name)
            self.calls.append(name)
            self.now += seconds[own % len(seconds)]

        return Way(run, lambda: self.calls.append("prepare"))

    @property
    def runs(self):
        return [call for call in self.calls if call != "prepare"]


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(measure.time, "perf_counter", lambda: made.now)
    return made


def test_the_ratio_is_the_median_of_rounds_in_turn(clock):
    found = compared(clock.way("before", 0.25), clock.way("after", 0.125), seconds=3.75)
    assert (found.value, found.before, found.after) == (2.0, 0.25, 0.125)
    assert found.faster
    assert not found.slower
    rounds = clock.runs[4:]
    assert len(rounds) == 2 * 10
    assert rounds[:4] == ["after", "before", "before", "after"]
    assert clock.calls.count("prepare") == len(clock.runs)


def test_what_takes_long_is_still_run_some_times(clock):
    compared(clock.way("before", 5.0), clock.way("after", 5.0), seconds=1.0)
    assert len(clock.runs) == 4 + 2 * measure.LEAST_ROUNDS


def test_what_is_short_is_repeated_within_a_sample(clock):
    compared(clock.way("before", 1e-4), clock.way("after", 1e-4), seconds=0.1)
    assert len(clock.runs) >= 20 * clock.calls.count("prepare") - 100
    assert clock.runs[4:24] == ["after"] * 20


def test_noise_around_one_is_neither_faster_nor_slower(clock):
    found = compared(clock.way("before", 0.1), clock.way("after", 0.09, 0.11, 0.1), seconds=6.0)
    assert not found.faster
    assert not found.slower
    assert Ratio(0.9, 0.8, 0.95, 1.0, 1.0).slower


def test_layers_run_on_what_they_were_given():
    layer = nn.GRU(3, 4)
    x = torch.randn(2, 1, 3, requires_grad=True)
    seen = []

    def forward(*given, **named):
        seen.append((given[0].requires_grad, torch.is_grad_enabled(), named))
        return nn.GRU.forward(layer, *given, **named)

    layer.forward = forward
    calls = [Example((x,), {"hx": None}), Example((x.detach(),), {})]
    forward_of(layer, calls).run()
    training_of(layer, calls).run()
    assert [s[1] for s in seen] == [False, False, True, True]
    assert [s[0] for s in seen] == [True, False, True, False]
    assert seen[0][2] == {"hx": None}
    assert all(parameter.grad is None for parameter in layer.parameters())
