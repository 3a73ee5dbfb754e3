"""Honest probabilities and thresholds, from examples that were not trained on."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ricorso.tasks.classify.metrics import best_threshold
from ricorso.tasks.classify.model import ClassifierModel

_SPAN = (-3.0, 3.0)
# what counting weighs is tried at half octaves up to here, and down to its inverse
_HEAVIEST = 8.0


@torch.no_grad()
def calibrate(
    model: ClassifierModel,
    scores: Tensor,
    counted: NDArray[np.float32] | None,
    targets: NDArray[np.bool_],
    several: bool,
) -> None:
    """Set what counting weighs in the model, its temperature, and of several labels its threshold.

    scores: of the model; counted: what counting says, if it is asked; targets; all (examples, labels).
    """
    factor, scores = weighed(model, scores, counted, targets, several)
    if model.counted is not None:
        model.counted.weight.mul_(factor)
    model.temperature.fill_(best_temperature(scores, targets, several))
    if several:
        probabilities = model.probabilities(scores, several).double().numpy()
        model.thresholds.fill_(best_threshold(probabilities, targets))


@torch.no_grad()
def weighed(
    model: ClassifierModel,
    scores: Tensor,
    counted: NDArray[np.float32] | None,
    targets: NDArray[np.bool_],
    several: bool,
) -> tuple[float, Tensor]:
    """How many times heavier what was counted should be for the smallest calibrated loss, and the scores with it.

    In the end the layers know the training examples by heart, and have left counting less to say than it knows.
    """
    if model.counted is None or counted is None:
        return 1.0, scores
    said, truth = model.counted(torch.from_numpy(counted)), torch.from_numpy(targets).to(scores.dtype)

    def loss(factor: float) -> float:
        found = scores + (factor - 1) * said
        return loss_of(found / best_temperature(found, targets, several), truth, several)

    factor, least = 1.0, loss(1.0)
    # over the factor, too, the loss has one minimum
    for step in (2**0.5, 2**-0.5):
        while 1 / _HEAVIEST <= factor * step <= _HEAVIEST and (found := loss(factor * step)) < least:
            factor, least = factor * step, found
    return factor, scores + (factor - 1) * said


def best_temperature(scores: Tensor, targets: NDArray[np.bool_], several: bool) -> float:
    """What to divide scores by for the smallest loss; the loss has one minimum over the inverse, found by halving.

    One more example is counted that was wrong, by the rule of succession (Platt 1999), so that a few examples that were
    all right do not make the model certain.

    >>> best_temperature(torch.tensor([[4.0, 0.0]] * 4), np.array([[True, False]] * 3 + [[False, True]]), False)
    5.77...
    """
    truth, wrong = torch.from_numpy(targets).double(), 1 / (len(targets) + 2)
    others = 1 if several else max(targets.shape[1] - 1, 1)
    wanted = truth * (1 - wrong) + (1 - truth) * wrong / others

    def loss(logarithm: float) -> float:
        return loss_of(scores.double() / float(np.exp(logarithm)), wanted, several)

    low, high = _SPAN
    golden = (5**0.5 - 1) / 2
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def loss_of(scores: Tensor, wanted: Tensor, several: bool) -> float:
    """The mean cross-entropy in nats of scores (examples, labels), with the probabilities that are wanted."""
    return float(binary_cross_entropy_with_logits(scores, wanted) if several else cross_entropy(scores, wanted))
