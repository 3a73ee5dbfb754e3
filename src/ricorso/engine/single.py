"""One step of a cell at a call, as decoders take it that are written as a loop.

Products read the weights from where they are, one kernel does the rest of the step. The gradients of the weights are
made once for all steps that one backward pass walks through, as products of everything those steps left.
"""

import os
from functools import cache, lru_cache

import torch
from torch import Tensor

from ricorso.engine import naive
from ricorso.engine.call import Call
from ricorso.engine.device import DTYPES
from ricorso.engine.fast import plan
from ricorso.engine.products import _summed_outer as summed_outer
from ricorso.engine.team import torch_team
from ricorso.equations.cell import Cell
from ricorso.equations.given import given, has_plain_products, spans
from ricorso.kernels import available
from ricorso.kernels.arguments import INDEX, Block, block
from ricorso.kernels.compiled import compiled
from ricorso.kernels.dense import dense

Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
# With more rows packing the weights pays, which kernels for sequences do.
MOST_ROWS = 128
# Below so many multiplications a second thread is not worth waking.
_WORTH_SHARING = 1_000_000


@cache
def takes(cell: Cell) -> bool:
    """Whether steps of this cell can run here, on some tensors."""
    return has_plain_products(cell) and len(cell.states) <= 2 and not available.unavailable()


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether a step runs here for a cell of which `takes` is true. x: (batch, input_size)."""
    return (
        weight.is_cpu
        and weight.dtype in (torch.float32, torch.float64)
        and x.dtype == weight.dtype
        and 0 < x.shape[0] <= MOST_ROWS
        and type(x) in (Tensor, torch.nn.Parameter)
        and os.environ.get("RICORSO_PATH", "") in ("", "llvm")
        and torch._C._functorch.maybe_current_level() is None
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


class Kernels:
    """The kernels of a cell for a number of units and an element type."""

    def __init__(self, cell: Cell, dtype: torch.dtype, hidden: int) -> None:
        name = DTYPES[dtype]
        self.cell, self.hidden, self.size = cell, hidden, dtype.itemsize
        self.inputs, self.leaves, self.spans = len(cell.input_gates), len(cell.leaves), spans(cell)
        self.compiled = compiled(given(cell), name, hidden)
        self.dense = dense(name)
        self.nothing = torch.zeros(hidden, dtype=dtype)
        self._template = block({"threads": 1, "steps": 1, "output_stride": hidden})
        shape = self.compiled.shape
        self._directions = {"forward": shape.forward, "backward": shape.backward}

    def forward(self, x: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[tuple[Tensor, ...], Tensor]:
        """New states, and the columns that backward needs; states as `plain` leaves them."""
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        batch = x.shape[0]
        columns = x.new_empty(batch, self.leaves * self.hidden)
        self._times(columns, 0, self.inputs, x, weight_ih, 0, bias_ih, add=False)
        for span in self.spans:
            joins = span.leaf < self.inputs
            self._times(columns, span.leaf, span.count, states[0], weight_hh, span.matrix, bias_hh, add=joins)
        new = tuple(torch.empty_like(state) for state in states)
        self._run("forward", columns, states, new, {})
        return new, columns

    def backward(
        self, columns: Tensor, states: tuple[Tensor, ...], new: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...],
        weight_hh: Tensor, overwrite: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Gradients of the columns and of the old states, (states, batch, hidden_size).

        overwrite: the columns may be written over.
        """
        of_columns = columns if overwrite else torch.empty_like(columns)
        of_states = columns.new_empty(len(states), *states[0].shape)
        for own, gradient in zip(of_states, gradients, strict=True):
            if gradient is None:
                own.zero_()
            else:
                own.copy_(gradient)
        added = {
            "output_gradient": self.nothing.data_ptr(),
            "column_gradients": of_columns.data_ptr(),
            "state_gradients": of_states.data_ptr(),
        }
        self._run("backward", columns, states, new, added)
        for span in self.spans:
            self._mix(of_states[0], of_columns, span.leaf, span.count, weight_hh, span.matrix, add=True)
        return of_columns, of_states

    def input_gradient(self, of_columns: Tensor, weight_ih: Tensor) -> Tensor:
        """The gradient of x."""
        found = of_columns.new_empty(of_columns.shape[0], weight_ih.shape[1])
        self._mix(found, of_columns, 0, self.inputs, weight_ih, 0, add=False)
        return found

    def _run(
        self, name: str, columns: Tensor, states: tuple[Tensor, ...], new: tuple[Tensor, ...], added: dict[str, int]
    ) -> None:
        batch, direction = columns.shape[0], self._directions[name]
        temporaries = columns.new_empty(direction.schedule.temporaries * batch * self.hidden)
        values = {
            "batch": batch,
            "rows": batch,
            "offsets": _offsets(batch).data_ptr(),
            "columns": columns.data_ptr(),
            "initial": states[0].data_ptr(),
            "initial_others": states[-1].data_ptr(),
            "output": new[0].data_ptr(),
            "others": new[-1].data_ptr(),
            "temporaries": temporaries.data_ptr(),
            **added,
        }
        chosen = plan(self.compiled, direction, 1, batch)
        if chosen["threads"] > 1:
            shared = {"steps": 1, "output_stride": self.hidden, **chosen}
            self.compiled.run(name, torch_team(), values | shared)
            return
        arguments = Block.from_buffer_copy(self._template)
        for field, value in values.items():
            arguments[INDEX[field]] = value
        self.compiled.kernel(name)(arguments)

    def _times(
        self, columns: Tensor, leaf: int, count: int, vectors: Tensor, weight: Tensor, matrix: int, bias: Tensor | None,
        add: bool,
    ) -> None:  # fmt: skip
        """columns of some leaves = or += vectors @ some matrices of a weight, transposed, + bias."""
        rows, depth, offset = vectors.shape[0], weight.shape[1], matrix * self.hidden * self.size
        sizes = (rows, count * self.hidden, depth)
        self.dense.run(
            "times",
            sizes,
            (vectors.data_ptr(), vectors.stride(0)),
            (weight.data_ptr() + offset * depth, depth),
            (columns.data_ptr() + leaf * self.hidden * self.size, columns.shape[1]),
            0 if bias is None else bias.data_ptr() + offset,
            add=add,
            team=torch_team(),
            threads=_threads(sizes),
        )

    def _mix(
        self, result: Tensor, columns: Tensor, leaf: int, count: int, weight: Tensor, matrix: int, add: bool
    ) -> None:
        """result = or += columns of some leaves @ some matrices of a weight."""
        depth, offset = count * self.hidden, matrix * self.hidden * self.size
        sizes = (result.shape[0], weight.shape[1], depth)
        self.dense.run(
            "mix",
            sizes,
            (columns.data_ptr() + leaf * self.hidden * self.size, columns.shape[1]),
            (weight.data_ptr() + offset * weight.shape[1], weight.shape[1]),
            (result.data_ptr(), result.shape[1]),
            add=add,
            team=torch_team(),
            threads=_threads(sizes),
        )


