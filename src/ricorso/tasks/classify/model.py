"""The classify task's model: symbols or features, recurrent layers, pooling, a score for each label."""

import re

import torch
from torch import Tensor, nn

from ricorso.equations import Cell
from ricorso.layers import Recurrent
from ricorso.layers.pooling import Pooling
from ricorso.tasks.classify.coding import Coding
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.start import LanguageModel

# the number of a layer in the name of its parameter
_LAYER = re.compile(r"_l(\d+)")


class ClassifierModel(nn.Module):
    """Scores of labels for sequences of symbols (ids) or of features.

    given: vectors of symbols from a file, (symbols, width), beside the learnt ones.
    temperature: what scores are divided by for honest probabilities (Guo et al. 2017, arXiv:1706.04599); thresholds: of
    several labels, from which probability on each is given. Both are set after training, on the validation examples.
    """

    temperature: Tensor
    thresholds: Tensor
    given: Tensor | None

    def __init__(self, cell: Cell, coding: Coding, config: ClassifyConfig) -> None:
        super().__init__()
        symbols, labels, given = coding.symbols, len(coding.labels), coding.given
        width = config.embedding_size if symbols else coding.size
        assert width is not None
        assert config.input_dropout is not None
        assert config.word_dropout is not None
        self.embedding = nn.Embedding(given.learnt if given else symbols, width) if symbols else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.word_dropout = config.word_dropout
        self.register_buffer("given", torch.zeros(symbols, given.width) if given else None)
        self.recurrent = Recurrent(
            cell,
            width + (given.width if given else 0),
            config.hidden_size,
            config.num_layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            input_dropout=config.input_dropout,
            recurrent_dropout=config.recurrent_dropout,
            weight_drop=config.weight_drop,
            layer_norm=config.layer_norm,
            segment=config.segment,
        )
        size = config.hidden_size * (2 if config.bidirectional else 1)
        self.pooling = Pooling(size, config.pooling, config.bidirectional)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.pooling.size, labels)
        self.counted = nn.Linear(labels, labels, bias=False) if config.grams else None
        if self.counted is not None:
            # what is counted counts from the start, and the layers learn what it gets wrong
            nn.init.eye_(self.counted.weight)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("thresholds", torch.full((labels,), 0.5))

    @torch.no_grad()
    def take_over(self, known: LanguageModel) -> None:
        """Begin with the vectors and layers of a language model of the same sizes."""
        assert self.embedding is not None
        self.embedding.weight.copy_(torch.from_numpy(known.vectors))
        self.recurrent.load_state_dict({name: torch.from_numpy(own) for name, own in known.layers.items()})

    def learn_from_the_top(self, parts: int | None) -> None:
        """Let only so many parts learn: what is above the layers, each of these from the top, the vectors; None: all.

        Of a model that has learnt to read, the lower parts are the more general ones (Howard & Ruder 2018,
        arXiv:1801.06146).
        """
        layers = self.recurrent.num_layers
        for name, parameter in self.named_parameters():
            layer = _LAYER.search(name) if name.startswith("recurrent.") else None
            place = layers - int(layer[1]) if layer else 0
            if name.startswith("embedding."):
                place = layers + 1
            parameter.requires_grad_(parts is None or place < parts)

    def forward(self, steps: Tensor, lengths: Tensor, counted: Tensor | None = None) -> Tensor:
        """Scores (batch, labels) of symbols (time, batch) or features (time, batch, features).

        counted: what counting says of the labels, (batch, labels), for a model that listens to it.
        """
        return self.scores(self.embedded(steps), lengths, counted)

    def embedded(self, steps: Tensor) -> Tensor:
        """What the first layer reads, (time, batch, width)."""
        if self.embedding is None:
            return steps
        if self.training and self.word_dropout:
            steps = steps.masked_fill(torch.rand(steps.shape, device=steps.device) < self.word_dropout, 0)
        if self.given is None:
            vectors: Tensor = self.embedding(steps)
            return vectors
        learnt = steps.masked_fill(steps >= self.embedding.num_embeddings, 0)
        return torch.cat([self.embedding(learnt), self.given[steps]], -1)

    def scores(self, embedded: Tensor, lengths: Tensor, counted: Tensor | None = None) -> Tensor:
        """Scores (batch, labels) from what the first layer reads, and from what was counted."""
        # a text alone, or texts of one length, need none of the work for ragged ones
        ragged = bool((lengths < len(embedded)).any())
        outputs, _ = self.recurrent(embedded, lengths=lengths if ragged else None)
        scores: Tensor = self.head(self.dropout(self.pooling(outputs, lengths)))
        if self.counted is not None:
            scores = scores + self.counted(counted)
        return scores

    def probabilities(self, scores: Tensor, several: bool) -> Tensor:
        """Calibrated probabilities (batch, labels); of several labels each on its own."""
        scaled = scores / self.temperature
        return scaled.sigmoid() if several else scaled.softmax(1)
