"""Products of a few rows with a matrix as torch keeps it, read once and not copied.

Packing a matrix pays when it is multiplied at many steps. A single step of a few rows reads every weight once in either
case: these kernels take it from where it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from ricorso.kernels.arguments import NAMES
from ricorso.kernels.llvm import control
from ricorso.kernels.llvm.control import emit_kernel, emit_part, loop, share
from ricorso.kernels.llvm.host import Host
from ricorso.kernels.llvm.object import new_module, object_code
from ricorso.kernels.llvm.tile import over_rows
from ricorso.kernels.llvm.vector import I64, Value, Vectors

KERNELS = ("times", "mix")
# The first are those of every kernel, which threads read. Strides count elements.
FIELDS = (
    *NAMES[: NAMES.index("arrivals") + 1],
    "rows",  # of the inputs and the output
    "units",  # columns of the output
    "output",
    "output_stride",
    "add",  # 1: the output starts from what is there
    "depth",  # columns of the input
    "input",
    "input_stride",
    "weight",  # (units, depth) for `times`, (depth, units) for `mix`
    "bias",  # (units) to be added, or 0
    "other_depth",  # a second product of `times` that is added to the first, or 0
    "other_input",
    "other_input_stride",
    "other_weight",
    "other_bias",
    "input_step",  # from a column of the input of `mix` to the next
    "weight_rows",  # (depth) addresses of the rows of the weight of `mix`, or 0: they lie one behind the other
)
FIELD = {name: number for number, name in enumerate(FIELDS)}


class Arguments(control.Arguments):
    """Reads FIELDS inside a kernel."""

    def address(self, name: str) -> Value:
        return self.builder.gep(self.base, [I64(FIELD[name])], source_etype=I64)


@dataclass(frozen=True)
class Tile:
    """For up to `most` rows: how many of them share what is loaded, and how many units (or vectors of them) do."""

    most: int | None
    heights: Sequence[int]
    width: int


def tiles(host: Host, lanes: int) -> tuple[Tile, ...]:
    """All sums of a tile stay in registers, and there are enough of them to hide how long a sum takes."""
    if host.registers == 32:
        return Tile(1, [1], 16), Tile(3, [2, 3], 8), Tile(None, range(1, 7), 4)
    return Tile(1, [1], 8), Tile(None, range(1, 4), 4)


def compile_dense(host: Host, dtype: str) -> bytes:
    """Relocatable machine code of KERNELS for float32 or float64."""
    module = new_module(host, "dense")
    lanes = host.vector_bytes // (8 if dtype == "float64" else 4)
    for name, emit in (("times", _times), ("mix", _mix)):
        emit_part(module, name, _by_rows(host, dtype, lanes, emit))
        emit_kernel(module, name, (name,))
    return object_code(host, module)


Emit = Callable[[Vectors, Arguments, Tile, Value, Value], None]


def _by_rows(host: Host, dtype: str, lanes: int, emit: Emit) -> control.Work:
    """Another tile for each number of rows."""

    def work(b: ir.IRBuilder, whole: control.Arguments, number: Value, size: Value) -> None:
        a, v = Arguments(b, whole.base), Vectors(b, dtype, lanes)
        *few, many = tiles(host, lanes)
        done = b.append_basic_block("done")
        for tile in few:
            own, others = b.append_basic_block("own"), b.append_basic_block("others")
            b.cbranch(b.icmp_signed("<=", a.integer("rows"), I64(tile.most)), own, others)
            b.position_at_end(own)
            emit(v, a, tile, number, size)
            b.branch(done)
            b.position_at_end(others)
        emit(v, a, many, number, size)
        b.branch(done)
        b.position_at_end(done)

    return work


def _times(v: Vectors, a: Arguments, tile: Tile, number: Value, size: Value) -> None:
    """output[row, unit] = start + sum over k of input[row, k] * weight[unit, k], and the same of the others."""
    b, width = v.builder, min(tile.width, v.lanes)
    units = a.integer("units")
    first, last = share(b, _ceil(b, units, width), number, size)

    def each(place: Value, _: list[Value]) -> list[Value]:
        unit = b.mul(place, I64(width))
        # past the last unit the last one is computed again, and not stored
        own = [_smaller(b, b.add(unit, I64(n)), b.sub(units, I64(1))) for n in range(width)]
        valid = v.lane_mask(I64(0), _smaller(b, b.sub(units, unit), I64(width)))

        def emit(rows: int, begin: Value) -> None:
            at = [b.add(begin, I64(n)) for n in range(rows)]
            sums = [v.constant(0.0)] * (rows * width)
            for prefix in ("", "other_"):
                sums = _rows_by_rows(v, a, prefix, at, own, sums)
            for row, n in enumerate(at):
                total = _totals(v, sums[row * width : (row + 1) * width])
                _finish(v, a, n, unit, total, valid)

        over_rows(b, a.integer("rows"), tile.heights, emit)
        return []

    loop(b, first, last, each)


def _rows_by_rows(
    v: Vectors, a: Arguments, prefix: str, at: list[Value], units: list[Value], start: list[Value]
) -> list[Value]:
    """Sums of the products of each row with each unit's weights, apart for each lane."""
    b, depth = v.builder, a.integer(f"{prefix}depth")
    inputs = [v.address(a.pointer(f"{prefix}input"), b.mul(n, a.integer(f"{prefix}input_stride"))) for n in at]
    weights = [v.address(a.pointer(f"{prefix}weight"), b.mul(n, depth)) for n in units]

    def step(k: Value, carried: list[Value], mask: Value | None) -> list[Value]:
        values = [v.load(v.address(row, k), mask) for row in inputs]
        found = list(carried)
        for n, weight in enumerate(weights):
            loaded = v.load(v.address(weight, k), mask)
            for row, value in enumerate(values):
                found[row * len(units) + n] = v.fma(value, loaded, found[row * len(units) + n])
        return found

    def rest(n: Value, carried: list[Value]) -> list[Value]:
        k = b.mul(n, I64(v.lanes))
        return step(k, carried, v.lane_mask(k, depth))

    whole = b.sdiv(depth, I64(v.lanes))
    sums = loop(b, I64(0), whole, lambda n, carried: step(b.mul(n, I64(v.lanes)), carried, None), start)
    return loop(b, whole, _ceil(b, depth, v.lanes), rest, sums)


