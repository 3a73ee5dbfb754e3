"""One step from the one before: a distribution of the next value, and paths drawn by feeding values back."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ricorso.engine.stepper import Stepper
from ricorso.equations import Cell
from ricorso.layers import Recurrent
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.heads import Head, Point, head_for, quantiles_of
from ricorso.tasks.forecast.inputs import ForecastBatch, InputSizes, StaticReader, since_last
from ricorso.tasks.forecast.scaling import Scale

# paths that are drawn side by side: enough for the products, few enough for the caches
_STREAMS = 8_192


class AutoregressiveModel(nn.Module):
    """A distribution of each value of a series, given all before it (DeepAR, arXiv:1704.04110).

    A step reads the value before it, whether that was observed and how long ago one was, the values some seasons
    before, what is known of the step and what is constant in the series. Steps before the first observation are not
    read. Forecasts are paths: each draws a value, reads it, and goes on, all of them through one compiled stepper.
    """

    def __init__(self, cell: Cell, sizes: InputSizes, config: ForecastConfig) -> None:
        super().__init__()
        assert config.context is not None
        assert config.hidden_size is not None
        assert config.horizon is not None
        assert config.loss is not None
        assert config.lags is not None
        self.config, self.lags = config, (1, *config.lags)
        self.context, self.horizon = config.context, config.horizon
        self.history = config.history
        self.head: Head = head_for(config.loss, config.quantiles)
        self.static = StaticReader(sizes)
        self.recurrent = Recurrent(
            cell, len(self.lags) + 2 + sizes.features + self.static.size, config.hidden_size, config.num_layers,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
        )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)
        self.write = nn.Linear(config.hidden_size, self.head.size)

    def losses(self, batch: ForecastBatch, scale: Scale) -> tuple[Tensor, Tensor]:
        """The loss of each step and whether there is a value to count it by, (windows, context + horizon) each."""
        values = scale.apply(torch.cat([batch.past, batch.future], 1))
        read = torch.cat([self._values(values, self.horizon), self._given(batch, 0, self.horizon)], -1)
        # the value of the first step that is read is not forecast, as nothing is known before it
        first = (~values[:, :-1].isnan()).long().argmax(1) - (self.history - self.context - 1)
        raw, _ = self._run(read, first.clamp(min=0))
        target = values[:, self.history - self.context :]
        place = torch.arange(target.shape[1])
        weight = (~target.isnan() & (place >= first[:, None])).to(target.dtype)
        return self.head.loss(raw, target.nan_to_num(0.0), scale), weight

    def quantiles(
        self, batch: ForecastBatch, scale: Scale, levels: tuple[float, ...], steps: int | None = None
    ) -> Tensor:
        """Quantiles of the first steps (all) in the units of the series, (windows, steps, levels); one of a point."""
        paths = self.paths(batch, scale, self.config.paths, self.config.seed, steps)
        return paths.transpose(1, 2) if isinstance(self.head, Point) else quantiles_of(paths, levels)

    def paths(self, batch: ForecastBatch, scale: Scale, count: int, seed: int, steps: int | None = None) -> Tensor:
        """Sampled futures in the units of the series, (windows, count, steps); the same for the same seed.

        steps: how far; to the horizon when not given.
        """
        count = 1 if isinstance(self.head, Point) else count
        random = torch.Generator().manual_seed(seed)
        values = scale.apply(batch.past)
        first = (~values.isnan()).long().argmax(1) - (self.history - self.context - 1)
        read = torch.cat([self._values(values, 0), self._given(batch, 0, 0)], -1)
        _, states = self._run(read, first.clamp(min=0))
        at_once = min(max(1, _STREAMS // count), len(values))
        stepper = self.recurrent.stepper(at_once * count)
        found = [
            self._draw(stepper, _rows(states, rows), values[rows], _batch_rows(batch, rows), _scale_rows(scale, rows),
                       count, random, steps or self.horizon)
            for rows in _pieces(len(values), at_once)
        ]  # fmt: skip
        drawn = torch.cat(found)[: len(values)]
        return scale.undo(drawn.flatten(1)).view(drawn.shape)

    def _draw(
        self, stepper: Stepper, states: tuple[Tensor, ...], past: Tensor, batch: ForecastBatch, scale: Scale,
        count: int, random: torch.Generator, steps: int,
    ) -> Tensor:  # fmt: skip
        """Scaled paths of some windows, (windows, count, steps)."""
        windows, history = past.shape
        stepper.states = tuple(_repeat(state, count, 1).numpy() for state in states)
        scale = Scale(_repeat(scale.centre, count), _repeat(scale.size, count), scale.log)
        # time first, so that a step's values lie together
        values = torch.empty(history + steps, windows * count)
        values[:history] = _repeat(past, count).T
        observed = ~past.isnan()
        mark = _repeat(observed[:, -1:].float(), count)
        gap = _repeat(since_last(observed)[:, -1:], count)
        given = self._given(batch, self.context, self.horizon)
        for step in range(steps):
            here = history + step
            lagged = values[[here - lag for lag in self.lags]].T.nan_to_num(0.0)
            inputs = torch.cat([lagged, mark, gap, _repeat(given[:, step], count)], 1)
            output = torch.from_numpy(stepper.step(inputs.numpy()))
            values[here] = self.head.sample(self.write(output).unsqueeze(1), scale, random)[:, 0]
            if step == 0:
                mark, gap = torch.ones_like(mark), torch.zeros_like(gap)
        return values[history:].T.reshape(windows, count, steps)

    def _run(self, read: Tensor, first: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the head reads of each step and the states at the end, read (windows, steps, inputs) from `first` on."""
        steps = read.shape[1]
        if not bool(first.any()):
            output, states = self.recurrent(read.transpose(0, 1))
        else:
            # what comes before a series begins costs nothing
            first = first.clamp(max=steps - 1)
            place = (torch.arange(steps)[:, None] + first).clamp(max=steps - 1)
            moved = read[torch.arange(len(read)), place]
            output, states = self.recurrent(moved, lengths=steps - first)
            back = (torch.arange(steps)[:, None] - first).clamp(min=0)
            output = output[back, torch.arange(len(read))]
        raw = self.write(self.dropout(output)).transpose(0, 1)
        return raw, (states,) if isinstance(states, Tensor) else tuple(states)

    def _values(self, values: Tensor, ahead: int) -> Tensor:
        """What steps read of values before them, (windows, context + ahead, lags + 2)."""
        steps, begin = self.context + ahead, self.history - self.context
        lagged = [values[:, begin - lag : begin - lag + steps].nan_to_num(0.0) for lag in self.lags]
        observed = ~values.isnan()
        before = slice(begin - 1, begin - 1 + steps)
        return torch.stack([*lagged, observed[:, before].to(values.dtype), since_last(observed)[:, before]], -1)

    def _given(self, batch: ForecastBatch, begin: int, ahead: int) -> Tensor:
        """What is known of the steps from the context's `begin` on and constant, (windows, steps, numbers)."""
        first = self.history - self.context + begin
        features = batch.features[:, first : self.history + ahead]
        constant = self.static(batch.numbers, batch.codes)
        return torch.cat([features, constant.unsqueeze(1).expand(-1, features.shape[1], -1)], -1)


def _repeat(values: Tensor, count: int, dimension: int = 0) -> Tensor:
    return values.repeat_interleave(count, dim=dimension)


def _pieces(count: int, at_once: int) -> Iterator[Tensor]:
    """Numbers of rows, `at_once` at a time; the last piece is filled up with the last row."""
    for begin in range(0, count, at_once):
        yield torch.arange(begin, begin + at_once).clamp(max=count - 1)


def _rows(states: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(state[:, rows] for state in states)


def _scale_rows(scale: Scale, rows: Tensor) -> Scale:
    return Scale(scale.centre[rows], scale.size[rows], scale.log)


def _batch_rows(batch: ForecastBatch, rows: Tensor) -> ForecastBatch:
    return ForecastBatch(**{name: part[rows] for name, part in vars(batch).items()})
