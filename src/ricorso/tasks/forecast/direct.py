"""What models share that say all of a horizon at once."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ricorso.tasks.forecast.calibration import stretched
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.heads import Head, Quantiles, head_for, quantiles_between
from ricorso.tasks.forecast.inputs import ForecastBatch
from ricorso.tasks.forecast.scaling import Scale


class DirectModel(nn.Module, ABC):
    """A model whose `forward` gives what the head reads of every step.

    stretch: how many times as far from the median each quantile is put, (levels); None where that is not wanted.
    """

    stretch: Tensor | None

    def __init__(self, config: ForecastConfig) -> None:
        super().__init__()
        assert config.horizon is not None
        assert config.loss is not None
        self.config = config
        self.history, self.horizon = config.history, config.horizon
        self.head: Head = head_for(config.loss, config.quantiles)
        self.register_buffer("stretch", torch.ones(self.head.size) if config.calibrate else None)

    @abstractmethod
    def forward(self, batch: ForecastBatch, scale: Scale) -> Tensor:
        """What the head reads, (windows, horizon, head's size)."""

    def losses(self, batch: ForecastBatch, scale: Scale) -> tuple[Tensor, Tensor]:
        """The loss of each step and whether there is a value to count it by, (windows, horizon) each."""
        target = scale.apply(batch.future)
        weight = (~target.isnan()).to(target.dtype)
        return self.head.loss(self(batch, scale), target.nan_to_num(0.0), scale), weight

    def quantiles(
        self, batch: ForecastBatch, scale: Scale, levels: tuple[float, ...], steps: int | None = None
    ) -> Tensor:
        """Quantiles of the first steps (all) in the units of the series, (windows, steps, levels); one of a point."""
        found = self(batch, scale)[:, :steps].sort(-1).values
        if not isinstance(self.head, Quantiles):
            return scale.undo(found)
        if self.stretch is not None:
            found = stretched(found, self.stretch, self.head.levels)
        return quantiles_between(scale.undo(found), self.head.levels, levels)
