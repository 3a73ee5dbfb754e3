import math

import pytest
import torch
from torch import nn

from ricorso.errors import TrainingError
from ricorso.training.checkpoint import Cursor
from ricorso.training.guard import LIMIT, WORSE, Guard, Step, not_finite


def step(loss: float, norm: float = 1.0, clipped: bool = False) -> Step:
    return Step(loss, norm, clipped)


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (math.inf, math.nan)])
def test_a_bad_step_is_skipped_and_counted(loss: float, norm: float) -> None:
    guard = Guard(Cursor(), 1.0, 0.3)
    assert guard.passes(step(1.0))
    assert not guard.passes(step(loss, norm))
    assert guard.cursor.skipped_in_a_row == 1
    assert guard.passes(step(1.0))
    assert (guard.cursor.skipped, guard.cursor.skipped_in_a_row) == (1, 0)


def test_many_in_a_row_stop_training_with_advice() -> None:
    guard = Guard(Cursor(), 1.0, 0.3)
    guard.passes(step(1.0))
    for _ in range(LIMIT - 1):
        guard.passes(step(1.0, math.nan))
    with pytest.raises(TrainingError, match=r"gradient was not finite.*learning_rate of 0.1,"):
        guard.passes(step(1.0, math.nan))


def test_if_no_step_succeeded_the_learning_rate_is_not_blamed() -> None:
    guard = Guard(Cursor(), 1.0, 0.3)
    for _ in range(LIMIT - 1):
        guard.passes(step(math.inf))
    with pytest.raises(TrainingError, match=r"starting weights or the data are at fault"):
        guard.passes(step(math.inf))


@pytest.mark.parametrize(
    ("clip", "clipped", "advice"),
    [(0.0, False, "try clip=1"), (1.0, True, "were clipped to 1"), (1.0, False, "or clip=0.25")],
)
def test_a_loss_that_keeps_rising_stops_training(clip: float, clipped: bool, advice: str) -> None:
    guard = Guard(Cursor(), clip, 0.3)
    for _ in range(50):
        guard.passes(step(2.0, 0.5))

    def go_on() -> None:
        for _ in range(WORSE + 20):
            guard.passes(step(20.0, 80.0, clipped))

    with pytest.raises(TrainingError, match=rf"was 2 at the start and has been far above that for 100 steps.*{advice}"):
        go_on()


def test_a_loss_may_be_noisy_negative_or_high_for_a_while() -> None:
    guard = Guard(Cursor(), 1.0, 0.3)
    for n in range(300):
        assert guard.passes(step(-3.0 + math.sin(n) * 3.0 + (1e6 if n == 100 else 0.0)))


def test_parameters_without_a_finite_gradient_are_named() -> None:
    model = nn.Linear(2, 2)
    model.weight.grad, model.bias.grad = torch.ones(2, 2), torch.tensor([1.0, math.inf])
    assert not_finite(model.named_parameters()) == ["bias"]
