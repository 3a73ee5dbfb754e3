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
from ricorso.training.checkpoint import State

Scores = NDArray[np.float32]

_DRIVE = 0.3

# enough rows for the matrix products, few enough for the memory
_WINDOWS_AT_ONCE = 64
_SCORES_AT_ONCE = 50_000_000


class TextModel(nn.Module):
    """Scores of the next symbol after each one.

    symbols: size of the vocabulary; embedding_size: None gives the symbols' numbers to the first layer as they are.
    """

    def __init__(
        self, cell: Cell, symbols: int, hidden_size: int, num_layers: int, embedding_size: int | None, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size) if embedding_size else None
        self.recurrent = Recurrent(
            cell, embedding_size or symbols, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, symbols)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """The layers start as the cell recommends, but for gates driven at 0.3.

        A symbol selects one column of the first matrix, which torch's usual bounds of 1/sqrt(hidden_size) would make
        a whisper; losses fall several times faster with a voice in the order of the state, and best below it.
        """
        width = 1 if self.embedding is None else self.embedding.embedding_dim
        if self.recurrent.cell.input_gates:
            nn.init.normal_(self.recurrent.get_parameter("weight_ih_l0"), std=_DRIVE * width**-0.5)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """ids: (time, batch), whole numbers; returns scores (time * batch, symbols) and the state after the end."""
        inputs = ids if self.embedding is None else self.embedding(ids)
        output, state = self.recurrent(inputs, state)
        scores: Tensor = self.head(self.dropout(output).flatten(0, 1))
        return scores, state

    def loss(self, ids: Tensor, targets: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The mean cross-entropy in nats of targets (time, batch), and the state after the last step."""
        scores, state = self(ids, state)
        return functional.cross_entropy(scores, targets.flatten()), state


class Writer:
    """The model as a stream in NumPy: one symbol in, the scores of the next one out.

    forbidden: symbols that are never to be written; their score is -inf.
    """

    def __init__(self, model: TextModel, forbidden: Iterable[int] = ()) -> None:
        self._stepper = model.recurrent.stepper(tokens=model.embedding is None)
        self._embedding = None if model.embedding is None else model.embedding.weight.detach().numpy().copy()
        self._weight = model.head.weight.detach().numpy().copy()
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
