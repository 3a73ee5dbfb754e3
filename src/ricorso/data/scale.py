"""Columns of numbers brought to one scale, with marks where values are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import RunError

# what is farther out says no more, and its products would not be finite
_FARTHEST = 1e9


@dataclass(frozen=True)
class Scale:
    """The mean and deviation of each feature. marks: values were missing, so that features of their own mark these."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    marks: bool

    @classmethod
    def of(cls, series: Sequence[NDArray[Any]]) -> Self:
        """From series (steps, features), NaN where a value is missing; a feature that never changes keeps its size.

        >>> Scale.of([np.array([[1.0, np.nan], [3.0, 7.0]])])
        Scale(mean=(2.0, 7.0), deviation=(1.0, 1.0), marks=True)
        """
        rows = np.concatenate([np.asarray(one, np.float64) for one in series])
        known = ~np.isnan(rows)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, rows, 0).sum(0) / count
        deviation = np.sqrt((np.where(known, rows - mean, 0) ** 2).sum(0) / count)
        deviation = np.where(deviation > 0, deviation, 1.0)
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()), not bool(known.all()))

    @property
    def size(self) -> int:
        """Numbers of a step."""
        return len(self.mean) * (2 if self.marks else 1)

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Rows (steps, features) as a model reads them, (steps, size): missing values are 0, and marked by 1.

        >>> Scale((2.0,), (1.0,), True)(np.array([[1.0], [np.nan]])).tolist()
        [[-1.0, 0.0], [0.0, 1.0]]
        """
        scaled = (np.asarray(rows, np.float64) - self.mean) / self.deviation
        missing = np.isnan(scaled)
        found = np.where(missing, 0, scaled).clip(-_FARTHEST, _FARTHEST).astype(np.float32)
        return np.concatenate([found, missing.astype(np.float32)], 1) if self.marks else found

    def to_json(self) -> dict[str, Any]:
        """The scale as data."""
        return {"mean": list(self.mean), "deviation": list(self.deviation), "marks": self.marks}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The scale from its data. Raises RunError when the data do not describe one."""
        mean, deviation, marks = (data.get(name) for name in ("mean", "deviation", "marks"))
        right = all(isinstance(own, list) and all(isinstance(v, int | float) for v in own) for own in (mean, deviation))
        if not right or len(mean) != len(deviation) or not isinstance(marks, bool):  # type: ignore[arg-type]
            raise RunError("The scale of the features does not hold together; the run folder is damaged.")
        return cls(tuple(map(float, mean)), tuple(map(float, deviation)), marks)  # type: ignore[arg-type]
