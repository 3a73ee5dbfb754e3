"""Single units over a text: what each of them follows (Karpathy, Johnson and Fei-Fei 2015, arXiv:1506.02078)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import UsageError
from ricorso.insight.feature import features
from ricorso.insight.passage import Passage
from ricorso.insight.trace import LayerTrace

Values = NDArray[np.float64]
EXCERPT = 480
# a feature that holds for fewer symbols than this says nothing about a unit
RARE = 20


@dataclass(frozen=True)
class Unit:
    """One number of the state: layer from 1, name of the state, number from 0."""

    layer: int
    state: str
    number: int

    def __str__(self) -> str:
        return f"{self.state}[{self.number}] of layer {self.layer}"


@dataclass(frozen=True)
class Follower:
    """The unit that goes with a feature of the text most closely.

    pieces, values: an excerpt where the feature changes, and the unit there, from -1 to 1.
    """

    feature: str
    unit: Unit
    correlation: float
    pieces: list[str]
    values: list[float]

    def to_json(self) -> dict[str, Any]:
        """Which unit, and how closely."""
        unit = {"layer": self.unit.layer, "state": self.unit.state, "unit": self.unit.number}
        return {"feature": self.feature, **unit, "correlation": self.correlation}


class Activity:
    """All units over a passage: `values` (symbols, units), `units` saying which column is which."""

    def __init__(self, layers: Sequence[LayerTrace], passage: Passage) -> None:
        self.pieces = passage.pieces[:-1]
        columns, self.units = [], []
        for number, layer in enumerate(layers, 1):
            for n, state in enumerate(layer.cell.states):
                values = passage.in_order(layer.after(n)).numpy()
                columns.append(values)
                self.units += [Unit(number, state.name, unit) for unit in range(values.shape[1])]
        self.values: Values = np.concatenate(columns, 1)

    def followers(self) -> list[Follower]:
        """For each feature that the text has, the unit that follows it best."""
        found = []
        for name, feature in features(self.pieces).items():
            if min(np.count_nonzero(feature), np.count_nonzero(feature != feature.max())) < RARE:
                continue
            correlation = correlations(self.values, feature)
            best = int(np.abs(correlation).argmax())
            found.append(self._follower(name, best, float(correlation[best]), feature))
        return found

    def unit(self, number: int) -> Follower:
        """One unit of the top layer's output. Raises UsageError where there is no such unit."""
        top = self.units[-1].layer
        state = next(unit.state for unit in self.units if unit.layer == top)
        wanted = Unit(top, state, number)
        if wanted not in self.units:
            count = sum(unit.layer == top and unit.state == state for unit in self.units)
            raise UsageError(f"There is no unit {number}; the top layer has units 0 to {count - 1}.")
        return self._follower("the unit you asked for", self.units.index(wanted), 0.0, None)

    def _follower(self, name: str, column: int, correlation: float, feature: Values | None) -> Follower:
        values = self.values[:, column]
        size = min(EXCERPT, len(values))
        begin = 0
        if feature is not None:
            variance = {start: feature[start : start + size].var() for start in range(0, len(values) - size + 1, size)}
            begin = max(variance, key=variance.__getitem__)
        shown = values[begin : begin + size]
        # what nearly all values stay within is the full colour
        scale = float(np.quantile(np.abs(values), 0.98)) or 1.0
        pieces = self.pieces[begin : begin + size]
        return Follower(name, self.units[column], correlation, pieces, (shown / scale).clip(-1, 1).tolist())


def correlations(values: Values, feature: Values) -> Values:
    """The correlation of each column with a feature; 0 for a column that does not change.

    >>> correlations(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]), np.array([0.0, -1.0, -2.0])).tolist()
    [-1.0, 0.0]
    """
    centred, wanted = values - values.mean(0), feature - feature.mean()
    size = np.sqrt((centred**2).sum(0) * (wanted**2).sum())
    found: Values = np.divide(wanted @ centred, size, out=np.zeros(values.shape[1]), where=size > 1e-12)
    return found.round(12)
