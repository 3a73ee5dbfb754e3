"""The classify task as the training loop sees it."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ricorso.data.lengthwise import Lengthwise, even_groups, within
from ricorso.tasks.classify.calibration import best_temperature, loss_of, weighed
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.data import ClassifyBatch, ClassifyData, Encoded
from ricorso.tasks.classify.model import ClassifierModel
from ricorso.training.checkpoint import State

# examples read together, and their steps when padded
_AT_ONCE, _STEPS_AT_ONCE = 256, 1 << 17


class ClassifyWork:
    """Examples of similar length side by side, every one once in an epoch."""

    def __init__(self, model: ClassifierModel, data: ClassifyData, config: ClassifyConfig) -> None:
        self.model, self._data, self._config = model, data, config
        self._order = Lengthwise(data.train.lengths, config.batch_size, config.seed)
        self.batches_per_epoch = self._order.batches_per_epoch
        self.examples = self._order.examples
        self.symbols_per_batch = round(float(data.train.lengths.mean()) * self.examples)
        self._weights = _balanced(data.train.targets, bool(config.several)) if config.class_weights else None

    def batch(self, epoch: int, number: int, part: slice) -> ClassifyBatch:
        """Some of the examples of a batch."""
        return replace(self._data.train.batch(self._order.batch(epoch, number)[part]), epoch=epoch)

    def place(self, epoch: int, number: int) -> str:
        """Which examples a batch holds."""
        numbers = self._order.batch(epoch, number)[:3] + 1
        return f"batch {number} of epoch {epoch}: training examples {', '.join(map(str, numbers.tolist()))}, ..."

    def loss(self, batch: ClassifyBatch, state: State) -> tuple[Tensor, State]:
        """The mean loss in nats; nothing is carried from batch to batch."""
        if self._config.unfreeze_epochs:
            self.model.learn_from_the_top(1 + batch.epoch // self._config.unfreeze_epochs)
        scores = _side_by_side(self.model, batch)
        smoothing = self._config.label_smoothing
        if self._config.several:
            targets = batch.targets * (1 - smoothing) + smoothing / 2
            return binary_cross_entropy_with_logits(scores, targets, pos_weight=self._weights), None
        # each by its weight and no batch by its sum, so that parts of a batch add up to the whole
        answers = batch.targets.argmax(1)
        each = cross_entropy(scores, answers, self._weights, label_smoothing=smoothing, reduction="none")
        return each.mean(), None

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The mean loss and the share of right answers over the validation examples.

        The loss is that of calibrated probabilities, as the model will give them: the loss of raw scores rises when a
        model becomes too sure of itself, long before it stops getting better (Berta et al. 2025, arXiv:2501.19195).
        """
        assert self._data.validation is not None
        several, truth = bool(self._config.several), self._data.validation.targets
        scores = scores_of(self.model, self._data.validation)
        _, scores = weighed(self.model, scores, self._data.validation.counted, truth, several)
        targets = torch.from_numpy(truth)
        right = ((scores > 0) == targets).all(1) if several else scores.argmax(1) == targets.long().argmax(1)
        temperature = best_temperature(scores, truth, several)
        loss = loss_of(scores / temperature, targets.to(scores.dtype), several)
        return {"validation_loss": loss, "validation_accuracy": float(right.float().mean())}

    def sample(self) -> str:
        """Nothing is written along the way."""
        return ""


def _side_by_side(model: ClassifierModel, batch: ClassifyBatch) -> Tensor:
    """Scores (batch, labels); a batch that would be nearly all padding is read in groups of similar length."""
    groups = even_groups(batch.lengths.numpy())
    if len(groups) == 1:
        whole: Tensor = model(batch.steps, batch.lengths, batch.counted)
        return whole
    found = []
    for places in map(torch.from_numpy, groups):
        lengths = batch.lengths[places]
        counted = None if batch.counted is None else batch.counted[places]
        found.append(model(batch.steps[: int(lengths.max()), places], lengths, counted))
    return torch.cat(found)[torch.from_numpy(np.concatenate(groups)).argsort()]


@torch.no_grad()
def scores_of(model: ClassifierModel, data: Encoded) -> Tensor:
    """Scores (examples, labels), in the order of the examples."""
    found = torch.empty(len(data.steps), model.head.out_features)
    for numbers in within(data.lengths, _STEPS_AT_ONCE, _AT_ONCE):
        batch = data.batch(numbers)
        found[torch.from_numpy(numbers)] = model(batch.steps, batch.lengths, batch.counted)
    return found


def _balanced(targets: NDArray[np.bool_], several: bool) -> Tensor:
    """What each class weighs so that all count alike; of several labels, what its presence weighs against absence."""
    counts = np.maximum(targets.sum(0), 1)
    # the square root keeps a class of a handful of examples from leading everything
    weights = np.sqrt((len(targets) - counts) / counts) if several else len(targets) / (targets.shape[1] * counts)
    return torch.from_numpy(weights.astype(np.float32))
