"""The one Triton kernel: it unrolls the program of a stage, given as constants, for a block of rows and units.

Imported only where triton is installed.
"""

# ruff: noqa: RUF005, SIM108 - Triton's language has no starred tuples, and evaluates both sides of a conditional.
from typing import Any, NamedTuple

import triton
import triton.language as tl

from ricorso.kernels import noise


class Memory(NamedTuple):
    """What a kernel reads and writes; None what a cell does not have.

    columns, gradients: (time, batch, input gates * hidden_size), extras, extra_gradients: (time, batch, other leaves *
    hidden_size); output, output_gradient: (time, batch, hidden_size);
    others: (states - 1, time, batch, hidden_size); initial, state_gradients: (states, batch, hidden_size);
    wide: initial in the type of others;
    bias: (product gates * hidden_size); parameters: (parameters, hidden_size); signals: (signals, time, batch);
    vectors: (vectors, time, batch, hidden_size); temporaries: (temporaries, batch, hidden_size);
    products: (slots * batch * hidden_size); sums: (blocks of rows, parameters, hidden_size).
    """

    columns: Any
    extras: Any
    gradients: Any
    extra_gradients: Any
    output: Any
    others: Any
    initial: Any
    wide: Any
    bias: Any
    parameters: Any
    signals: Any
    output_gradient: Any
    state_gradients: Any
    vectors: Any
    temporaries: Any
    products: Any
    sums: Any


LASTING, LOADS, WORK, STORES, SUMS, CARRIED = (tl.constexpr(part) for part in range(6))
ROW, MIX_1, MIX_2 = tl.constexpr(noise.ROW), tl.constexpr(noise.MIX_1), tl.constexpr(noise.MIX_2)
STEP, ALL_STEPS = tl.constexpr(noise.STEP), tl.constexpr(noise.STATIC)


@triton.constexpr_function
def _size(program, part):
    return len(program[part])


@triton.constexpr_function
def _entry(program, part, n):
    return program[part][n]


@triton.constexpr_function
def _field(program, part, n, field):
    return program[part][n][field]


@triton.jit
def _tanh(x):
    """Through exp, and by a series where that would cancel."""
    e = tl.exp(-2 * tl.abs(x))
    far = (1 - e) / (1 + e)
    s = x * x
    p = s * (6404582 / 10854718875) - 929569 / 638512875
    p = p * s + 21844 / 6081075
    p = p * s - 1382 / 155925
    p = p * s + 62 / 2835
    p = p * s - 17 / 315
    p = p * s + 2 / 15
    p = p * s - 1 / 3
    return tl.where(s < 0.01, x + x * s * p, tl.where(x < 0, -far, far))


@triton.jit
def _softplus(x):
    e = tl.exp(-tl.abs(x))
    u = 1 + e
    # log(1 + e) loses e where it is small; the quotient puts it back.
    tail = tl.where(u == 1, e, tl.log(u) * e / tl.where(u == 1, 1, u - 1))
    return tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL) + tail


@triton.jit
def _apply(operation: tl.constexpr, a, b, c):
    if operation == "add":
        result = a + b
    elif operation == "subtract":
        result = a - b
    elif operation == "multiply":
        result = a * b
    elif operation == "divide":
        result = a / b
    elif operation == "sqrt":
        result = tl.sqrt(a)
    elif operation == "sigmoid":
        result = 1 / (1 + tl.exp(-a))
    elif operation == "tanh":
        result = _tanh(a)
    elif operation == "relu":
        result = tl.maximum(a, 0.0, propagate_nan=tl.PropagateNan.ALL)
    elif operation == "softplus":
        result = _softplus(a)
    elif operation == "exp":
        result = tl.exp(a)
    elif operation == "log":
        result = tl.log(a)
    elif operation == "abs":
        result = tl.abs(a)
    elif operation == "sine":
        result = tl.sin(a)
    elif operation == "cosine":
        result = tl.cos(a)
    elif operation == "step":
        result = tl.where(a > 0, 1.0, 0.0).to(a.dtype)
    elif operation == "maximum":
        result = tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)
    else:
        tl.static_assert(operation == "where", "the operation is outside the vocabulary")
        result = tl.where(a > 0, b, c)
    return result


