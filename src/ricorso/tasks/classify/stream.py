"""Labels of a sequence that is still running."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ricorso.errors import UsageError
from ricorso.tasks.classify.coding import Coding, Steps
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.model import ClassifierModel


class LabelStream:
    """An estimate of the labels after every step, with constant work for each.

    For a model that reads forward only, with the poolings last, max and mean. Raises UsageError for others.
    """

    def __init__(self, model: ClassifierModel, coding: Coding, config: ClassifyConfig) -> None:
        if config.bidirectional or "attention" in config.pooling:
            raise UsageError(
                "A stream needs a model that reads forward only, without attention: train with bidirectional=False and "
                "pooling of last, max, mean."
            )
        self._model, self._coding, self._pooling = model, coding, config.pooling
        self._stepper = model.recurrent.stepper()
        self._weight = model.head.weight.detach().numpy()
        self._bias = model.head.bias.detach().numpy()
        self._listen = None if model.counted is None else model.counted.weight.detach().numpy()
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self._stepper.reset()
        self.steps = 0
        size = self._model.recurrent.hidden_size
        self._last, self._sum = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self._most = np.full(size, -np.inf, np.float32)
        self._counted = None if self._coding.grams is None else self._coding.grams.stream()

    def step(self, values: ArrayLike | str) -> NDArray[np.float64]:
        """Read one step, features (features), or all symbols of a piece of text; probabilities (labels).

        A piece without symbols, such as a blank between words, changes nothing.
        """
        blank = isinstance(values, str) and self._coding.vocabulary and not len(self._coding.vocabulary.encode(values))
        steps, inputs = ((), ()) if blank else self._inputs(values)
        for symbol, row in zip(steps, inputs, strict=True):
            if self._counted is not None:
                self._counted.push(int(symbol))
            self._last = self._stepper.step(row[None])[0].copy()
            self.steps += 1
            self._sum += self._last
            np.maximum(self._most, self._last, out=self._most)
        kinds = {"last": self._last, "mean": self._sum / max(self.steps, 1)}
        kinds["max"] = self._most if self.steps else self._last
        pooled = np.concatenate([kinds[kind] for kind in self._pooling])
        scores = self._weight @ pooled + self._bias
        if self._counted is not None and self._listen is not None:
            scores = scores + self._listen @ self._counted.score
        return self._model.probabilities(torch.from_numpy(scores).double()[None], self._coding.several)[0].numpy()

    def _inputs(self, values: ArrayLike | str) -> tuple[Steps, NDArray[np.float32]]:
        read = values if isinstance(values, str) else np.asarray(values, np.float32)[None]
        encoded = self._coding.encode(read)
        steps = torch.from_numpy(encoded)
        found = self._model.embedded(steps.long() if self._coding.symbols else steps).detach().numpy()
        return encoded, found
