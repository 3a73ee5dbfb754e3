"""Segments of the past through recurrent layers, and all segments of the future out of them at once."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from ricorso.equations import Cell
from ricorso.layers import Recurrent
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.direct import DirectModel
from ricorso.tasks.forecast.inputs import ForecastBatch, InputSizes, StaticReader, since_last
from ricorso.tasks.forecast.scaling import Scale


class SegmentModel(DirectModel):
    """What is said of the next `horizon` values of a series, from its last `context` ones, all at once.

    The past is cut into segments, which are the steps of the recurrent layers; from the state at the end each segment
    of the future is computed on its own, told apart by a learnt vector (SegRNN, arXiv:2308.11200). A linear map from
    the past to the future is added. Values that are missing count as zero after scaling; they are marked, and so is how
    long ago the last value was.
    """

    def __init__(self, cell: Cell, sizes: InputSizes, config: ForecastConfig) -> None:
        super().__init__(config)
        assert config.segment is not None
        assert config.context is not None
        assert config.hidden_size is not None
        assert config.horizon is not None
        self.segment, hidden = config.segment, config.hidden_size
        self.past_segments = -(-config.context // self.segment)
        self.future_segments = -(-config.horizon // self.segment)
        self.read_segment = nn.Linear(self.segment * (3 + sizes.features + sizes.past), hidden)
        self.static = StaticReader(sizes)
        self.read_static = nn.Linear(self.static.size, hidden, bias=False) if self.static.size else None
        self.recurrent = Recurrent(
            cell, hidden, hidden, config.num_layers, dropout=config.dropout if config.num_layers > 1 else 0.0
        )
        self.position = nn.Parameter(torch.randn(self.future_segments, hidden) * 0.1)
        self.read_future = nn.Linear(self.segment * sizes.features, hidden) if sizes.features else None
        self.dropout = nn.Dropout(config.dropout)
        self.write_segment = nn.Linear(hidden, self.segment * self.head.size)
        self.skip = nn.Linear(config.context, config.horizon) if config.linear else None
        if self.skip is not None:
            nn.init.constant_(self.skip.weight, 1 / config.context)
            nn.init.zeros_(self.skip.bias)

    def forward(self, batch: ForecastBatch, scale: Scale) -> Tensor:
        """What the head reads, (windows, horizon, head's size)."""
        values = scale.apply(batch.past)
        observed = ~values.isnan()
        past = values.nan_to_num(0.0)
        count, context = past.shape
        marks = torch.stack([past, observed.to(past.dtype), since_last(observed)], -1)
        steps = torch.cat([marks, batch.features[:, :context], batch.past_features], -1)
        steps = pad(steps, (0, 0, self.past_segments * self.segment - context, 0))
        read = self.read_segment(steps.reshape(count, self.past_segments, -1))
        asked = self.position.expand(count, -1, -1)
        if self.read_static is not None:
            constant = self.read_static(self.static(batch.numbers, batch.codes)).unsqueeze(1)
            read, asked = read + constant, asked + constant
        _, states = self.recurrent(relu(read).transpose(0, 1))
        if self.read_future is not None:
            future = pad(batch.features[:, context:], (0, 0, 0, self.future_segments * self.segment - self.horizon))
            asked = asked + relu(self.read_future(future.reshape(count, self.future_segments, -1)))
        many = self.future_segments

        def repeated(state: Tensor) -> Tensor:
            return state.repeat_interleave(many, dim=1)

        start = repeated(states) if isinstance(states, Tensor) else tuple(repeated(state) for state in states)
        output, _ = self.recurrent(asked.reshape(1, count * many, -1), start)
        written = self.write_segment(self.dropout(output[0])).view(count, many * self.segment, self.head.size)
        found: Tensor = written[:, : self.horizon]
        if self.skip is not None:
            found = found + self.skip(past).unsqueeze(-1)
        return found
