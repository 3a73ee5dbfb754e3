"""A stretch of text as a model reads it: windows side by side, each going on where the one before ended."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.data.vocabulary import Vocabulary
from ricorso.errors import DataError

WINDOWS = 32
LEAST = 32
# numbers of one state over all steps and windows, layers together; the graph holds some thirty times as many
_MOST_NUMBERS = 4_000_000


@dataclass(frozen=True)
class Passage:
    """Windows of a text.

    ids: (windows * steps + 1), the symbols in order, with the one that follows the last. pieces: the text of each.
    """

    ids: NDArray[np.int64]
    pieces: list[str]
    steps: int

    @property
    def windows(self) -> int:
        return (len(self.ids) - 1) // self.steps

    @cached_property
    def inputs(self) -> Tensor:
        """(steps, windows)"""
        return torch.from_numpy(self.ids[:-1].reshape(self.windows, self.steps).T.copy())

    @property
    def targets(self) -> Tensor:
        """The symbol after each window, (windows)."""
        return torch.from_numpy(self.ids[self.steps :: self.steps].copy())

    def in_order(self, values: Tensor) -> Tensor:
        """Values of all steps, (steps, windows, ...), in the order of the text, (symbols, ...)."""
        return values.transpose(0, 1).flatten(0, 1)

    @torch.no_grad()
    def starts(self, model: Any) -> Any:
        """The states of a model before each window, as it reads the text from the beginning."""
        state: Any = None
        found: list[Any] = []
        for window in self.inputs.T:
            _, after = model(window[:, None], state)
            found.append(state)
            state = after
        empty = _map(torch.zeros_like, state)
        return _map(lambda *parts: torch.cat(parts, 1), *(empty if s is None else s for s in found))


def _map(change: Any, *states: Any) -> Any:
    """`change` over states that are one tensor or a tuple of them each."""
    if isinstance(states[0], Tensor):
        return change(*states)
    return tuple(change(*parts) for parts in zip(*states, strict=True))


def take(text: str, vocabulary: Vocabulary, steps: int, units: int, seed: int = 0) -> Passage:
    """Windows of `steps` symbols from a text; where it is longer, from a paragraph or line that the seed chooses.

    units: of all layers together; fewer windows are taken of a model so large that the memory would not do.
    Raises DataError for a text of fewer than 32 symbols.
    """
    ids = vocabulary.encode(text).astype(np.int64)
    if len(ids) <= LEAST:
        raise DataError(
            f"The text has {len(ids)} symbols; looking into a model needs more than {LEAST}. Name a longer one."
        )
    steps = min(steps, len(ids) - 1)
    most = max(2, min(WINDOWS, _MOST_NUMBERS // (steps * units)))
    windows = min(most, (len(ids) - 1) // steps)
    length = windows * steps + 1
    begin = int(np.random.default_rng(seed).choice(_beginnings(ids, len(ids) - length, vocabulary)))
    chosen = ids[begin : begin + length]
    decoder = vocabulary.decoder()
    return Passage(chosen, [decoder.push(int(symbol)) for symbol in chosen], steps)


def _beginnings(ids: NDArray[np.int64], last: int, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Places up to `last` where paragraphs begin; else where lines do; every place of a text without lines."""
    end_of_line = ids == vocabulary.encode("\n")[0]
    if not end_of_line.any():
        return np.arange(last + 1)
    lines = np.append(0, np.flatnonzero(end_of_line[:last]) + 1)
    paragraphs = [line for line in lines if line > 1 and end_of_line[line - 2]]
    return np.array(paragraphs, np.int64) if paragraphs else lines
