"""Windows over many series: what a model sees of a series before an origin, and what comes after it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ricorso.data.flat import Flat
from ricorso.data.origins import Origins
from ricorso.data.series import Series
from ricorso.data.shuffle import shuffled
from ricorso.errors import DataError, UsageError

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

# the order of an epoch is written down whole for so many windows, else worked out for about so many at a time
_MOST_WRITTEN, _WORKED_OUT = 1 << 20, 1 << 15


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Windows side by side; the time runs over `context` steps before the origin and `horizon` from it on.

    values: (time, batch, targets), NaN where missing or outside the series. observed: same shape, where there is a
    value. known: (time, batch, known covariates). past: (context, batch, past covariates). series: (batch,), the
    number of each window's series. origin: (batch,), the step of the series where the horizon begins.
    """

    values: Floats
    observed: NDArray[np.bool_]
    known: Floats
    past: Floats
    series: Ints
    origin: Ints
    context: int

    @property
    def begin(self) -> Ints:
        """The step of the series where each window begins, (batch,); negative where it is padded."""
        return self.origin - self.context


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of many series, cut into batches; a batch is a pure function of (seed, epoch, number).

    A window may be anywhere in a series, every `step` steps, as long as the horizon is inside, at least
    `minimum_context` steps (context or horizon, whichever is shorter, when not given) lie before it, and there is a
    value in both; before the first step of a series windows are padded with NaN. An epoch is every window once, in
    another order each time; when there are more than `per_epoch`, that many are drawn. evenly: draw each series
    equally often, however long it is. The last batch of an epoch is filled up from its beginning.

    Raises UsageError for sizes below 1, DataError when no series is long enough.

    >>> nothing = np.zeros((20, 0), np.float32)
    >>> series = Series("a", 0, np.arange(20.0)[:, None], nothing, nothing)
    >>> windows = Windows([series], context=4, horizon=2, batch_size=5, seed=0, minimum_context=4)
    >>> windows.count, windows.batches_per_epoch, windows.batch(epoch=0, number=0).values.shape
    (15, 3, (6, 5, 1))
    >>> windows.at(0, windows.last()[1]).values[:, 0, 0].tolist()
    [14.0, 15.0, 16.0, 17.0, 18.0, 19.0]
    """

    source: Iterable[Series] = field(repr=False)
    context: int
    horizon: int
    batch_size: int
    seed: int
    per_epoch: int | None = None
    minimum_context: int | None = None
    step: int = 1
    evenly: bool = False

    def __post_init__(self) -> None:
        if self.minimum_context is None:
            object.__setattr__(self, "minimum_context", min(self.context, self.horizon))
        for name in ("context", "horizon", "batch_size", "per_epoch", "minimum_context", "step"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be 1 or more, got {value}.")
        if self._least > self.context:
            raise UsageError(f"minimum_context={self._least} is more than context={self.context}.")
        object.__setattr__(self, "source", tuple(self.source))
        if not self.count:
            longest = max(self._lengths.tolist(), default=0)
            raise DataError(
                f"No series is long enough: the longest has {longest} steps, but {self._least} before the origin and "
                f"{self.horizon} after it are needed, with a value in both. Use a shorter horizon or minimum_context."
            )

    @cached_property
    def count(self) -> int:
        """How many windows there are."""
        return self._origins.count

    @cached_property
    def examples(self) -> int:
        """How many windows are side by side in a batch: `batch_size`, or fewer when there are fewer."""
        return min(self.batch_size, self._per_epoch)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-self._per_epoch // self.examples)

    def batch(self, epoch: int, number: int, part: slice = slice(None)) -> WindowBatch:
        """Some of the windows of a batch."""
        return self.at(*self._origins.at(self._places(epoch, number)[part]))

    def batches(self, epoch: int, numbers: Iterable[int]) -> WindowBatch:
        """The windows of several batches, one batch after the other."""
        return self.at(*self._origins.at(np.concatenate([self._places(epoch, number) for number in numbers])))

    def place(self, epoch: int, number: int) -> str:
        """Where the windows of a batch are from, in words."""
        series, origins = (part.tolist() for part in self._origins.at(self._places(epoch, number)))
        shown = [f"'{self._names[i]}' from step {origin:,}" for i, origin in zip(series[:3], origins, strict=False)]
        return f"windows of {', '.join(shown)}{', ...' if len(series) > 3 else ''}"

    def at(self, series: ArrayLike, origins: ArrayLike) -> WindowBatch:
        """Windows of series (by number) whose horizon begins at the given steps; it may lie beyond the series' end."""
        numbers, origin = np.broadcast_arrays(np.atleast_1d(np.asarray(series)), np.atleast_1d(np.asarray(origins)))
        begin = origin - self.context
        values = self._values.gather(numbers, begin, self.context + self.horizon)
        known = self._known.gather(numbers, begin, self.context + self.horizon)
        past = self._past.gather(numbers, begin, self.context)
        return WindowBatch(values, ~np.isnan(values), known, past, numbers, origin, self.context)

    def last(self, ahead: bool = False) -> tuple[Ints, Ints]:
        """The last window of each series that has one: numbers of series and origins, for `at`.

        ahead: the horizon comes after the last step, to predict; every series with `minimum_context` steps has one.
        """
        origins = self._lengths - (0 if ahead else self.horizon)
        numbers = np.flatnonzero(origins >= self._least)
        return numbers, origins[numbers]

    def rolling(self, count: int, stride: int | None = None) -> tuple[Ints, Ints]:
        """Up to `count` windows at the end of each series, `stride` steps (the horizon) apart, the oldest first.

        >>> nothing = np.zeros((9, 0), np.float32)
        >>> windows = Windows([Series("a", 0, np.ones((9, 1)), nothing, nothing)], 3, 2, batch_size=1, seed=0)
        >>> windows.rolling(2)[1].tolist()
        [5, 7]
        """
        apart = self.horizon if stride is None else stride
        if count < 1 or apart < 1:
            raise UsageError(f"The number of rolling origins and their stride must be 1 or more, got {count}, {apart}.")
        back = np.arange(count)[::-1] * apart
        origins = (self._lengths - self.horizon)[:, None] - back
        numbers, columns = np.nonzero(origins >= self._least)
        return numbers, origins[numbers, columns]

    def _places(self, epoch: int, number: int) -> Ints:
        """Which windows are in a batch."""
        if self.evenly or self.count > self._per_epoch:
            random = np.random.default_rng((self.seed, epoch, number))
            if not self.evenly:
                return random.integers(self.count, size=self.examples)
            begins, many = self._origins.spans
            chosen = random.integers(len(begins), size=self.examples)
            return begins[chosen] + random.integers(many[chosen])
        return self._order(epoch, number)

    def _order(self, epoch: int, number: int) -> Ints:
        """Which windows are in a batch of an epoch that has each of them once."""
        whole = self.count <= _MOST_WRITTEN
        together = self.batches_per_epoch if whole else max(1, _WORKED_OUT // self.examples)
        group, place = divmod(number, together)
        kept: dict[tuple[int, int], Ints] = self._kept_order
        if (epoch, group) not in kept:
            kept.clear()
            places = (group * together * self.examples + np.arange(together * self.examples)) % self.count
            if whole:
                kept[epoch, group] = np.random.default_rng((self.seed, epoch)).permutation(self.count)[places]
            else:
                kept[epoch, group] = shuffled(places, self.count, self.seed, epoch)
        return kept[epoch, group][place * self.examples :][: self.examples]

    @cached_property
    def _kept_order(self) -> dict[tuple[int, int], Ints]:
        return {}

    @property
    def _least(self) -> int:
        assert self.minimum_context is not None
        return self.minimum_context

    @cached_property
    def _per_epoch(self) -> int:
        if self.per_epoch is None or (self.count < self.per_epoch and not self.evenly):
            return self.count
        return self.per_epoch

    @cached_property
    def _names(self) -> list[str]:
        return [series.name for series in self.source]

    @cached_property
    def _lengths(self) -> Ints:
        return self._values.lengths

    @cached_property
    def _values(self) -> Flat:
        return Flat([series.values for series in self.source])

    @cached_property
    def _known(self) -> Flat:
        return Flat([series.known for series in self.source])

    @cached_property
    def _past(self) -> Flat:
        return Flat([series.past for series in self.source])

    @cached_property
    def _origins(self) -> Origins:
        unseen = self._values.unseen()
        return Origins.of(self._lengths, unseen, self.context, self.horizon, self._least, self.step)
