"""The generate task as the training loop sees it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ricorso.data.batches import Streams
from ricorso.decoding.sample import Sampler
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.data import TextData
from ricorso.tasks.generate.model import TextModel, total_loss, write
from ricorso.training.checkpoint import State

# the window of the published figures for tiny Shakespeare
WINDOW = 256
_SAMPLE_TEMPERATURE = 0.8
_DRAWN_AT_ONCE = 64


@dataclass(frozen=True)
class TextBatch:
    """Inputs and targets, (time, streams) each; kept: whether a stream's state is carried over, (streams, 1)."""

    inputs: Tensor
    targets: Tensor
    kept: Tensor | None


class TextWork:
    """Truncated backpropagation through streams of text, measured in windows from a fresh state."""

    def __init__(self, model: TextModel, data: TextData, config: GenerateConfig) -> None:
        assert config.batch_size is not None
        assert config.sequence_length is not None
        self.model = model
        self._data = data
        self._config = config
        self._streams = Streams(data.train, config.batch_size, config.sequence_length, config.seed)
        self.batches_per_epoch = self._streams.steps_per_epoch
        self.examples = self._streams.batch_size
        self.symbols_per_batch = self.examples * config.sequence_length
        self._drawn = (-1, -1), torch.empty(0)

    def batch(self, epoch: int, number: int, part: slice) -> TextBatch:
        """Some of the streams of a batch."""
        inputs, targets = (torch.from_numpy(values[:, part]) for values in self._streams.batch(epoch, number))
        kept = self._kept(epoch, number)[part] if self._config.restart else None
        return TextBatch(inputs, targets, kept)

    def _kept(self, epoch: int, number: int) -> Tensor:
        """Which streams carry their state over, drawn for several batches at once."""
        block, place = divmod(number, _DRAWN_AT_ONCE)
        if self._drawn[0] != (epoch, block):
            drawn = np.random.default_rng((self._config.seed, epoch, block)).random((_DRAWN_AT_ONCE, self.examples, 1))
            self._drawn = (epoch, block), torch.from_numpy((drawn >= self._config.restart).astype(np.float32))
        return self._drawn[1][place]

    def place(self, epoch: int, number: int) -> str:
        """Where in the text a batch is from."""
        return f"batch {number} of epoch {epoch}: {self._streams.place(epoch, number)}"

    def loss(self, batch: TextBatch, state: State) -> tuple[Tensor, State]:
        """The mean cross-entropy in nats with what regularisation adds, and the state after the batch."""
        if state is not None and batch.kept is not None:
            kept = batch.kept
            state = state * kept if isinstance(state, Tensor) else tuple(part * kept for part in state)
        return self.model.training_loss(batch.inputs, batch.targets, state)

    def validate(self) -> dict[str, float]:
        """The mean cross-entropy over the validation text."""
        total, targets = total_loss(self.model, self._data.validation, WINDOW, self._config.validation_limit)
        return {"validation_loss": total / targets}

    def sample(self) -> str:
        """A piece of text, the same for the same weights."""
        sampler = Sampler(temperature=_SAMPLE_TEMPERATURE, seed=self._config.seed)
        vocabulary = self._data.vocabulary
        prompt = np.array([vocabulary.start_id])
        return "".join(write(self.model, vocabulary, prompt, self._config.sample_length, sampler))
