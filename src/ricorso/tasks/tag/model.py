"""The tag task's model: vectors of words and of their letters, recurrent layers, a score for each tag at each step."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ricorso.equations import Cell
from ricorso.layers import Recurrent
from ricorso.layers.crf import CRF
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.data import TagBatch
from ricorso.tasks.tag.inputs import Inputs, SeriesInputs, WordBatch

# the deviation of vectors at the start; longer ones are slow to change, shorter ones a whisper to the layers
_START = 0.3


class LockedDropout(nn.Module):
    """Dropout of (time, batch, features), of the same features at all steps of a sequence (arXiv:1512.05287)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        return x * (torch.rand(x.shape[1:]).ge(self.rate) / (1 - self.rate))


class WordVectors(nn.Module):
    """Vectors of words: a learnt one for each, what a layer in both directions makes of its letters, and a given one.

    words, letters: how many there are, with the unknown one. given: rows and width of the table of given vectors, which
    no step changes; rows 0 for none.
    """

    given: Tensor | None

    def __init__(self, cell: Cell, words: int, letters: int, given: tuple[int, int], config: TagConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=_START)
        self.width = config.embedding_size
        self.letters: nn.Embedding | None = None
        if config.characters:
            size = config.character_hidden
            self.letters = nn.Embedding(letters, config.character_size)
            nn.init.normal_(self.letters.weight, std=_START)
            self.speller = Recurrent(cell, config.character_size, size, bidirectional=True)
            self.width += 2 * size
        self.register_buffer("given", torch.zeros(given) if given[0] else None)
        self.width += given[1] if given[0] else 0
        # how often each word is read as unknown in training
        self.unknown: Tensor | None = None

    def forward(self, batch: WordBatch) -> Tensor:
        """(time, batch, width)."""
        words = batch.words
        if self.training and self.unknown is not None:
            words = words * (torch.rand(words.shape) >= self.unknown[words])
        parts = [self.embedding(words)]
        if self.letters is not None:
            _, last = self.speller(self.letters(batch.letters), lengths=batch.counts)
            ends = last if isinstance(last, Tensor) else last[0]
            spelt = ends.transpose(0, 1).flatten(1)
            parts.append(functional.embedding(batch.forms, spelt))
        if self.given is not None and batch.vectors is not None:
            parts.append(self.given[batch.vectors])
        return torch.cat(parts, -1)


class TagModel(nn.Module):
    """Scores of classes at every step, and what they say of whole sequences: each step alone, or by a CRF.

    classes: how many there are; allowed: which may follow which, or None. given: rows and width of given vectors.
    """

    def __init__(
        self,
        cell: Cell,
        inputs: Inputs,
        classes: int,
        allowed: Tensor | None,
        given: tuple[int, int],
        config: TagConfig,
    ) -> None:
        super().__init__()
        self.vectors: WordVectors | None = None
        if isinstance(inputs, SeriesInputs):
            width = inputs.size
        else:
            self.vectors = WordVectors(cell, len(inputs.words) + 1, len(inputs.letters) + 1, given, config)
            width = self.vectors.width
        self.recurrent = Recurrent(
            cell,
            width,
            config.hidden_size,
            config.num_layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            input_dropout=config.input_dropout,
            recurrent_dropout=config.recurrent_dropout,
            weight_drop=config.weight_drop,
        )
        self.dropout = LockedDropout(config.dropout)
        self.head = nn.Linear(config.hidden_size * (2 if config.bidirectional else 1), classes)
        self.crf = CRF(classes, allowed) if config.crf else None
        self.smoothing = config.label_smoothing

    def forward(self, batch: TagBatch) -> Tensor:
        """Scores, (time, batch, classes); those behind the end of a sequence mean nothing."""
        steps = batch.steps
        if isinstance(steps, Tensor):
            x = steps
        else:
            assert self.vectors is not None
            x = self.dropout(self.vectors(steps))
        output, _ = self.recurrent(x, lengths=batch.lengths)
        scores: Tensor = self.head(self.dropout(output))
        return scores.float()

    def losses(self, scores: Tensor, batch: TagBatch) -> Tensor:
        """The negative log-likelihood of the classes of each sequence in nats, (batch)."""
        assert batch.classes is not None
        if self.crf is not None:
            return -self.crf.log_likelihood(scores, batch.classes, batch.lengths)
        flat = functional.cross_entropy(
            scores.flatten(0, 1), batch.classes.flatten(), reduction="none", label_smoothing=self.smoothing
        )
        inside = torch.arange(len(scores))[:, None] < batch.lengths
        return (flat.view(inside.shape) * inside).sum(0)

    @torch.no_grad()
    def best(self, scores: Tensor, lengths: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
        """The best `count` sequences of classes, (count, time, batch), and their log-probabilities, (count, batch)."""
        if self.crf is not None:
            return self.crf.best(scores, lengths, count)
        if count == 1:
            found, classes = scores.log_softmax(-1).max(-1)
            inside = torch.arange(len(scores))[:, None] < lengths
            return classes[None], (found * inside).sum(0)[None]
        # without pairs a CRF is a softmax at each step
        return CRF(scores.shape[-1]).best(scores, lengths, count)

    @torch.no_grad()
    def probabilities(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """The probability of each class at each step, (time, batch, classes)."""
        return scores.softmax(-1) if self.crf is None else self.crf.marginals(scores, lengths)
