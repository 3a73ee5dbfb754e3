"""What a model reads besides the values: covariates on one scale, and what is constant in a series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ricorso.data.series import Series, SeriesSet
from ricorso.errors import DataError, RunError

Floats = NDArray[np.float32]
_WIDEST = 32


@dataclass(frozen=True)
class ForecastBatch:
    """Windows, one target each: past (windows, history) and future (windows, horizon), NaN where missing.

    features: numbers known of each step, (windows, history + horizon, features). past_features: those known only of the
    past, (windows, history, past features). numbers, codes: what is constant, (windows, numbers) and (windows,
    categories).
    """

    past: Tensor
    future: Tensor
    features: Tensor
    past_features: Tensor
    numbers: Tensor
    codes: Tensor

    def since(self, step: int) -> "ForecastBatch":
        """The same windows without their first steps."""
        parts = {name: getattr(self, name)[:, step:] for name in ("past", "features", "past_features")}
        return replace(self, **parts)


@dataclass(frozen=True)
class InputSizes:
    """How many numbers a model reads: of each step, of each step of the past, constant ones, and each category's."""

    features: int
    past: int
    numbers: int
    categories: tuple[int, ...]


@dataclass(frozen=True)
class Standard:
    """Columns of numbers brought to mean 0 and deviation 1, as the training data had it; missing ones become 0."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, parts: Sequence[NDArray[Any]]) -> Self:
        """From arrays (steps, columns)."""
        count = np.zeros(parts[0].shape[1])
        total, squares = np.zeros_like(count), np.zeros_like(count)
        for part in parts:
            values = part.astype(np.float64)
            count += (~np.isnan(values)).sum(0)
            total += np.nansum(values, 0)
        mean = total / np.maximum(count, 1)
        for part in parts:
            squares += np.nansum((part - mean) ** 2, 0)
        deviation = np.sqrt(squares / np.maximum(count, 1))
        return cls(tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist()))

    def apply(self, values: Floats) -> Floats:
        """Values (..., columns) on the scale."""
        if not self.mean:
            return values
        mean, deviation = (np.array(part, np.float32) for part in (self.mean, self.deviation))
        found: Floats = np.nan_to_num((values - mean) / deviation, copy=False)
        return found


@dataclass(frozen=True)
class Encoding:
    """How covariates become numbers, learnt from the training data.

    categories: for each static column of names the names, in order; () for a column of numbers. targets: how many there
    are; of several each gets a learnt vector, as a category does.
    """

    known: Standard
    past: Standard
    static: Standard
    categories: tuple[tuple[str, ...], ...]
    targets: int = 1

    @classmethod
    def of(cls, series: SeriesSet) -> Self:
        """From the series to train on."""
        rows = [one.static for one in series.series]
        categories = []
        for column in range(len(series.columns.static)):
            values = [row[column] for row in rows]
            names = {value for value in values if isinstance(value, str)}
            categories.append(tuple(sorted(names)))
        numbers = np.array([_numbers(row, categories) for row in rows], np.float64).reshape(len(rows), -1)
        return cls(
            Standard.of([one.known for one in series.series]),
            Standard.of([one.past for one in series.series]),
            Standard.of([numbers]),
            tuple(categories),
            len(series.targets),
        )

    @property
    def sizes(self) -> InputSizes:
        """The sizes without what the calendar adds."""
        many = tuple(len(names) for names in self.categories if names)
        if self.targets > 1:
            many = (*many, self.targets)
        return InputSizes(len(self.known.mean), len(self.past.mean), len(self.static.mean), many)

    def constants(self, series: Sequence[Series], columns: Sequence[str]) -> tuple[Floats, NDArray[np.int64]]:
        """Numbers and codes of each series; a name that was not there in training has the code 0.

        Raises DataError where a number has become a name.
        """
        numbers, codes = [], []
        for one in series:
            if len(one.static) != len(self.categories):
                raise DataError(
                    f"Series '{one.name}' has {len(one.static)} static values; the model was trained with "
                    f"{len(self.categories)} ({', '.join(columns)})."
                )
            for name, value, names in zip(columns, one.static, self.categories, strict=True):
                if isinstance(value, str) and not names:
                    raise DataError(f"Column '{name}' of series '{one.name}' should be a number, got '{value}'.")
            numbers.append(_numbers(one.static, self.categories))
            codes.append(
                [_code(value, names) for value, names in zip(one.static, self.categories, strict=True) if names]
            )
        found = np.array(numbers, np.float32).reshape(len(series), -1)
        return self.static.apply(found), np.array(codes, np.int64).reshape(len(series), -1)

    def of_targets(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """What is constant in windows (windows, columns), for each of their targets in turn."""
        if self.targets == 1:
            return numbers, codes
        own = torch.arange(1, self.targets + 1).repeat(len(codes))
        numbers, codes = (part.repeat_interleave(self.targets, dim=0) for part in (numbers, codes))
        return numbers, torch.cat([codes, own[:, None]], 1)

    def to_json(self) -> dict[str, Any]:
        """The encoding as data."""
        scales = {name: getattr(self, name) for name in ("known", "past", "static")}
        found: dict[str, Any] = {
            name: {"mean": list(scale.mean), "deviation": list(scale.deviation)} for name, scale in scales.items()
        }
        return found | {"categories": [list(names) for names in self.categories], "targets": self.targets}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The encoding from its data. Raises RunError when they do not describe one."""
        try:
            scales = [
                Standard(tuple(map(float, data[name]["mean"])), tuple(map(float, data[name]["deviation"])))
                for name in ("known", "past", "static")
            ]
            categories = tuple(tuple(map(str, names)) for names in data["categories"])
            targets = int(data["targets"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunError("The encoding of covariates does not hold together; the run folder is damaged.") from error
        return cls(scales[0], scales[1], scales[2], categories, targets)


class StaticReader(nn.Module):
    """What is constant in a series as one vector of `size` numbers; each category has a learnt one."""

    def __init__(self, sizes: InputSizes) -> None:
        super().__init__()
        widths = [min(_WIDEST, 2 + round(many**0.5)) for many in sizes.categories]
        # the first vector is for names that were not there in training, and stays zero
        self.vectors = nn.ModuleList(
            nn.Embedding(many + 1, width, padding_idx=0) for many, width in zip(sizes.categories, widths, strict=True)
        )
        self.size = sizes.numbers + sum(widths)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """(windows, size)."""
        return torch.cat([numbers, *(vectors(codes[:, n]) for n, vectors in enumerate(self.vectors))], 1)


def since_last(observed: Tensor) -> Tensor:
    """The logarithm of 1 and the steps since the last observation, (windows, steps); from the first step on if none.

    >>> since_last(torch.tensor([[True, False, False, True]])).exp().round().tolist()
    [[1.0, 2.0, 3.0, 1.0]]
    """
    place = torch.arange(observed.shape[1], device=observed.device)
    last = torch.where(observed, place, -1).cummax(1).values
    return torch.log1p((place - last).float())


def _numbers(row: Sequence[float | str], categories: Sequence[Sequence[str]]) -> list[float]:
    return [_number(value) for value, names in zip(row, categories, strict=True) if not names]


def _number(value: float | str) -> float:
    return float("nan") if isinstance(value, str) else float(value)


def _code(value: float | str, names: Sequence[str]) -> int:
    return names.index(value) + 1 if value in names else 0
