"""The generate task as the training loop sees it."""

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


class TextWork:
    """Truncated backpropagation through streams of text, measured in windows from a fresh state."""

    def __init__(self, model: TextModel, data: TextData, config: GenerateConfig) -> None:
        self.model = model
        self._data = data
        self._config = config
        self.streams = Streams(data.train, config.batch_size, config.sequence_length, config.seed)
        self.steps_per_epoch = self.streams.steps_per_epoch
        self.symbols_per_step = self.streams.batch_size * config.sequence_length

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, (time, batch) each."""
        inputs, targets = self.streams.batch(epoch, step)
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def loss(self, batch: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """The mean cross-entropy in nats and the state after the batch."""
        return self.model.loss(*batch, self._restarted(state))

    def _restarted(self, state: State) -> State:
        """The state with a random share of the streams back at zero."""
        if state is None or not self._config.restart:
            return state
        first = state if isinstance(state, Tensor) else state[0]
        kept = (torch.rand(first.shape[1], 1) >= self._config.restart).to(first.dtype)
        return state * kept if isinstance(state, Tensor) else tuple(part * kept for part in state)

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
