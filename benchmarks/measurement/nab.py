"""How the Numenta Anomaly Benchmark scores a detector, and plainer measures beside it.

Lavin & Ahmad 2015, https://arxiv.org/abs/1510.03336. Rows are those of a file, in its order. Each labelled window that
holds an alarm gives up to +1, the more the earlier it is; one that holds none gives -1 (A_FN); each row with an alarm
outside gives down to -0.11 (A_FP), less shortly after a window. The first rows are a probation and do not count. One
threshold for all files is chosen, the one with the best sum; 0 is a detector without alarms, 100 a perfect one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

A_TP, A_FP, A_FN = 1.0, 0.11, 1.0
PROBATION, LONGEST_PROBATION = 0.15, 750
# alarms no more rows apart than this are one alarm, where alarms are counted
_TOGETHER = 10


@dataclass(frozen=True, eq=False)
class Labelled:
    """A file of so many rows, and its windows: first and last row of each, in order."""

    name: str
    rows: int
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self):
        """How many rows at the beginning do not count."""
        return min(math.floor(PROBATION * self.rows), LONGEST_PROBATION)

    @cached_property
    def window(self):
        """The number of the window that each row is in, -1 outside."""
        found = np.full(self.rows, -1)
        for number, (first, last) in enumerate(self.windows):
            found[first : last + 1] = number
        return found

    @cached_property
    def weight(self):
        """What an alarm in each row is worth."""
        found = np.full(self.rows, -A_FP)
        for number, (first, last) in enumerate(self.windows):
            width = last - first + 1
            inside = np.arange(first, last + 1)
            found[inside] = A_TP * _sigmoid((inside - last - 1) / width) / _sigmoid(-1.0)
            after = np.arange(last + 1, self.windows[number + 1][0] if number + 1 < len(self.windows) else self.rows)
            found[after] = A_FP * _sigmoid((after - last) / (width - 1))
        return found


@dataclass(frozen=True)
class Found:
    """What alarms in one file came to.

    raw: NAB's sum. windows: how many were labelled; hit: how many held an alarm. alarms: how many there were, alarms
    of neighbouring rows taken together; false: how many of them lay outside all windows. auc: of the scores of rows,
    inside windows against outside.
    """

    raw: float
    windows: int
    hit: int
    alarms: int
    false: int
    auc: float

    @property
    def precision(self):
        return (self.alarms - self.false) / self.alarms if self.alarms else math.nan

    @property
    def recall(self):
        return self.hit / self.windows

    @property
    def f1(self):
        if not self.hit:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    def __add__(self, other):
        """Both files together; the AUC is the mean for each window."""
        many = self.windows + other.windows
        auc = (self.auc * self.windows + other.auc * other.windows) / many
        return Found(
            self.raw + other.raw, many, self.hit + other.hit, self.alarms + other.alarms, self.false + other.false, auc
        )


def normalised(raw: float, windows: int) -> float:
    """A sum for so many windows on the scale on which a detector without alarms has 0 and a perfect one 100."""
    return 100 * (raw + A_FN * windows) / ((A_TP + A_FN) * windows)


def best_threshold(files: Sequence[Labelled], scores: Sequence[np.ndarray]) -> float:
    """The threshold with the highest sum over all files; rows whose score reaches it are alarms."""
    score, weight, window = [], [], []
    for number, (file, own) in enumerate(zip(files, scores, strict=True)):
        score.append(_shown(own)[file.probation :])
        weight.append(file.weight[file.probation :])
        place = file.window[file.probation :]
        window.append(np.where(place < 0, -1, place + 1000 * number))
    score, weight, window = np.concatenate(score), np.concatenate(weight), np.concatenate(window)
    order = np.argsort(-score, kind="stable")
    parts = dict.fromkeys(np.unique(window[window >= 0]).tolist(), -A_FN)
    total = sum(parts.values())
    best, threshold = total, math.inf
    ordered = zip(score[order].tolist(), weight[order].tolist(), window[order].tolist(), strict=True)
    rows = list(ordered)
    for place, (value, worth, number) in enumerate(rows):
        if value == -math.inf:
            break
        if number < 0:
            total += worth
        elif worth > parts[number]:
            total += worth - parts[number]
            parts[number] = worth
        last = place + 1 == len(rows) or rows[place + 1][0] != value
        if last and total > best:
            best, threshold = total, value
    return threshold


def raised(scores: np.ndarray, together: int = _TOGETHER) -> np.ndarray:
    """Scores where they are higher than all of the rows just before, 0 elsewhere: the beginnings of alarms.

    NAB charges every row; a score that looks back on several rows would be charged for its echo.
    """
    shown = np.concatenate([np.full(together, -np.inf), _shown(scores)])
    before = np.lib.stride_tricks.sliding_window_view(shown[:-1], together).max(axis=1)
    return np.where(_shown(scores) > before, scores, np.minimum(scores, 0.0))


def measured(file: Labelled, scores: np.ndarray, threshold: float, ranked: np.ndarray | None = None) -> Found:
    """What the alarms of one file come to; scores: one for each row, NaN where there is none.

    ranked: scores for the AUC, where they are others.
    """
    shown = _shown(scores)
    counts = np.arange(file.rows) >= file.probation
    alarm = (shown >= threshold) & counts
    raw = float(file.weight[alarm & (file.window < 0)].sum())
    hit = 0
    for number in range(len(file.windows)):
        own = alarm & (file.window == number)
        hit += bool(own.any())
        raw += float(file.weight[own].max()) if own.any() else -A_FN
    rows = np.flatnonzero(alarm)
    groups = np.split(rows, np.flatnonzero(np.diff(rows) > _TOGETHER) + 1) if len(rows) else []
    false = sum(bool((file.window[group] < 0).all()) for group in groups)
    auc = area(_shown(scores if ranked is None else ranked)[counts], file.window[counts] >= 0)
    return Found(raw, len(file.windows), hit, len(groups), false, auc)


def area(scores: np.ndarray, positive: np.ndarray) -> float:
    """The area under the ROC curve: how often a positive scores higher than another; ties count half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    many = int(positive.sum())
    return float((rank[positive].sum() - many * (many + 1) / 2) / (many * (len(scores) - many)))


def _sigmoid(position):
    """1 far before the end of a window, 0 at its end, -1 from three of its lengths behind it."""
    position = np.asarray(position, np.float64)
    return np.where(position >= 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3.0))) - 1)


def _shown(scores: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(scores), -np.inf, scores)