def _mix(v: Vectors, a: Arguments, tile: Tile, number: Value, size: Value) -> None:
    """output[row, unit] = start + sum over k of input[row, k] * weight[k, unit]."""
    b, width = v.builder, min(tile.width, 8)
    units, depth, distance = a.integer("units"), a.integer("depth"), a.integer("input_step")
    blocks, rows_of_all = _ceil(b, units, width * v.lanes), a.integer("rows")
    apart = b.icmp_signed("!=", a.integer("weight_rows"), I64(0))
    # where there are fewer blocks of units than threads, these share the rows, if there are many
    by_rows = b.icmp_signed("<", blocks, size) if tile.most is None else ir.Constant(ir.IntType(1), 0)
    first_of, one = I64(0), I64(1)
    first, last = share(b, blocks, b.select(by_rows, first_of, number), b.select(by_rows, one, size))
    top, bottom = share(b, rows_of_all, b.select(by_rows, number, first_of), b.select(by_rows, size, one))

    def each(place: Value, _: list[Value]) -> list[Value]:
        unit = b.mul(place, I64(width * v.lanes))
        own = [b.add(unit, I64(n * v.lanes)) for n in range(width)]
        weights = a.pointer("weight")

        def block(masks: list[Value] | list[None]) -> None:
            def emit(rows: int, begin: Value) -> None:
                at = [b.add(top, b.add(begin, I64(n))) for n in range(rows)]
                inputs = [v.address(a.pointer("input"), b.mul(row, a.integer("input_stride"))) for row in at]

                def step(k: Value, carried: list[Value]) -> list[Value]:
                    # without addresses there is nothing to read there, but any readable address will do
                    known = b.select(apart, b.gep(a.pointer("weight_rows"), [k], source_etype=I64), a.base)
                    own_row = b.inttoptr(b.load(known, typ=I64), weights.type)
                    row_of_weights = b.select(apart, own_row, v.address(weights, b.mul(k, units)))
                    loaded = [v.load(v.address(row_of_weights, n), mask) for n, mask in zip(own, masks, strict=True)]
                    found = []
                    column = b.mul(k, distance)
                    for row, address in enumerate(inputs):
                        value = v.broadcast(v.address(address, column))
                        found += [v.fma(value, w, carried[row * width + n]) for n, w in enumerate(loaded)]
                    return found

                sums = loop(b, I64(0), depth, step, [v.constant(0.0)] * (rows * width))
                for row, n in enumerate(at):
                    for vector, (start, mask) in enumerate(zip(own, masks, strict=True)):
                        _finish(v, a, n, start, sums[row * width + vector], mask)

            over_rows(b, b.sub(bottom, top), tile.heights, emit)

        with b.if_else(b.icmp_signed("<=", b.add(unit, I64(width * v.lanes)), units)) as (full, cut):
            with full:
                block([None] * width)
            with cut:
                block([v.lane_mask(n, units) for n in own])
        return []

    loop(b, first, last, each)


def _finish(v: Vectors, a: Arguments, row: Value, unit: Value, total: Value, mask: Value | None) -> None:
    """Add what the output starts from, and store it."""
    b = v.builder
    place = v.address(a.pointer("output"), b.add(b.mul(row, a.integer("output_stride")), unit))
    starts = [(b.icmp_signed("!=", a.integer("add"), I64(0)), place)]
    for name in ("bias", "other_bias"):
        starts.append((b.icmp_signed("!=", a.integer(name), I64(0)), v.address(a.pointer(name), unit)))
    for wanted, address in starts:
        # where there is nothing to add, something that can be read is read all the same
        value = v.load(b.select(wanted, address, place), mask)
        total = b.fadd(
            total, b.select(v.splat_as(wanted, ir.VectorType(ir.IntType(1), v.lanes)), value, v.constant(0.0))
        )
    v.store(total, place, mask)


def _totals(v: Vectors, values: list[Value]) -> Value:
    """A vector with the sum of each of the given vectors, whose number is a power of two, in its lanes in turn."""
    b, width = v.builder, 1
    while len(values) > 1:
        # lanes without this bit come from the first of a pair, lanes with it from the second
        found = []
        for first, second in zip(values[::2], values[1::2], strict=True):
            parts = []
            for kept in (0, width):
                lanes = [
                    lane & ~width | kept if not lane & width else v.lanes + (lane & ~width | kept)
                    for lane in range(v.lanes)
                ]
                parts.append(
                    b.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), v.lanes), lanes))
                )
            found.append(b.fadd(*parts))
        values, width = found, width * 2
    (total,) = values
    while width < v.lanes:
        turned = ir.Constant(ir.VectorType(ir.IntType(32), v.lanes), [lane ^ width for lane in range(v.lanes)])
        total = b.fadd(total, b.shuffle_vector(total, total, turned))
        width *= 2
    return total


def _ceil(b: ir.IRBuilder, total: Value, size: int) -> Value:
    return b.sdiv(b.add(total, I64(size - 1)), I64(size))


def _smaller(b: ir.IRBuilder, one: Value, other: Value) -> Value:
    return b.select(b.icmp_signed("<", one, other), one, other)
