"""Many arrays over time as one, read by windows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Flat:
    """Arrays (steps, columns) as one; NaN outside of each. Those that are parts of one array are not copied.

    >>> whole = np.arange(10.0)[:, None].copy()
    >>> flat = Flat([whole[:4], whole[6:]])
    >>> flat.gather(np.array([0, 1]), np.array([-1, 2]), 3)[:, :, 0].T.tolist()
    [[nan, 0.0, 1.0], [8.0, 9.0, nan]]
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self.lengths = np.array([len(part) for part in parts], np.int64)
        self._rows: NDArray[Any]
        self._rows, self._begins = _common(parts) or _joined(parts, self.lengths)

    def gather(self, series: Ints, begin: Ints, length: int) -> Floats:
        """Windows of some length from given steps on, (length, windows, columns)."""
        rows, columns = self._rows.shape
        if not columns:
            return np.zeros((length, len(series), 0), np.float32)
        outside = (begin < 0) | (begin + length > self.lengths[series])
        if rows < length:
            found = np.empty((len(series), length, columns), np.float32)
        else:
            first = np.clip(self._begins[series] + begin, 0, rows - length)
            found = gathered(self._rows, first, length).astype(np.float32, copy=False)
        if outside.any():
            found[outside] = self._padded(series[outside], begin[outside], length)
        return found.swapaxes(0, 1)

    def unseen(self) -> NDArray[np.bool_]:
        """Whether each row of each array, one after the other, is without any value."""
        ends = np.cumsum(self.lengths)
        found = np.empty(int(ends[-1]) if len(ends) else 0, bool)
        for begin, end, first in zip((ends - self.lengths).tolist(), ends.tolist(), self._begins.tolist(), strict=True):
            np.isnan(self._rows[first : first + end - begin]).all(axis=1, out=found[begin:end])
        return found

    def _padded(self, series: Ints, begin: Ints, length: int) -> NDArray[Any]:
        lengths = self.lengths[series][:, None]
        step = begin[:, None] + np.arange(length)
        there = (step >= 0) & (step < lengths)
        found = np.full((*step.shape, self._rows.shape[1]), np.nan, self._rows.dtype)
        found[there] = self._rows[(self._begins[series][:, None] + step)[there]]
        return found


def gathered(rows: NDArray[Any], first: Ints, length: int) -> NDArray[Any]:
    """So many rows from each of the first ones on, (windows, length, columns), copied a window at a time."""
    many, columns = rows.shape
    whole = np.ascontiguousarray(rows).reshape(-1)
    size = whole.itemsize
    shape, strides = (many - length + 1, length * columns), (columns * size, size)
    found: NDArray[Any] = as_strided(whole, shape, strides, writeable=False)[first]
    return found.reshape(len(first), length, columns)


def _common(parts: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], Ints] | None:
    """The array that all are parts of, and where each begins in it; None when there is no such array."""
    if not parts:
        return None
    whole: Any = parts[0] if parts[0].base is None else parts[0].base
    columns = parts[0].shape[1]
    if not columns or not isinstance(whole, np.ndarray) or whole.dtype.kind != "f" or not whole.flags.c_contiguous:
        return None
    row = whole.itemsize * columns
    for part in parts:
        if (part is not whole and part.base is not whole) or part.dtype != whole.dtype or part.shape[1] != columns:
            return None
        if (len(part) > 1 and part.strides[0] != row) or (columns > 1 and part.strides[1] != whole.itemsize):
            return None
    places = [divmod(_address(part) - _address(whole), row) for part in parts]
    if any(rest for _, rest in places):
        return None
    rows = whole.reshape(-1)[: whole.size // columns * columns].reshape(-1, columns)
    return rows, np.array([place for place, _ in places], np.int64)


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _joined(parts: Sequence[NDArray[Any]], lengths: Ints) -> tuple[Floats, Ints]:
    rows = np.empty((int(lengths.sum()), parts[0].shape[1] if parts else 1), np.float32)
    if parts:
        np.concatenate(parts, out=rows, casting="same_kind")
    return rows, np.cumsum(lengths) - lengths
