"""The forecast task's model: segments of the past through recurrent layers, segments of the future out of them."""

import torch
from torch import Tensor, nn

from ricorso.equations import Cell
from ricorso.layers import Recurrent
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.scaling import Scale


class SegmentModel(nn.Module):
    """Quantiles of the next `horizon` values of a series from its last `context` ones, all at once.

    The past is cut into segments, which are the steps of the recurrent layers; from the state at the end each segment
    of the future is computed on its own, told apart by a learnt vector (SegRNN, arXiv:2308.11200). A linear map from
    the past to the future is added. Values that are missing count as zero after scaling and are marked.

    features: numbers that are known for every step, of the past and of the future.
    """

    def __init__(self, cell: Cell, features: int, config: ForecastConfig) -> None:
        super().__init__()
        assert config.segment is not None
        assert config.context is not None
        assert config.hidden_size is not None
        assert config.horizon is not None
        self.config = config
        self.segment, hidden = config.segment, config.hidden_size
        self.past_segments = -(-config.context // self.segment)
        self.future_segments = -(-config.horizon // self.segment)
        self.outputs = len(config.quantiles) if config.loss == "quantile" else 1
        self.read_segment = nn.Linear(self.segment * (2 + features), hidden)
        self.recurrent = Recurrent(
            cell, hidden, hidden, config.num_layers, dropout=config.dropout if config.num_layers > 1 else 0.0
        )
        self.position = nn.Parameter(torch.randn(self.future_segments, hidden) * 0.1)
        self.read_future = nn.Linear(self.segment * features, hidden) if features else None
        self.dropout = nn.Dropout(config.dropout)
        self.write_segment = nn.Linear(hidden, self.segment * self.outputs)
        self.skip = nn.Linear(config.context, config.horizon) if config.linear else None
        if self.skip is not None:
            nn.init.constant_(self.skip.weight, 1 / config.context)
            nn.init.zeros_(self.skip.bias)

    def forward(self, past: Tensor, observed: Tensor, features: Tensor) -> Tensor:
        """Scaled quantiles (batch, horizon, quantiles).

        past: (batch, context), scaled, 0 where missing; observed: the same, 1 or 0; features: (batch, context +
        horizon, features).
        """
        count, context = past.shape
        horizon = self.config.horizon
        assert horizon is not None
        steps = torch.cat([torch.stack([past, observed], -1), features[:, :context]], -1)
        missing = self.past_segments * self.segment - context
        if missing:
            steps = nn.functional.pad(steps, (0, 0, missing, 0))
        read = nn.functional.relu(self.read_segment(steps.reshape(count, self.past_segments, -1)))
        _, states = self.recurrent(read.transpose(0, 1))
        asked = self.position.expand(count, -1, -1)
        if self.read_future is not None:
            future = features[:, context:]
            extra = self.future_segments * self.segment - horizon
            future = nn.functional.pad(future, (0, 0, 0, extra)).reshape(count, self.future_segments, -1)
            asked = asked + nn.functional.relu(self.read_future(future))
        many = self.future_segments

        def repeated(state: Tensor) -> Tensor:
            return state.repeat_interleave(many, dim=1)

        start = repeated(states) if isinstance(states, Tensor) else tuple(repeated(state) for state in states)
        output, _ = self.recurrent(asked.reshape(1, count * many, -1), start)
        written = self.write_segment(self.dropout(output[0])).view(count, many * self.segment, self.outputs)
        found: Tensor = written[:, :horizon]
        if self.skip is not None:
            found = found + self.skip(past).unsqueeze(-1)
        return found

    def loss(self, predicted: Tensor, target: Tensor, observed: Tensor) -> Tensor:
        """The mean over observed values; all (batch, horizon), but predicted (batch, horizon, quantiles)."""
        config = self.config
        error = target.unsqueeze(-1) - predicted
        if config.loss == "mse":
            each = error.square()
        elif config.loss == "mae":
            each = error.abs()
        else:
            levels = error.new_tensor(config.quantiles)
            each = 2 * torch.maximum(levels * error, (levels - 1) * error)
        weight = observed.unsqueeze(-1)
        return (each * weight).sum() / (weight.sum() * self.outputs).clamp(min=1)


def scaled(model: SegmentModel, past: Tensor, features: Tensor, scale: Scale) -> Tensor:
    """Quantiles in the units of the series, rising, (batch, horizon, quantiles); past with NaN where missing."""
    observed = ~past.isnan()
    quantiles = model(scale.apply(past).nan_to_num(0.0), observed.to(past.dtype), features)
    return scale.undo(quantiles.sort(-1).values)