def _threads(sizes: tuple[int, int, int]) -> int:
    rows, units, depth = sizes
    # a single row reads as much memory as four
    return torch.get_num_threads() if max(rows, 4) * units * depth >= _WORTH_SHARING else 1


kernels_for = cache(Kernels)


@lru_cache(maxsize=256)
def _offsets(batch: int) -> Tensor:
    return torch.tensor([0, batch])


def step(cell: Cell, x: Tensor, states: tuple[Tensor, ...], weights: Weights, shared: "Shared") -> tuple[Tensor, ...]:
    """New states, (batch, hidden_size) each. x: (batch, input_size); shared: what the steps of a layer share."""
    if torch.is_grad_enabled():
        asked = [t.requires_grad for t in (x, *states, *weights) if t is not None]
        if any(asked):
            found: tuple[Tensor, ...] = _Step.apply(cell, shared.meeting(weights), x, *weights, *states)  # type: ignore[no-untyped-call]
            return found
    return _forward(cell, x, states, weights)[0]


def _forward(
    cell: Cell, x: Tensor, states: tuple[Tensor, ...], weights: Weights
) -> tuple[tuple[Tensor, ...], Tensor]:
    kernels = kernels_for(cell, x.dtype, states[0].shape[1])
    plain = tuple(state.contiguous() for state in states)
    dense_weights = tuple(None if weight is None else weight.contiguous() for weight in weights)
    return kernels.forward(x if x.stride(1) == 1 else x.contiguous(), plain, dense_weights)  # type: ignore[arg-type]


class Shared:
    """Where the steps of a layer meet in a backward pass."""

    def __init__(self) -> None:
        self._last: tuple[Weights, tuple[bool, ...], Tensor, dict[str, bool]] | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> "Shared":
        return Shared()

    def __reduce__(self) -> tuple[type["Shared"], tuple[()]]:
        return Shared, ()

    def meeting(self, weights: Weights) -> Tensor | None:
        """A tensor through which steps with these weights reach them; None where no weight has a gradient.

        It is the same tensor until a backward pass has come by.
        """
        asked = tuple(weight is not None and weight.requires_grad for weight in weights)
        if not any(asked):
            return None
        if self._last is not None:
            known, before, found, state = self._last
            if before == asked and not state["over"] and all(a is b for a, b in zip(known, weights, strict=True)):
                return found
        state = {"over": False}
        made: Tensor = _Meeting.apply(state, *weights)  # type: ignore[no-untyped-call]
        self._last = weights, asked, made, state
        return made