@triton.jit
def _mix(x):
    x = (x ^ (x >> 16)) * MIX_1
    x = (x ^ (x >> 13)) * MIX_2
    return x ^ (x >> 16)


@triton.jit
def _uniform(number: tl.constexpr, step, low, high, rows, units, TYPE: tl.constexpr):
    """As engine/noise.py."""
    low, high = low.to(tl.uint32), high.to(tl.uint32)
    key = _mix(low ^ _mix(high + _mix(step * STEP + number)))
    x = rows.to(tl.uint32)[:, None] * ROW + units.to(tl.uint32)[None, :]
    x = _mix(_mix(x ^ key))
    return (x >> 8).to(TYPE) * 5.9604644775390625e-08


@triton.jit
def _block(
    kind: tl.constexpr,
    number: tl.constexpr,
    memory,
    t,
    previous,
    first,
    steps,
    batch,
    rows,
    units,
    HIDDEN: tl.constexpr,
    INPUTS: tl.constexpr,
    EXTRAS: tl.constexpr,
):
    """The addresses of a value of each row and unit."""
    step = batch.to(tl.int64) * HIDDEN
    in_columns: tl.constexpr = kind == "projected" or kind == "column" or kind == "d_column"
    in_extras: tl.constexpr = kind == "extra" or kind == "d_extra"
    width: tl.constexpr = HIDDEN * (INPUTS if in_columns else EXTRAS if in_extras else 1)
    if kind == "projected" or kind == "column":
        start = memory.columns + t * step * INPUTS + number * HIDDEN
    elif kind == "d_column":
        start = memory.gradients + t * step * INPUTS + number * HIDDEN
    elif kind == "extra":
        start = memory.extras + t * step * EXTRAS + number * HIDDEN
    elif kind == "d_extra":
        start = memory.extra_gradients + t * step * EXTRAS + number * HIDDEN
    elif kind == "old":
        if number == 0:
            start = tl.where(first, memory.initial, memory.output + previous * step)
        else:
            later = memory.others + ((number - 1) * steps + previous) * step
            start = tl.where(first, memory.wide + number * step, later)
    elif kind == "new":
        if number == 0:
            start = memory.output + t * step
        else:
            start = memory.others + ((number - 1) * steps + t) * step
    elif kind == "d_new" or kind == "d_old":
        start = memory.state_gradients + number * step
    elif kind == "d_output":
        start = memory.output_gradient + t * step
    elif kind == "vector":
        start = memory.vectors + (number * steps + t) * step
    else:
        tl.static_assert(kind == "temporary", "the place is outside the vocabulary")
        start = memory.temporaries + number * step
    return start + rows[:, None] * width + units[None, :]


@triton.jit
def _in_product(
    width: tl.constexpr, member: tl.constexpr, batch, rows, units, HIDDEN: tl.constexpr, HEADS: tl.constexpr
):
    """Where the values of one of `width` products are, which lie as (heads, batch, width, hidden_size / heads)."""
    depth: tl.constexpr = HIDDEN // HEADS
    of_row = rows[:, None] * (width * depth)
    if HEADS == 1:
        within = of_row + units[None, :]
    else:
        head, unit = units // depth, units % depth
        within = head[None, :] * batch * (width * depth) + of_row + unit[None, :]
    return within + member * depth


