"""Rows of series spread over the grids of their series: gaps made explicit, ends without values cut off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.data.frequency import Frequency
from ricorso.data.rows import Ints, Rows, Static, blocks, show_time, whole_series
from ricorso.data.table import listed
from ricorso.errors import DataError

# a grid may have so many times as many steps as there are rows, or so many steps
_SPARSEST, _ALWAYS_FINE = 100, 1_000_000


@dataclass(frozen=True)
class Spread:
    """What series are made of, a list entry for each; the arrays of a kind are parts of one."""

    names: list[str]
    starts: NDArray[Any]
    values: list[NDArray[np.float64]]
    known: list[NDArray[np.float32]]
    past: list[NDArray[np.float32]]
    static: list[Static]


@dataclass(frozen=True)
class _Extent:
    """Of each series: its first and last step with a value, and the last with known covariates; none where empty."""

    low: Ints
    high: Ints
    far: Ints

    @property
    def empty(self) -> NDArray[np.bool_]:
        return self.high < self.low


def spread(rows: Rows, start: NDArray[Any], grid: Frequency, drop_empty: bool, notes: list[str]) -> Spread:
    """Each series from its first to its last value; known covariates to the end of the rows.

    Raises DataError for series without any value (unless `drop_empty`) and for rows too far apart for the grid.
    """
    extent = _extent(rows)
    empty = extent.empty
    if empty.any():
        gone = listed([rows.names[i] for i in np.flatnonzero(empty).tolist()])
        if not drop_empty or empty.all():
            advice = "Check the targets" if empty.all() else "Pass drop_empty=True (--drop-empty) to leave them out"
            raise DataError(f"{rows.where}: there is no value at all in series {gone}. {advice}.")
        notes.append(f"left out for having no value at all: {gone}")
    total, many = int((extent.far - extent.low + 1).sum()), len(rows)
    if total > max(_SPARSEST * many, _ALWAYS_FINE):
        raise DataError(
            f"{rows.where}: {many:,} rows would be spread over {total:,} steps of {grid.step}, nearly all empty. "
            f"Pass a longer frequency= (--frequency), or check the times: the first is {show_time(start.min())}, "
            f"the last {show_time(rows.stamps.max())}."
        )
    values, known, past = _filled(rows, extent, notes)
    kept = np.flatnonzero(~empty)
    lengths = (extent.high - extent.low + 1)[kept]
    names = [rows.names[i] for i in kept.tolist()]
    _tell_values(values, lengths, names, notes)
    if gaps := int(np.isnan(known).sum()):
        notes.append(f"missing values of known covariates: {gaps:,}")
    futures = _parted(known, (extent.far - extent.low + 1)[kept])
    starts, static = grid.at(start, extent.low)[kept], [rows.static[i] for i in kept.tolist()]
    return Spread(names, starts, _parted(values, lengths), futures, _parted(past, lengths), static)


def _extent(rows: Rows) -> _Extent:
    assert rows.step is not None
    begins = rows.begins
    low, high, far = (np.empty(len(begins), np.int64) for _ in range(3))
    for series, part in whole_series(begins, len(rows)):
        first = begins[series] - part.start
        seen = np.zeros(part.stop - part.start, bool)
        for column in rows.values[part].T:
            seen |= ~np.isnan(column)
        step = rows.step[part]
        none = ~np.logical_or.reduceat(seen, first)
        low[series] = np.minimum.reduceat(np.where(seen, step, np.iinfo(np.int64).max), first)
        high[series] = np.maximum.reduceat(np.where(seen, step, -1), first)
        far[series] = step[np.append(first[1:], len(step)) - 1] if rows.known.shape[1] else high[series]
        low[series][none], high[series][none], far[series][none] = 0, -1, -1
    return _Extent(low, high, far)


def _filled(
    rows: Rows, extent: _Extent, notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Values, known and past covariates of all series, one after the other."""
    assert rows.step is not None
    lengths, longer = extent.high - extent.low + 1, extent.far - extent.low + 1
    begins, ahead = np.cumsum(lengths) - lengths, np.cumsum(longer) - longer
    values, past = (np.full((int(lengths.sum()), one.shape[1]), np.nan, one.dtype) for one in (rows.values, rows.past))
    known = np.full((int(longer.sum()), rows.known.shape[1]), np.nan, np.float32)
    empty, early, late = extent.empty, 0, 0
    for part in blocks(len(rows)):
        code, step = rows.code[part], rows.step[part]
        after, inside = step - extent.low[code], ~empty[code]
        early += int((inside & (after < 0)).sum())
        inside &= after >= 0
        place = ahead[code] + after
        if rows.known.shape[1]:
            known[place[inside]] = rows.known[part][inside]
        behind = step > extent.high[code]
        late += int((inside & behind).sum())
        inside &= ~behind
        place = (begins[code] + after)[inside]
        values[place], past[place] = rows.values[part][inside], rows.past[part][inside]
    if early:
        notes.append(f"rows before the first value of their series, left out: {early:,}")
    if late:
        what = "for their known covariates" if rows.known.shape[1] else "left out"
        notes.append(f"rows after the last value of their series, {what}: {late:,}")
    return values, known, past


def _parted(whole: NDArray[Any], lengths: Ints) -> list[NDArray[Any]]:
    ends = np.cumsum(lengths).tolist()
    return [whole[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]


def _tell_values(values: NDArray[np.float64], lengths: Ints, names: Sequence[str], notes: list[str]) -> None:
    if missing := sum(int(np.isnan(values[part]).sum()) for part in blocks(len(values))):
        notes.append(f"missing values: {missing:,} of {values.size:,}")
    begins = np.cumsum(lengths) - lengths
    same = (np.fmin.reduceat(values, begins) == np.fmax.reduceat(values, begins)).any(axis=1)
    if same.any():
        notes.append(f"constant series: {listed(names[i] for i in np.flatnonzero(same).tolist())}")