class _Meeting(torch.autograd.Function):
    """Runs after all steps of a backward pass, and makes the gradients of the weights from what they left."""

    @staticmethod
    def forward(ctx, state, *weights):  # type: ignore[no-untyped-def]
        ctx.state = state
        ctx.left = {}
        ctx.set_materialize_grads(False)
        return weights[0].new_empty(0)

    @staticmethod
    def backward(ctx, _):  # type: ignore[no-untyped-def]
        ctx.state["over"] = True
        left = ctx.left.pop(torch._C._current_graph_task_id(), [])
        if not left:
            return None, None, None, None, None
        cell = left[0][0]
        of_columns, x, h = (torch.cat(parts) if len(parts) > 1 else parts[0] for parts in list(zip(*left, strict=True))[1:])
        return None, *_weight_gradients(cell, of_columns, x, h, ctx.needs_input_grad[1:])


def _weight_gradients(
    cell: Cell, of_columns: Tensor, x: Tensor, h: Tensor, asked: tuple[bool, ...]
) -> list[Tensor | None]:
    """Of weight_ih, weight_hh, bias_ih and bias_hh; all steps below one another."""
    hidden, inputs = h.shape[1], len(cell.input_gates)
    own = of_columns[:, : inputs * hidden]
    parts = [of_columns[:, span.leaf * hidden : (span.leaf + span.count) * hidden] for span in spans(cell)]
    sums = of_columns.sum(0) if asked[2] or asked[3] else None
    recurrent = []
    if asked[1]:
        recurrent = [summed_outer(part, h) for part in parts]
    biases = []
    if sums is not None and asked[3]:
        biases = [sums[span.leaf * hidden : (span.leaf + span.count) * hidden] for span in spans(cell)]
    return [
        summed_outer(own, x) if asked[0] else None,
        torch.cat(recurrent) if len(recurrent) > 1 else recurrent[0] if recurrent else None,
        sums[: inputs * hidden] if sums is not None and asked[2] else None,
        torch.cat(biases) if biases else None,
    ]


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, cell, meeting, x, weight_ih, weight_hh, bias_ih, bias_hh, *states):  # type: ignore[no-untyped-def]
        weights = weight_ih, weight_hh, bias_ih, bias_hh
        new, columns = _forward(cell, x, states, weights)
        ctx.save_for_backward(x, *weights, *states, *new, columns)
        ctx.cell = cell
        ctx.set_materialize_grads(False)
        return new

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        x, *saved = ctx.saved_tensors
        weights, rest, cell = saved[:4], saved[4:], ctx.cell
        count = len(cell.states)
        states, new, columns = rest[:count], rest[count : 2 * count], rest[2 * count]
        if torch.is_grad_enabled():
            return None, None, *_differentiable(cell, x, weights, states, gradients, ctx.needs_input_grad[2:])
        # Nobody else sees the columns; unless this graph will be walked again they are free to be overwritten.
        overwrite = not torch._C._autograd._get_current_graph_task_keep_graph()
        kernels = kernels_for(cell, x.dtype, states[0].shape[1])
        plain = tuple(state.contiguous() for state in states)
        of_columns, of_states = kernels.backward(columns, plain, new, gradients, weights[1].contiguous(), overwrite)
        meeting = _meeting_of(ctx)
        if meeting is not None:
            meeting.left.setdefault(torch._C._current_graph_task_id(), []).append((cell, of_columns, x, states[0]))
        of_x = kernels.input_gradient(of_columns, weights[0].contiguous()) if ctx.needs_input_grad[2] else None
        return None, None, of_x, None, None, None, None, *of_states


def _meeting_of(ctx):  # type: ignore[no-untyped-def]
    """The meeting that this step's weights wait for, where this backward pass goes there."""
    if not ctx.needs_input_grad[1]:
        return None
    meeting = ctx.next_functions[0][0]
    return meeting if torch._C._will_engine_execute_node(meeting) else None


def _differentiable(cell, x, weights, states, gradients, asked):  # type: ignore[no-untyped-def]
    """The same gradients by the oracle, for a backward pass that is differentiated itself."""
    with torch.enable_grad():
        call = Call(x.unsqueeze(0), *weights, None, None, torch.stack(states))
        _, finals = naive.run(cell, call)
    tensors = [x, *weights, *states]
    wanted = [t for t, needed in zip(tensors, asked, strict=True) if needed and t is not None]
    used = [(final, g) for final, g in zip(finals, gradients, strict=True) if g is not None]
    found = iter(
        torch.autograd.grad(
            [final for final, _ in used], wanted, [g for _, g in used], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if needed and t is not None else None for t, needed in zip(tensors, asked, strict=True)]
