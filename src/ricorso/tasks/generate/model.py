"""The generate task's model: symbols, recurrent layers, a score for each symbol that may come next."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ricorso.data.vocabulary import Vocabulary
from ricorso.decoding.sample import Sampler
from ricorso.equations import Cell
from ricorso.layers import Recurrent
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.start import vector_scale
from ricorso.training.checkpoint import State

Scores = NDArray[np.float32]

_DRIVE = 0.3

# enough rows for the matrix products, few enough for the memory
_WINDOWS_AT_ONCE = 64
_SCORES_AT_ONCE = 50_000_000


class TextModel(nn.Module):
    """Scores of the next symbol after each one.

    symbols: size of the vocabulary; config: resolved. Without an embedding_size the first layer sees the symbols'
    numbers as they are; tied scores come from the vectors of the symbols (arXiv:1608.05859).
    """

    def __init__(self, cell: Cell, symbols: int, config: GenerateConfig) -> None:
        super().__init__()
        width, hidden = config.embedding_size, config.hidden_size
        assert hidden is not None
        assert config.dropout is not None
        assert config.input_dropout is not None
        self.config = config
        self.embedding = nn.Embedding(symbols, width) if width else None
        self.recurrent = Recurrent(
            cell,
            width or symbols,
            hidden,
            config.num_layers,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            layer_norm=config.layer_norm,
            zoneout=config.zoneout,
            input_dropout=config.input_dropout,
            recurrent_dropout=config.recurrent_dropout,
            weight_drop=config.weight_drop,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(hidden, width, bias=False) if config.tied and width and width != hidden else None
        self.head = _TiedScores(self.embedding) if config.tied and self.embedding else nn.Linear(hidden, symbols)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """The layers start as the cell recommends, but for gates driven at 0.3.

        A symbol selects one column of the first matrix, which torch's usual bounds of 1/sqrt(hidden_size) would make
        a whisper; losses fall several times faster with a voice in the order of the state, and best below it.
        """
        width = 1 if self.embedding is None else self.embedding.embedding_dim
        if self.embedding is not None and isinstance(self.head, _TiedScores):
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
        if self.recurrent.cell.input_gates:
            nn.init.normal_(self.recurrent.get_parameter("weight_ih_l0"), std=_DRIVE * width**-0.5)

    @property
    def input_scale(self) -> float:
        """What vectors of symbols are multiplied by on their way in."""
        if self.embedding is None:
            return 1.0
        return vector_scale(isinstance(self.head, _TiedScores), self.embedding.embedding_dim)

    def _inputs(self, ids: Tensor) -> Tensor:
        if self.embedding is None:
            return ids
        rate = self.config.embedding_dropout
        vectors: Tensor = self.embedding(ids) * self.input_scale
        if self.training and rate:
            kept = torch.rand(self.embedding.num_embeddings) >= rate
            vectors = vectors * (kept.to(vectors.dtype) / (1 - rate))[ids].unsqueeze(-1)
        return vectors

    def _scores(self, output: Tensor) -> Tensor:
        flat = output.flatten(0, 1)
        scores: Tensor = self.head(flat if self.project is None else self.project(flat))
        return scores

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """ids: (time, batch), whole numbers; returns scores (time * batch, symbols) and the state after the end."""
        output, state = self.recurrent(self._inputs(ids), state)
        return self._scores(self.dropout(output)), state

    def loss(self, ids: Tensor, targets: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The mean cross-entropy in nats of targets (time, batch), and the state after the last step."""
        scores, state = self(ids, state)
        return functional.cross_entropy(scores.float(), targets.flatten()), state

    def training_loss(self, ids: Tensor, targets: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The same with smoothed targets and the penalties on activations (arXiv:1708.01009)."""
        config = self.config
        output, state = self.recurrent(self._inputs(ids), state)
        dropped = self.dropout(output)
        smoothing = config.label_smoothing
        scores = self._scores(dropped)
        loss = functional.cross_entropy(scores.float(), targets.flatten(), label_smoothing=smoothing)
        if config.activation_penalty:
            loss = loss + config.activation_penalty * dropped.float().square().mean()
        if config.change_penalty and len(output) > 1:
            loss = loss + config.change_penalty * output.float().diff(dim=0).square().mean()
        return loss, state


class _TiedScores(nn.Module):
    """Products with the vectors of all symbols, and a bias of its own."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        # not a part of this module, so that the vectors have one name
        self._embedding = (embedding,)
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    @property
    def weight(self) -> Tensor:
        return self._embedding[0].weight

    @property
    def out_features(self) -> int:
        return len(self.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        return functional.linear(vectors, self.weight, self.bias)


class Writer:
    """The model as a stream in NumPy: one symbol in, the scores of the next one out.

    forbidden: symbols that are never to be written; their score is -inf.
    """

    def __init__(self, model: TextModel, forbidden: Iterable[int] = ()) -> None:
        self._stepper = model.recurrent.stepper(tokens=model.embedding is None)
        embedding = model.embedding
        self._embedding = None if embedding is None else (embedding.weight.detach() * model.input_scale).numpy()
        weight = model.head.weight.detach()
        self._weight = (weight if model.project is None else weight @ model.project.weight.detach()).numpy().copy()
        self._bias = model.head.bias.detach().numpy().copy()
        self._bias[list(forbidden)] = -np.inf
        self._scores = np.empty(len(self._bias), np.float32)

    def step(self, symbol: int) -> Scores:
        """The scores after this symbol, (symbols,); overwritten by the next step."""
        inputs = symbol if self._embedding is None else self._embedding[symbol : symbol + 1]
        hidden = self._stepper.step(inputs)
        np.dot(self._weight, hidden[0], out=self._scores)
        self._scores += self._bias
        return self._scores


def write(
    model: TextModel, vocabulary: Vocabulary, prompt: NDArray[np.integer], length: int, sampler: Sampler
) -> Iterator[str]:
    """Pieces of text that go on from the symbols of a prompt (at least one), `length` symbols altogether.

    A piece is empty while a character is not yet whole.
    """
    writer = Writer(model, () if vocabulary.unknown_id is None else (vocabulary.unknown_id,))
    decoder = vocabulary.decoder()
    for symbol in prompt:
        scores = writer.step(int(symbol))
    for _ in range(length):
        drawn = sampler(scores)
        yield decoder.push(drawn)
        scores = writer.step(drawn)
    yield decoder.flush()


@torch.no_grad()
def total_loss(model: TextModel, ids: NDArray[np.integer], window: int, limit: int | None = None) -> tuple[float, int]:
    """The sum of the cross-entropy over a text in windows, each from a fresh zero state, and the number of targets.

    Every symbol but the first is a target once; the last window may be shorter. limit: measure about so many targets,
    in windows that are evenly spaced.
    """
    whole = (len(ids) - 1) // window
    starts = np.arange(whole) * window
    if limit is not None and whole * window > limit:
        starts = starts[np.linspace(0, whole - 1, max(1, limit // window)).round().astype(int)]
        rest = 0
    else:
        rest = (len(ids) - 1) % window
    total, targets = 0.0, 0
    at_once = max(1, min(_WINDOWS_AT_ONCE, _SCORES_AT_ONCE // (window * model.head.out_features)))
    groups = [(starts[i : i + at_once], window) for i in range(0, len(starts), at_once)]
    if rest:
        groups.append((np.array([whole * window]), rest))
    for begin, length in groups:
        pieces = torch.from_numpy(ids[begin + np.arange(length + 1)[:, None]].astype(np.int64))
        loss, _ = model.loss(pieces[:-1], pieces[1:])
        total += float(loss) * pieces[1:].numel()
        targets += pieces[1:].numel()
    return total, targets


@torch.no_grad()
def total_loss_of_stream(model: TextModel, ids: NDArray[np.integer], piece: int = 4096) -> tuple[float, int]:
    """The sum of the cross-entropy over a text in one pass, the state carried from start to end, and the targets."""
    total, state = 0.0, None
    for start in range(0, len(ids) - 1, piece):
        part = torch.from_numpy(ids[start : start + piece + 1].astype(np.int64))[:, None]
        loss, state = model.loss(part[:-1], part[1:], state)
        total += float(loss) * (len(part) - 1)
    return total, len(ids) - 1
