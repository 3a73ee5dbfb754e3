"""The tag task as the training loop sees it."""

import numpy as np
import torch
from torch import Tensor

from ricorso.data.lengthwise import Lengthwise
from ricorso.tasks.tag.answers import best_tags
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.data import TagBatch, TagData, encoded
from ricorso.tasks.tag.inputs import Inputs, WordSteps
from ricorso.tasks.tag.metrics import span_figures, token_figures
from ricorso.tasks.tag.model import TagModel
from ricorso.tasks.tag.tagset import TagSet
from ricorso.training.checkpoint import State


class TagWork:
    """Sequences of similar length side by side, measured on those that were held out."""

    def __init__(self, model: TagModel, data: TagData, inputs: Inputs, tags: TagSet, config: TagConfig) -> None:
        self.model, self._tags = model, tags
        self._train = encoded(data.train, inputs, tags)
        self._order = Lengthwise(self._train.lengths, config.batch_size, config.seed)
        self.batches_per_epoch, self.examples = self._order.batches_per_epoch, self._order.examples
        self._mean = float(self._train.lengths.mean())
        self.symbols_per_batch = round(self._mean * self.examples)
        self._held_out = data.validation
        if data.validation is not None:
            self._validation = encoded(data.validation, inputs, tags)
            self._truth = [tags.told(own) for own in data.validation.tags]
        if model.vectors is not None:
            steps = self._train.steps
            assert isinstance(steps, WordSteps)
            model.vectors.unknown = _unknown_rates(steps, model.vectors.embedding.num_embeddings, config)
            if data.vectors is not None:
                assert model.vectors.given is not None
                model.vectors.given.copy_(torch.from_numpy(data.vectors))

    def batch(self, epoch: int, number: int, part: slice) -> TagBatch:
        """Some of the sequences of a batch."""
        return self._train.at(self._order.batch(epoch, number)[part])

    def place(self, epoch: int, number: int) -> str:
        """Which sequences a batch holds."""
        numbers = ", ".join(str(n + 1) for n in self._order.batch(epoch, number)[:4])
        return f"batch {number} of epoch {epoch}: sequences {numbers}, ..."

    def loss(self, batch: TagBatch, state: State) -> tuple[Tensor, State]:
        """Nats a step, longer sequences counting more; nothing is carried from batch to batch."""
        losses = torch.cat([self.model.losses(self.model(part), part) for part in batch.parts()])
        return losses.mean() / self._mean, None

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The share of right tags, F1 of spans, and nats a step over the sequences whose tags are all known.

        The loss is what is missing to an F1 of 1, or the share of wrong tags: as training goes on these still improve
        when the likelihood no longer does.
        """
        assert self._held_out is not None
        total, steps = 0.0, 0
        found: list[list[str]] = [[] for _ in self._held_out.tags]
        for chosen, batch in self._validation.all():
            assert batch.classes is not None
            known = (batch.classes >= 0).all(0)
            scores = self.model(batch)
            losses = self.model.losses(scores, TagBatch(batch.steps, batch.lengths, batch.classes.clamp(min=0)))
            total += float(losses[known].sum())
            steps += int(batch.lengths[known].sum())
            for n, tags in zip(chosen, best_tags(self.model, scores, batch.lengths, self._tags), strict=True):
                found[n] = tags
        score = accuracy = token_figures(self._truth, found)["accuracy"]
        figures = {"accuracy": accuracy, "nats": total / max(steps, 1)}
        if self._tags.scheme:
            score = figures["span_f1"] = span_figures(self._truth, found)["f1"]
        return {"validation_loss": 1 - score, **figures}

    def sample(self) -> str:
        """Nothing is written along the way."""
        return ""


def _unknown_rates(steps: WordSteps, words: int, config: TagConfig) -> Tensor:
    """How often each word is read as unknown in training."""
    counts = np.bincount(steps.words, minlength=words)
    rates = np.where(counts == 1, max(config.word_dropout, config.rare_dropout), config.word_dropout)
    return torch.from_numpy(rates.astype(np.float32))