@triton.jit
def _lasting(program: tl.constexpr, memory, low, high, rows, units, mask, HIDDEN: tl.constexpr, TYPE: tl.constexpr):
    """What is the same at all steps."""
    values = ()
    for i in tl.static_range(_size(program, LASTING)):
        if _field(program, LASTING, i, 0) == "static noise":
            step = tl.full((), ALL_STEPS, tl.uint32)
            value = _uniform(_field(program, LASTING, i, 1), step, low, high, rows, units, TYPE)
        else:
            start = memory.bias if _field(program, LASTING, i, 0) == "bias" else memory.parameters
            at = start + _field(program, LASTING, i, 1) * HIDDEN + units[None, :]
            # Loaded for each row, so that it has the layout of all else.
            value = tl.load(at + rows[:, None] * 0, mask=mask, other=0.0).to(TYPE)
        values = values + (value,)
    return values


@triton.jit
def _loaded(
    program: tl.constexpr, memory, s, steps, batch, low, high, first_step, rows, units, mask, HIDDEN: tl.constexpr,
    HEADS: tl.constexpr, INPUTS: tl.constexpr, EXTRAS: tl.constexpr, REVERSE: tl.constexpr, BACKWARD: tl.constexpr,
    TYPE: tl.constexpr,
):  # fmt: skip
    """What a step starts from."""
    t, previous, first = _when(s, steps, REVERSE, BACKWARD)
    values = ()
    for i in tl.static_range(_size(program, LOADS)):
        if _field(program, LOADS, i, 0) == "noise":
            step = (first_step + t).to(tl.uint32)
            value = _uniform(_field(program, LOADS, i, 1), step, low, high, rows, units, TYPE)
        else:
            if _field(program, LOADS, i, 0) == "signal":
                start = memory.signals + (_field(program, LOADS, i, 1) * steps + t) * batch
                at = start + rows[:, None] + units[None, :] * 0
            elif _field(program, LOADS, i, 0) == "product":
                start = memory.products + _field(program, LOADS, i, 1) * batch.to(tl.int64) * HIDDEN
                at = start + _in_product(
                    _field(program, LOADS, i, 2), _field(program, LOADS, i, 3), batch, rows, units, HIDDEN, HEADS
                )
            else:
                at = _block(
                    _field(program, LOADS, i, 0), _field(program, LOADS, i, 1), memory, t, previous, first, steps,
                    batch, rows, units, HIDDEN, INPUTS, EXTRAS,
                )  # fmt: skip
            value = tl.load(at, mask=mask, other=0.0).to(TYPE)
        values = values + (value,)
    return values


@triton.jit
def _computed(program: tl.constexpr, values, mask, HIDDEN: tl.constexpr, TYPE: tl.constexpr):
    """The values that a step starts from, and those it computes."""
    for i in tl.static_range(_size(program, WORK)):
        if _field(program, WORK, i, 0) == "constant":
            value = tl.full((1, 1), _field(program, WORK, i, 4), TYPE)
        else:
            a = values[_field(program, WORK, i, 1)]
            if _field(program, WORK, i, 0) == "mean":
                a = tl.where(mask, tl.broadcast_to(a, mask.shape), 0.0)
                value = tl.sum(a, axis=1, keep_dims=True) / HIDDEN
            else:
                b, c = values[_field(program, WORK, i, 2)], values[_field(program, WORK, i, 3)]
                value = _apply(_field(program, WORK, i, 0), a, b, c)
        values = values + (value,)
    return values


@triton.jit
def _when(s, steps, REVERSE: tl.constexpr, BACKWARD: tl.constexpr):
    """Of the step done as number `s`: its time, the time of the step before it in the sequence, whether it is first."""
    position = steps - 1 - s if BACKWARD else s
    t = (steps - 1 - position if REVERSE else position).to(tl.int64)
    return t, t + 1 if REVERSE else t - 1, position == 0


