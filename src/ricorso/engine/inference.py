"""Runs without gradients: weights are packed once, for as long as they stay the same."""

import ctypes
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ricorso.engine import products, projection, sharing
from ricorso.engine.arguments import empty_output, kernels_for, recurrent_bias
from ricorso.engine.call import COMPUTED_IN, Call, Saved
from ricorso.engine.projection import Projection, threads_to_pack
from ricorso.engine.team import torch_team
from ricorso.equations.cell import Cell
from ricorso.kernels.arguments import INDEX, Arguments, Block, block
from ricorso.kernels.fingerprint import fingerprint

# a weight -> what it and its fellows looked like, the cell, and what was prepared
_KEPT = WeakTensorKeyDictionary()
_FEW = 65_536
# Input parts of so many bytes are not made all at once: allocating them and fetching them back takes longer than more
# runs. A piece of them stays in the cache that cores share.
_MOST_BYTES, _PIECE_BYTES = 8 << 20, 2 << 20


def infer(cell: Cell, call: Call) -> tuple[Tensor, Tensor]:
    """Outputs and final states as `fast.forward` gives them, keeping nothing for a backward pass."""
    output, others = prepared(cell, call).run(call)
    nothing = output.new_empty(0)
    return output, Saved(output, others, nothing, nothing).finals(call)


def infer_stack(
    cell: Cell, inputs: Tensor, layers: Sequence[Sequence[tuple[Tensor | None, ...]]]
) -> tuple[Tensor, list[Tensor]]:
    """Layers above one another, from states of zero: outputs of the last, and each state after the last step.

    inputs: (time, batch, features). layers: for each the weights and parameters of its directions, as `Call` has them.
    States are (layers * directions, batch, hidden_size), those of both directions side by side.
    """
    (steps, batch), like = inputs.shape[:2], layers[0][0][0]
    assert like is not None
    hidden, ends = len(like) // len(cell.input_gates), len(layers) * len(layers[0])
    finals = [inputs.new_empty(ends, batch, hidden) for _ in cell.states]
    zeros = _kept_zeros if batch * hidden <= _FEW else torch.zeros
    initial = zeros(len(cell.states), batch, hidden, dtype=inputs.dtype)
    size = batch * hidden * inputs.element_size()
    end = 0
    for directions in layers:
        outputs = []
        for reverse, weights in enumerate(directions):
            call = Call(inputs, *weights, None, initial, bool(reverse))  # type: ignore[arg-type, call-arg]
            output, others = prepared(cell, call).run(call)
            last = 0 if reverse else steps - 1
            for number, final in enumerate(finals):
                source = output.data_ptr() if number == 0 else others.data_ptr() + (number - 1) * steps * size
                ctypes.memmove(final.data_ptr() + end * size, source + last * size, size)
            outputs.append(output)
            end += 1
        inputs = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
    return inputs, finals


@lru_cache(maxsize=16)
def _kept_zeros(states: int, batch: int, hidden: int, *, dtype: torch.dtype) -> Tensor:
    """States that kernels only read, made once where making them takes long beside the run."""
    return torch.zeros(states, batch, hidden, dtype=dtype)


