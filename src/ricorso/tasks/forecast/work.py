"""The forecast task as the training loop sees it."""

import torch
from torch import Tensor

from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.data import ForecastBatch, ForecastData, tensors
from ricorso.tasks.forecast.model import SegmentModel
from ricorso.tasks.forecast.scaling import Scale, scale_of
from ricorso.training.checkpoint import State

_WINDOWS_AT_ONCE = 2048


class ForecastWork:
    """Windows from all series in random order, each on a scale of its own."""

    def __init__(self, model: SegmentModel, data: ForecastData, config: ForecastConfig) -> None:
        self.model, self._data, self._config = model, data, config
        self.batches_per_epoch = data.train.batches_per_epoch
        self.examples = data.train.examples
        self.symbols_per_batch = self.examples * (data.train.context + data.train.horizon)

    def batch(self, epoch: int, number: int, part: slice) -> ForecastBatch:
        """Some of the windows of a batch."""
        return tensors(self._data.train.batch(epoch, number, part), self._data.calendar, self._data.train.context)

    def place(self, epoch: int, number: int) -> str:
        """Which windows a batch holds."""
        return f"batch {number} of epoch {epoch}: {self._data.train.place(epoch, number)}"

    def loss(self, batch: ForecastBatch, state: State) -> tuple[Tensor, State]:
        """The mean loss on the scale of each window; nothing is carried from batch to batch."""
        scale = scale_for(batch.past, self._config)
        return self._loss(batch, scale), None

    def _loss(self, batch: ForecastBatch, scale: Scale) -> Tensor:
        observed = ~batch.past.isnan()
        predicted = self.model(scale.apply(batch.past).nan_to_num(0.0), observed.to(batch.past.dtype), batch.features)
        seen = ~batch.future.isnan()
        future = scale.apply(batch.future).nan_to_num(0.0)
        return self.model.loss(predicted, future, seen.to(future.dtype))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The mean loss over the windows that were held out."""
        assert self._data.validation is not None
        windows, (series, origins) = self._data.windows, self._data.validation
        total, count = 0.0, 0
        for begin in range(0, len(series), _WINDOWS_AT_ONCE):
            piece = slice(begin, begin + _WINDOWS_AT_ONCE)
            batch = tensors(windows.at(series[piece], origins[piece]), self._data.calendar, windows.context)
            size = len(batch.past)
            total += float(self._loss(batch, scale_for(batch.past, self._config))) * size
            count += size
        return {"validation_loss": total / count}

    def sample(self) -> str:
        """Nothing is written along the way."""
        return ""


def scale_for(past: Tensor, config: ForecastConfig) -> Scale:
    """The scale of windows as the config says."""
    assert config.scaling is not None
    return scale_of(past, config.scaling, config.difference, config.log)
