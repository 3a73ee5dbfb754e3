"""Learning to read before learning to judge: each direction first predicts the words of the texts."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ricorso.data.lengthwise import Lengthwise
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.data import Encoded
from ricorso.tasks.classify.model import ClassifierModel
from ricorso.training.optimiser import clip, gradient_norm, optimiser, set_learning_rate
from ricorso.training.ranks import set_seed, step_seed

_RATE, _CLIP = 4e-3, 1.0
# predictions of a batch that are scored; scores over a large vocabulary are most of the work
_SCORED = 2048


def pretrain(model: ClassifierModel, data: Encoded, config: ClassifyConfig) -> float:
    """Train vectors and recurrent layers to predict each next symbol (backwards: each one before), in nats at the end.

    The scores are made from the vectors of the symbols themselves. Labels are not looked at (Dai & Le 2015,
    arXiv:1511.01432; Howard & Ruder 2018, arXiv:1801.06146).
    """
    assert model.embedding is not None
    speaker = _Speaker(model, config)
    order = Lengthwise(data.lengths, config.batch_size, config.seed)
    optimise = optimiser(speaker, "adamw", config.weight_decay)
    steps, done, loss = config.pretrain_epochs * order.batches_per_epoch, 0, math.nan
    speaker.train()
    for epoch in range(config.pretrain_epochs):
        losses = []
        for number in range(order.batches_per_epoch):
            set_seed(step_seed(config.seed, -1 - epoch, number, 0))
            set_learning_rate(optimise, _RATE * min(1.0, (done + 1) / 50) * (1 + math.cos(math.pi * done / steps)) / 2)
            batch = data.batch(order.batch(epoch, number))
            found = speaker(batch.steps, batch.lengths)
            optimise.zero_grad(set_to_none=True)
            found.backward()
            parameters = [p for p in speaker.parameters() if p.grad is not None]
            norm = float(gradient_norm(parameters))
            done += 1
            if math.isfinite(norm):
                clip(parameters, norm, _CLIP)
                optimise.step()
                losses.append(float(found.detach()))
        loss = float(np.mean(losses)) if losses else math.nan
    return loss


class _Speaker(nn.Module):
    """The classifier's lower part with scores of symbols on top."""

    def __init__(self, model: ClassifierModel, config: ClassifyConfig) -> None:
        super().__init__()
        assert model.embedding is not None
        self.embedding, self.recurrent = model.embedding, model.recurrent
        self.hidden, self.read = config.hidden_size, model.embedded
        self.project = nn.Linear(config.hidden_size, model.embedding.embedding_dim)
        self.bias = nn.Parameter(torch.zeros(model.embedding.num_embeddings))
        self.bidirectional = config.bidirectional

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """The mean loss in nats of predictions drawn from all of a batch."""
        outputs, _ = self.recurrent(self.read(steps), lengths=lengths)
        inside = torch.arange(1, len(steps))[:, None] < lengths
        sides = [(outputs[:-1, :, : self.hidden], steps[1:])]
        if self.bidirectional:
            sides.append((outputs[1:, :, self.hidden :], steps[:-1]))
        return torch.stack([self._loss(states[inside], wanted[inside]) for states, wanted in sides]).mean()

    def _loss(self, states: Tensor, wanted: Tensor) -> Tensor:
        chosen = torch.randperm(len(wanted))[:_SCORED]
        # unknown symbols are no word that could be learnt
        chosen = chosen[wanted[chosen] > 0]
        scores = self.project(states[chosen]) @ self.embedding.weight.T + self.bias
        return cross_entropy(scores, wanted[chosen])
