"""The mean of what several looks back say of the future."""

import torch
from torch import Tensor, nn

from ricorso.equations import Cell
from ricorso.layers import Recurrent
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.direct import DirectModel
from ricorso.tasks.forecast.inputs import ForecastBatch, InputSizes
from ricorso.tasks.forecast.scaling import Scale
from ricorso.tasks.forecast.segments import SegmentModel


class BlendedModel(DirectModel):
    """Models of segments side by side, each of which sees another length of the same past; the forecast is their mean.

    Each learns from its own error, so that they stay different, and the error of the mean is what validation sees: it
    is never above the mean of theirs (Krogh & Vedelsby 1995, "Neural network ensembles, cross validation, and active
    learning").
    """

    def __init__(self, cell: Cell, sizes: InputSizes, config: ForecastConfig) -> None:
        super().__init__(config)
        assert config.contexts is not None
        self.contexts = config.contexts
        own = {"contexts": None, "calibrate": False}
        self.parts = nn.ModuleList(
            SegmentModel(cell, sizes, config.model_copy(update=own | {"context": context})) for context in self.contexts
        )

    @property
    def recurrent(self) -> Recurrent:
        """The layers that see most of the past."""
        found: SegmentModel = self.parts[-1]  # type: ignore[assignment]
        return found.recurrent

    def losses(self, batch: ForecastBatch, scale: Scale) -> tuple[Tensor, Tensor]:
        """In training the mean loss of the parts, otherwise the loss of their mean; and the weights of both."""
        if not self.training:
            return super().losses(batch, scale)
        target = scale.apply(batch.future)
        weight = (~target.isnan()).to(target.dtype)
        target = target.nan_to_num(0.0)
        each = [self.head.loss(raw, target, scale) for raw in self._said(batch, scale)]
        return torch.stack(each).mean(0), weight

    def forward(self, batch: ForecastBatch, scale: Scale) -> Tensor:
        """What the head reads, (windows, horizon, head's size)."""
        return torch.stack(self._said(batch, scale)).mean(0)

    def _said(self, batch: ForecastBatch, scale: Scale) -> list[Tensor]:
        return [
            part(batch.since(self.history - context), scale)
            for part, context in zip(self.parts, self.contexts, strict=True)
        ]
