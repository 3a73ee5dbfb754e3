"""The forecast task as the training loop sees it."""

import torch
from torch import Tensor

from ricorso.tasks.forecast.autoregressive import AutoregressiveModel
from ricorso.tasks.forecast.calibration import helpful_factors, told
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.data import Batches, ForecastData
from ricorso.tasks.forecast.inputs import Encoding, ForecastBatch
from ricorso.tasks.forecast.model import ForecastModel
from ricorso.tasks.forecast.scaling import Scale, scale_of
from ricorso.training.checkpoint import State

_WINDOWS_AT_ONCE = 2048
_BATCHES_AT_ONCE = 8
# of the quantiles that intervals are calibrated on
_MOST_NUMBERS = 20_000_000


class ForecastWork:
    """Windows from all series in random order, each on a scale of its own."""

    def __init__(self, model: ForecastModel, data: ForecastData, encoding: Encoding, config: ForecastConfig) -> None:
        self.model, self._data, self._config = model, data, config
        self._batches = Batches(data.known, data.windows, encoding, config)
        self._cut: tuple[tuple[int, int], ForecastBatch | None] = (-1, -1), None
        self.batches_per_epoch = data.train.batches_per_epoch
        self.examples = data.train.examples
        self.symbols_per_batch = self.examples * (data.train.context + data.train.horizon)

    def batch(self, epoch: int, number: int, part: slice) -> ForecastBatch:
        """Some of the windows of a batch."""
        # between two steps of a kernel little of Python is still in the caches: several at once cost little more
        group, place = divmod(number, _BATCHES_AT_ONCE)
        if self._cut[0] != (epoch, group):
            train = self._data.train
            last = min((group + 1) * _BATCHES_AT_ONCE, train.batches_per_epoch)
            windows = train.batches(epoch, range(group * _BATCHES_AT_ONCE, last))
            self._cut = (epoch, group), self._batches.of(windows)
        cut = self._cut[1]
        assert cut is not None
        begin, end, _ = part.indices(self.examples)
        first, targets = place * self.examples, len(self._data.known.targets)
        rows = slice((first + begin) * targets, (first + end) * targets)
        return ForecastBatch(**{name: tensor[rows] for name, tensor in vars(cut).items()})

    def place(self, epoch: int, number: int) -> str:
        """Which windows a batch holds."""
        return f"batch {number} of epoch {epoch}: {self._data.train.place(epoch, number)}"

    def loss(self, batch: ForecastBatch, state: State) -> tuple[Tensor, State]:
        """The mean loss on the scale of each window; nothing is carried from batch to batch."""
        each, weight = self.model.losses(batch, scale_for(batch.past, self._config))
        return (each * weight).sum() / weight.sum().clamp(min=1), None

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The mean loss over the horizons of the windows that were held out."""
        assert self._data.validation is not None
        series, origins = self._data.validation
        total, count = 0.0, 0.0
        for begin in range(0, len(series), _WINDOWS_AT_ONCE):
            piece = slice(begin, begin + _WINDOWS_AT_ONCE)
            batch = self._batches.at(series[piece], origins[piece])
            each, weight = (
                part[:, -self.model.horizon :] for part in self.model.losses(batch, scale_for(batch.past, self._config))
            )
            total += float((each * weight).sum())
            count += float(weight.sum())
        return {"validation_loss": total / max(count, 1.0)}

    @torch.no_grad()
    def calibrate(self) -> tuple[str, ...]:
        """Stretch the intervals of the trained model, where that helps, and say so."""
        model, held_out = self.model, self._data.validation
        if held_out is None or isinstance(model, AutoregressiveModel) or model.stretch is None:
            return ()
        levels, horizon = self._config.quantiles, model.horizon
        model.stretch.fill_(1.0)
        every = -(-len(held_out[0]) * horizon * len(levels) * len(self._data.known.targets) // _MOST_NUMBERS)
        series, origins = (part[::every] for part in held_out)
        found, target = [], []
        for begin in range(0, len(series), _WINDOWS_AT_ONCE):
            piece = slice(begin, begin + _WINDOWS_AT_ONCE)
            batch = self._batches.at(series[piece], origins[piece])
            scale = scale_for(batch.past, self._config)
            found.append(model(batch, scale).sort(-1).values)
            target.append(scale.apply(batch.future))
        # the windows of a series that begin within one horizon share values
        groups = series * (int(origins.max()) // horizon + 1) + origins // horizon
        groups = groups.repeat(len(self._data.known.targets))
        factors = helpful_factors(torch.cat(found), torch.cat(target), levels, groups)
        if factors is None:
            return ()
        model.stretch.copy_(factors)
        return (told(factors, levels, len(series)),)

    def sample(self) -> str:
        """Nothing is written along the way."""
        return ""


def scale_for(past: Tensor, config: ForecastConfig) -> Scale:
    """The scale of windows as the config says."""
    assert config.scaling is not None
    assert config.difference is not None
    return scale_of(past, config.scaling, config.difference, config.log)