def prepared(cell: Cell, call: Call) -> "Prepared":
    """The weights of a call as kernels want them, from the last call if they are the same number for number.

    Torch counts changes of a tensor but not those through `.data`, so the numbers themselves are looked at.
    """
    areas = []
    for weight in (call.weight_ih, call.weight_hh, call.bias_ih, call.bias_hh):
        if weight is not None:
            size = weight.numel() * weight.element_size()
            if size % 4 or not weight.is_contiguous():
                return Prepared(cell, call)
            areas += [weight.data_ptr(), size // 4]
    look = areas, fingerprint(areas)
    key = call.weight_ih if call.weight_hh is None else call.weight_hh
    kept = _KEPT.get(key)  # type: ignore[no-untyped-call]
    if kept is not None and kept[1] is cell and kept[0] == look:
        found: Prepared = kept[2]
        return found
    made = Prepared(cell, call)
    _KEPT[key] = look, cell, made
    return made


class Prepared:
    """One layer in one direction with the weights of a moment."""

    def __init__(self, cell: Cell, call: Call) -> None:
        self.cell, self.kernels = cell, kernels_for(cell, call)
        self._projection: Projection | None = None
        self._table: Tensor | None = None
        self._computed = COMPUTED_IN[call.dtype]
        self._packed = None if call.weight_hh is None else self._pack(call.weight_hh.contiguous())
        self._recurrent_bias = recurrent_bias(cell, call)
        values = {"output_stride": self.kernels.shape.hidden, **torch_team().arguments}
        for name, tensor in (("packed", self._packed), ("recurrent_bias", self._recurrent_bias)):
            values[name] = 0 if tensor is None else tensor.data_ptr()
        self._template = block(values)

    def _pack(self, weight: Tensor) -> Tensor:
        packed = torch.empty(self.kernels.shape.inference.packed_words, dtype=self._computed)
        values = {"threads": threads_to_pack(weight), "weight": weight.data_ptr(), "packed": packed.data_ptr()}
        self.kernels.run("pack", torch_team(), values)
        return packed

    def run(self, call: Call) -> tuple[Tensor, Tensor]:
        """Outputs, and the other states at every step, (states - 1, time, batch, hidden), as `Saved` has them."""
        cell, kernels, hidden = self.cell, self.kernels, self.kernels.shape.hidden
        steps, batch, rows = call.steps, call.batch, call.rows
        arguments = Block.from_buffer_copy(self._template)
        initial, size = call.initial.contiguous(), call.initial.element_size()
        alive = [initial]
        at_once = steps
        if projection.takes(call):
            if self._projection is None:
                self._projection = Projection(kernels, cell, call)
            at_once = self._steps_at_once(call)
            if at_once == steps:
                alive.append(self._projection.columns(call))
                arguments[_COLUMNS] = alive[-1].data_ptr()
        elif call.inputs.is_floating_point() or not (cell.product_gates and cell.input_gates):
            alive.append(products.project(cell, call))
            arguments[_COLUMNS] = alive[-1].data_ptr()
        else:
            if self._table is None:
                self._table = products.token_table(cell, call)
            alive.append(call.inputs.contiguous())
            arguments[_TOKEN_IDS], arguments[_TOKEN_TABLE] = alive[-1].data_ptr(), self._table.data_ptr()
        for place, tensor in ((_PARAMETERS, call.parameters), (_SIGNALS, call.signals)):
            if tensor is not None:
                alive.append(tensor.to(self._computed).contiguous())
                arguments[place] = alive[-1].data_ptr()
        if self._computed == call.dtype:
            arguments[_INITIAL_OTHERS] = initial.data_ptr() + batch * hidden * size
        else:
            alive.append(initial[1:].to(self._computed))
            arguments[_INITIAL_OTHERS] = alive[-1].data_ptr()
        temporaries = kernels.shape.inference.schedule.temporaries
        if temporaries:
            alive.append(torch.empty(temporaries * batch * hidden, dtype=self._computed))
            arguments[_TEMPORARIES] = alive[-1].data_ptr()
        if call.grid is not None:
            arguments[_PLACES] = call.grid.places.data_ptr()
        offsets, output = call.offsets, empty_output(call)
        others = output.new_empty((len(cell.states) - 1, *call.leading, hidden), dtype=self._computed)
        arguments[_INITIAL] = initial.data_ptr()
        arguments[_OFFSETS] = offsets.data_ptr()
        arguments[_OUTPUT] = output.data_ptr()
        arguments[_OTHERS] = others.data_ptr()
        arguments[_STEPS], arguments[_BATCH], arguments[_ROWS] = steps, batch, rows
        arguments[_REVERSE], arguments[_SEED], arguments[_FIRST_STEP] = call.reverse, call.seed, call.first_step
        chosen = sharing.plan(kernels, kernels.shape.inference, steps, -(-rows // steps))
        arguments[_THREADS], arguments[_SPLIT_UNITS] = chosen["threads"], chosen["split_units"]
        if at_once < steps:
            self._run_in_pieces(arguments, call.inputs.contiguous(), at_once)
        else:
            kernels.run_block("infer", torch_team(), arguments)
        return output, others

    def _steps_at_once(self, call: Call) -> int:
        """How many steps are projected before they are run: all, or what stays in the cache where all would not."""
        assert self._projection is not None
        simple = call.sizes is None and call.signals is None and not call.reverse and len(self.cell.states) <= 2
        size = call.batch * self._projection.width * call.initial.element_size()
        if not simple or size * call.steps <= _MOST_BYTES:
            return call.steps
        return min(call.steps, max(1, _PIECE_BYTES // size))

    def _run_in_pieces(self, arguments: Arguments, inputs: Tensor, at_once: int) -> None:
        """Project and run some steps, then the next; arguments: of the whole run, but for its columns."""
        assert self._projection is not None
        steps, batch = inputs.shape[:2]
        columns = inputs.new_empty(at_once * batch, self._projection.width)
        step = batch * self.kernels.shape.hidden * inputs.element_size()
        arguments[_COLUMNS] = columns.data_ptr()
        for begin in range(0, steps, at_once):
            piece = inputs[begin : begin + at_once]
            self._projection.fill(columns, piece)
            arguments[_STEPS], arguments[_ROWS], arguments[_ARRIVALS] = len(piece), len(piece) * batch, 0
            self.kernels.run_block("infer", torch_team(), arguments)
            done = len(piece) * step
            arguments[_INITIAL], arguments[_INITIAL_OTHERS] = (
                arguments[place] + done - step for place in (_OUTPUT, _OTHERS)
            )
            for place in (_OUTPUT, _OTHERS):
                arguments[place] += done
            arguments[_FIRST_STEP] += len(piece)


# Where the fields are in the argument block; looking them up by name takes as long as a small step.
(
    _COLUMNS, _TOKEN_IDS, _TOKEN_TABLE, _PARAMETERS, _SIGNALS, _INITIAL, _INITIAL_OTHERS, _TEMPORARIES, _PLACES,
    _OFFSETS, _OUTPUT, _OTHERS, _STEPS, _BATCH, _ROWS, _REVERSE, _SEED, _FIRST_STEP, _THREADS,
    _SPLIT_UNITS, _ARRIVALS,
) = (
    INDEX[name]
    for name in (
        "columns", "token_ids", "token_table", "parameters", "signals", "initial", "initial_others", "temporaries",
        "places", "offsets", "output", "others", "steps", "batch", "rows", "reverse", "seed", "first_step",
        "threads", "split_units", "arrivals",
    )
)  # fmt: skip
