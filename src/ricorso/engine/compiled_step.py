"""A layer's step through compiled kernels: weights packed once, nothing allocated in a step, NumPy arrays only."""

from collections.abc import Sequence

import numpy as np

from ricorso.engine.stepper import ALONE, Array, Ids, LayerWeights, Prepared
from ricorso.equations.cell import Cell
from ricorso.kernels.arguments import Arguments, block
from ricorso.kernels.compiled import Compiled, Native
from ricorso.kernels.team import Team

# A step over fewer bytes of weights is over before a second thread has begun.
SHARED_BYTES = 500_000


class CompiledLayer:
    """The buffers and prepared calls of one layer. States alternate between two buffers: parity p reads p."""

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
        columns, extras = np.zeros((batch, shape.columns), dtype), np.zeros((batch, shape.extras), dtype)
        temporaries = np.zeros((shape.forward.schedule.temporaries, batch, hidden), dtype)
        packed = np.zeros(shape.forward.packed_words, dtype)
        if weights.weight_hh is not None:
            weight_hh = np.ascontiguousarray(weights.weight_hh)
            kernels.run("pack", ALONE, {"weight": weight_hh.ctypes.data, "packed": packed.ctypes.data})
        table = packed_ih = None
        if ids is None:
            packed_ih = np.zeros(kernels.packed_input_size(weight_ih.shape[1]), dtype)
            values = {"weight": weight_ih.ctypes.data, "packed": packed_ih.ctypes.data, "depth": weight_ih.shape[1]}
            kernels.run("pack_input", ALONE, values)
        else:
            table = np.ascontiguousarray(weight_ih.T + bias)
        parameters = np.zeros(0, dtype) if weights.parameters is None else np.ascontiguousarray(weights.parameters)
        shared = {"threads": 1, "split_units": 0}
        if team.fork and packed.nbytes >= SHARED_BYTES and shape.forward.shares > 1:
            shared = {"threads": min(threads, shape.forward.shares), "split_units": 1, **team.arguments}
        common = {**shared, "batch": batch, "columns": columns.ctypes.data, "extras": extras.ctypes.data}
        self._alive = (
            columns, extras, packed, packed_ih, table, bias, recurrent_bias, below, ids, signals, temporaries,
            parameters,
        )  # fmt: skip
        self.calls: list[list[Prepared]] = []
        for parity in (0, 1):
            calls: list[Prepared] = []
            if packed_ih is not None:
                project = {
                    **common,
                    "inputs": below[parity].ctypes.data,
                    "input_stride": weight_ih.shape[1],
                    "input_size": weight_ih.shape[1],
                    "bias": bias.ctypes.data,
                    "packed": packed_ih.ctypes.data,
                }
                calls.append((kernels.kernel("project"), block(project)))
            elif not cell.product_gates:
                calls.append((_gather(table, ids, columns), block({})))
            before, after = self.states[parity], self.states[1 - parity]
            step = {
                **common,
                "steps": 1,
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
            calls.append((kernels.kernel("step"), block(step)))
            self.calls.append(calls)


def _gather(table: Array | None, ids: Ids | None, columns: Array) -> Native:
    """Rows of the table into the columns, for cells whose input parts stay where they are."""
    assert table is not None
    assert ids is not None

    def gather(_: Arguments) -> None:
        np.take(table, ids, axis=0, out=columns, mode="clip")

    return gather


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