@triton.jit(do_not_specialize=["begin", "end", "steps", "batch", "low", "high", "first_step"])
def run(
    memory, begin, end, steps, batch, low, high, first_step, program: tl.constexpr, HIDDEN: tl.constexpr,
    HEADS: tl.constexpr, INPUTS: tl.constexpr, EXTRAS: tl.constexpr, PARAMETERS: tl.constexpr, REVERSE: tl.constexpr,
    BACKWARD: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr, TYPE: tl.constexpr,
):  # fmt: skip
    """A stage for the steps `begin` to `end` in the order in which they are done.

    low, high: the halves of the seed. ROWS, UNITS: the block of one program; TYPE: in what it computes.
    """
    block = tl.program_id(0)
    rows, units = block * ROWS + tl.arange(0, ROWS), tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    mask = (rows < batch)[:, None] & (units < HIDDEN)[None, :]
    lasting = _lasting(program, memory, low, high, rows, units, mask, HIDDEN, TYPE)
    states, sums, ahead = (), (), ()
    for i in tl.static_range(_size(program, CARRIED)):
        carrier = (memory.state_gradients if BACKWARD else memory.initial) + i * batch.to(tl.int64) * HIDDEN
        carrier += rows[:, None] * HIDDEN + units[None, :]
        states = states + (tl.load(carrier, mask=mask, other=0.0).to(TYPE),)
    for _ in tl.static_range(_size(program, SUMS)):
        sums = sums + (tl.zeros((ROWS, UNITS), TYPE),)
    if _size(program, CARRIED) > 0:
        ahead = _loaded(
            program, memory, begin, steps, batch, low, high, first_step, rows, units, mask & (begin < end), HIDDEN,
            HEADS, INPUTS, EXTRAS, REVERSE, BACKWARD, TYPE,
        )  # fmt: skip

    for s in range(begin, end):
        if _size(program, CARRIED) > 0:
            loaded = ahead
            # A step early, so that the computation need not wait for memory.
            ahead = _loaded(
                program, memory, s + 1, steps, batch, low, high, first_step, rows, units, mask & (s + 1 < end),
                HIDDEN, HEADS, INPUTS, EXTRAS, REVERSE, BACKWARD, TYPE,
            )  # fmt: skip
        else:
            loaded = _loaded(
                program, memory, s, steps, batch, low, high, first_step, rows, units, mask, HIDDEN, HEADS, INPUTS,
                EXTRAS, REVERSE, BACKWARD, TYPE,
            )  # fmt: skip
        values = _computed(program, lasting + states + loaded, mask, HIDDEN, TYPE)
        t, previous, first = _when(s, steps, REVERSE, BACKWARD)
        for i in tl.static_range(_size(program, STORES)):
            at = _block(
                _field(program, STORES, i, 1), _field(program, STORES, i, 2), memory, t, previous, first, steps,
                batch, rows, units, HIDDEN, INPUTS, EXTRAS,
            )  # fmt: skip
            value = values[_field(program, STORES, i, 0)]
            tl.store(at, tl.broadcast_to(value, (ROWS, UNITS)), mask=mask)
        new, total = (), ()
        for i in tl.static_range(_size(program, CARRIED)):
            new = new + (tl.broadcast_to(values[_entry(program, CARRIED, i)], (ROWS, UNITS)),)
        for i in tl.static_range(_size(program, SUMS)):
            total = total + (sums[i] + values[_field(program, SUMS, i, 0)],)
        states, sums = new, total

    if BACKWARD:
        for i in tl.static_range(_size(program, CARRIED)):
            carrier = memory.state_gradients + i * batch.to(tl.int64) * HIDDEN
            tl.store(carrier + rows[:, None] * HIDDEN + units[None, :], states[i], mask=mask)
    for i in tl.static_range(_size(program, SUMS)):
        adder = memory.sums + (block * PARAMETERS + _field(program, SUMS, i, 1)) * HIDDEN + units
        before = tl.load(adder, mask=units < HIDDEN, other=0.0)
        tl.store(adder, before + tl.sum(tl.where(mask, sums[i], 0.0), axis=0), mask=units < HIDDEN)
