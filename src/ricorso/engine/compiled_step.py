"""A layer's step through compiled kernels: weights packed once, nothing allocated in a step, NumPy arrays only."""

from collections.abc import Sequence

import numpy as np

from ricorso.engine.stack import ALONE, Array, Ids, LayerWeights, Prepared
from ricorso.equations.cell import Cell
from ricorso.kernels.arguments import INDEX, Arguments, block
from ricorso.kernels.compiled import Compiled
from ricorso.kernels.team import Team

# A step over fewer bytes of weights, or with fewer multiplications, is over before a second thread has begun.
SHARED_BYTES = 500_000
SHARED_WORK = 8_000_000
# Rows of one thread, at least: fewer would not fill the tiles.
LEAST_ROWS = 4
BATCH, THREADS, SPLIT_UNITS, ARRIVALS = (INDEX[name] for name in ("batch", "threads", "split_units", "arrivals"))
VECTOR_BYTES = 64


class CompiledLayer:
    """The buffers and prepared calls of one layer, as `stack.Layer`."""

    def __init__(
        self,
        kernels: Compiled,
        weights: LayerWeights,
        below: Sequence[Array],
        ids: Ids | None,
        signals: Array,
        batch: int,
        team: Team,
        threads: int,
    ) -> None:
        shape = kernels.shape
        cell, hidden, dtype = shape.cell, shape.hidden, weights.like().dtype
        assert weights.weight_ih is not None
        weight_ih = np.ascontiguousarray(weights.weight_ih)
        bias, recurrent_bias = _biases(cell, weights, hidden)
        self.states = [np.zeros((len(cell.states), batch, hidden), dtype) for _ in range(2)]
        self.outputs = [self.states[1][0], self.states[0][0]]
        columns = np.zeros((batch, shape.columns), dtype)
        temporaries = np.zeros((shape.inference.schedule.temporaries, batch, hidden), dtype)
        packed = _aligned(shape.inference.packed_words, dtype)
        if weights.weight_hh is not None:
            weight_hh = np.ascontiguousarray(weights.weight_hh)
            kernels.run("pack", ALONE, {"weight": weight_hh.ctypes.data, "packed": packed.ctypes.data})
        table = packed_ih = None
        if ids is None:
            packed_ih = _aligned(kernels.packed_input_size(weight_ih.shape[1]), dtype)
            values = {
                "weight": weight_ih.ctypes.data,
                "packed_input": packed_ih.ctypes.data,
                "depth": weight_ih.shape[1],
            }
            kernels.run("pack_input", ALONE, values)
        else:
            table = np.ascontiguousarray(weight_ih.T + bias)
        parameters = np.zeros(0, dtype) if weights.parameters is None else np.ascontiguousarray(weights.parameters)
        self._threads = threads if team.fork else 1
        self._shares = shape.inference.shares if packed.nbytes >= SHARED_BYTES else 1
        self._work = len(packed) + (0 if packed_ih is None else len(packed_ih)) + 20 * shape.columns
        self._rows = batch
        self._offsets = np.array([0, batch], np.int64)
        common = {
            **team.arguments,
            "batch": batch,
            "rows": batch,
            "offsets": self._offsets.ctypes.data,
            "columns": columns.ctypes.data,
        }
        self._alive = (
            columns, packed, packed_ih, table, bias, recurrent_bias, below, ids, signals, temporaries,
            parameters,
        )  # fmt: skip
        along = packed_ih is not None and shape.takes_input_along
        self._projections: list[Arguments] = []
        self._steps: list[Arguments] = []
        self.calls: list[list[Prepared]] = []
        for parity in (0, 1):
            calls: list[Prepared] = []
            features: dict[str, int] = {}
            if packed_ih is not None:
                features = {
                    "inputs": below[parity].ctypes.data,
                    "input_stride": weight_ih.shape[1],
                    "input_size": weight_ih.shape[1],
                    "bias": bias.ctypes.data,
                    "packed_input": packed_ih.ctypes.data,
                }
                if not along:
                    self._projections.append(block({**common, **features}))
                    calls.append((kernels.kernel("project"), self._projections[parity]))
            elif not cell.product_gates:
                calls.append((self._gather, (table, ids, columns)))
            before, after = self.states[parity], self.states[1 - parity]
            step = {
                **common,
                **features,
                "steps": 1,
                "mirrored": parity,
                "token_ids": 0 if ids is None or not cell.product_gates else ids.ctypes.data,
                "token_table": 0 if table is None else table.ctypes.data,
                "recurrent_bias": recurrent_bias.ctypes.data,
                "parameters": parameters.ctypes.data,
                "signals": signals.ctypes.data,
                "temporaries": temporaries.ctypes.data,
                "packed": packed.ctypes.data,
                "initial": before.ctypes.data,
                "initial_others": before.ctypes.data + before.strides[0],
                "output": after.ctypes.data,
                "output_stride": hidden,
                "others": after.ctypes.data + after.strides[0],
            }
            self._steps.append(block(step))
            if self._threads > 1 and self._shares > 1:
                calls.append((_forget_arrivals, self._steps[parity]))
            calls.append((kernels.kernel("step" if along else "infer"), self._steps[parity]))
            self.calls.append(calls)
        self.resize(batch)

    def resize(self, rows: int) -> None:
        self._rows = rows
        self._offsets[1] = rows
        for arguments in self._projections:
            arguments[BATCH] = rows
        threads, split_units = self._sharing(rows)
        for arguments in (*self._projections, *self._steps):
            arguments[THREADS], arguments[SPLIT_UNITS] = threads, split_units

    def _sharing(self, rows: int) -> tuple[int, int]:
        """How many threads take part, and whether they share the units (1) or the rows (0)."""
        by_rows = min(self._threads, rows // LEAST_ROWS)
        if by_rows > 1 and rows * self._work >= SHARED_WORK:
            return by_rows, 0
        by_units = min(self._threads, self._shares)
        return by_units, int(by_units > 1)

    def _gather(self, arrays: tuple[Array, Ids, Array]) -> None:
        """Rows of the table into the columns, for cells whose input parts stay where they are."""
        table, ids, columns = arrays
        np.take(table, ids[: self._rows], axis=0, out=columns[: self._rows], mode="clip")


def _forget_arrivals(arguments: Arguments) -> None:
    """Barriers count from 0 in every run; those of a run that counts on would let threads through at once."""
    arguments[ARRIVALS] = 0


def _aligned(words: int, dtype: np.dtype[np.floating]) -> Array:
    """Zeros that begin where a vector register does: every load of packed weights stays within a cache line."""
    memory = np.zeros(words * dtype.itemsize + VECTOR_BYTES, np.uint8)
    begin = -memory.ctypes.data % VECTOR_BYTES
    return memory[begin : begin + words * dtype.itemsize].view(dtype)


def _biases(cell: Cell, weights: LayerWeights, hidden: int) -> tuple[Array, Array]:
    """The bias of the input parts, with that of products that join them, and the biases of products kept apart."""
    dtype = weights.like().dtype
    bias = np.zeros(len(cell.input_gates) * hidden, dtype)
    recurrent = np.zeros(len(cell.product_gates) * hidden, dtype)
    if weights.bias_ih is not None:
        bias[:] = weights.bias_ih
    if weights.bias_hh is not None:
        recurrent[:] = weights.bias_hh
    for own, other in cell.joined_biases:
        bias[own * hidden : (own + 1) * hidden] += recurrent[other * hidden : (other + 1) * hidden]
    return bias, recurrent
