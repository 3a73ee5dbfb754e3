"""Backward code: exact backpropagation through time from the saved values and states.

Each step first computes the gradients of its gates and of the old states elementwise, then adds the recurrent
product `gate gradients @ R` to the gradient of the previous output. Weight gradients are products over all steps
and stay with the caller's BLAS.
"""

from llvmlite import ir

from ricorso.kernels.llvm.control import Arguments, barrier, divide, emit_part, loop, share
from ricorso.kernels.llvm.forward import Shape
from ricorso.kernels.llvm.tile import masks, over_rows, product
from ricorso.kernels.llvm.vector import I64, POINTER, Value
from ricorso.kernels.program import backward_program, saved_symbols


def emit_pack_backward(module: ir.Module, shape: Shape) -> None:
    """weight (gates * hidden, hidden) -> [super-block][gate * hidden][block][lanes]."""
    tile, depth = shape.backward, len(shape.cell.gates) * shape.hidden

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        v = shape.vectors(b)
        first, last = share(b, I64(tile.count), number, size)

        def each_super_block(super_block: Value, _: list[Value]) -> list[Value]:
            unit = b.mul(super_block, I64(tile.covered))
            lanes = masks(v, tile, unit)
            target = v.address(a.pointer("packed"), b.mul(super_block, I64(depth * tile.covered)))

            def each_k(k: Value, _: list[Value]) -> list[Value]:
                source = v.address(a.pointer("weight"), b.add(b.mul(k, I64(shape.hidden)), unit))
                for block in range(tile.blocks):
                    value = v.load(v.address(source, I64(block * tile.lanes)), lanes[block])
                    v.store(value, v.address(target, b.add(b.mul(k, I64(tile.covered)), I64(block * tile.lanes))))
                return []

            loop(b, I64(0), I64(depth), each_k)
            return []

        loop(b, first, last, each_super_block)

    emit_part(module, "pack_backward", work)


def emit_backward(module: ir.Module, shape: Shape) -> None:
    """All steps from the last to the first: `column_gradients` and the gradients of the initial states."""
    tile, hidden = shape.backward, shape.hidden
    elementwise = _elementwise(module, shape)
    tiles = {rows: _backward_tile(module, shape, rows) for rows in range(1, tile.rows + 1)}
    depth = len(shape.cell.gates) * hidden

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        v = shape.vectors(b)
        steps, batch = a.integer("steps"), a.integer("batch")
        output_stride, column_stride = a.integer("output_stride"), a.integer("column_stride")
        reverse = b.icmp_signed("!=", a.integer("reverse"), I64(0))
        by_units, (first_block, last_block), (first_row, last_row) = divide(b, a, tile.count, number, size)
        before = b.mul(batch, I64(hidden))
        after = b.mul(before, steps)

        def each_step(s: Value, _: list[Value]) -> list[Value]:
            backwards = b.sub(b.sub(steps, I64(1)), s)
            t = b.select(reverse, s, backwards)
            earlier = b.select(reverse, b.add(t, I64(1)), b.sub(t, I64(1)))
            start = b.icmp_signed("==", backwards, I64(0))
            row_t, row_before = b.mul(t, batch), b.select(start, I64(0), b.mul(earlier, batch))
            previous = b.select(start, a.pointer("initial"), a.pointer("output"))
            previous_stride = b.select(start, I64(hidden), output_stride)
            old_others = b.select(start, v.address(a.pointer("initial"), before), a.pointer("others"))
            old_distance = b.select(start, before, after)
            received = v.address(a.pointer("output_gradient"), b.mul(t, a.integer("output_gradient_step")))
            received_stride = a.integer("output_gradient_row")

            def each_row(row: Value, _: list[Value]) -> list[Value]:
                at, at_before = b.add(row_t, row), b.add(row_before, row)
                b.call(
                    elementwise,
                    [
                        v.address(a.pointer("columns"), b.mul(at, column_stride)),
                        v.address(previous, b.mul(at_before, previous_stride)),
                        v.address(old_others, b.mul(at_before, I64(hidden))),
                        old_distance,
                        v.address(received, b.mul(row, received_stride)),
                        v.address(a.pointer("state_gradients"), b.mul(row, I64(hidden))),
                        before,
                        v.address(a.pointer("column_gradients"), b.mul(at, column_stride)),
                        first_block,
                        last_block,
                    ],
                )
                return []

            loop(b, first_row, last_row, each_row)
            with b.if_then(by_units):
                barrier(b, a, b.mul(b.add(s, I64(1)), size))

            def each_block(super_block: Value, _: list[Value]) -> list[Value]:
                unit = b.mul(super_block, I64(tile.covered))
                packed = v.address(a.pointer("packed"), b.mul(super_block, I64(depth * tile.covered)))

                def call(function: ir.Function, row: Value) -> None:
                    gradients = v.address(a.pointer("column_gradients"), b.mul(b.add(row_t, row), column_stride))
                    state = v.address(a.pointer("state_gradients"), b.mul(row, I64(hidden)))
                    b.call(function, [gradients, column_stride, packed, state, unit])

                over_rows(b, first_row, last_row, tile.rows, tiles, call)
                return []

            loop(b, first_block, last_block, each_block)
            return []

        loop(b, I64(0), steps, each_step)

    emit_part(module, "steps_backward", work)


def _elementwise(module: ir.Module, shape: Shape) -> ir.Function:
    """One row of one step: gradients of the gates, and of the old states but for the recurrent product."""
    tile, cell, hidden = shape.backward, shape.cell, shape.hidden
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, POINTER, I64, POINTER, POINTER, I64, POINTER, I64, I64])
    function = ir.Function(module, kind, "backward_elementwise")
    function.linkage = "internal"
    (
        columns, previous, old_others, old_distance, received, state_gradients, distance, column_gradients,
        first_block, last_block,
    ) = function.args  # fmt: skip
    b = ir.IRBuilder(function.append_basic_block())
    v = shape.vectors(b)
    program = backward_program(cell)
    per_super_block = I64(tile.blocks)
    whole = -(-hidden // tile.lanes)
    ragged = hidden % tile.lanes != 0
    limit = b.mul(last_block, per_super_block)
    limit = b.select(b.icmp_signed("<", limit, I64(whole)), limit, I64(whole))

    def each(block: Value, _: list[Value]) -> list[Value]:
        unit = b.mul(block, I64(tile.lanes))
        mask = v.lane_mask(unit, I64(hidden)) if ragged else None
        values: dict[str, Value] = {}
        for n, kept in enumerate(saved_symbols(cell)):
            values[kept.name] = v.load(v.address(columns, b.add(unit, I64(n * hidden))), mask)
        for n, state in enumerate(cell.states):
            if n == 0:
                values[state.name] = v.load(v.address(previous, unit), mask)
            else:
                offset = b.add(b.mul(I64(n - 1), old_distance), unit)
                values[state.name] = v.load(v.address(old_others, offset), mask)
            gradient = v.load(v.address(state_gradients, b.add(b.mul(I64(n), distance), unit)), mask)
            if n == 0:
                gradient = b.fadd(gradient, v.load(v.address(received, unit), mask))
            values[f"d_{state.name}_new"] = gradient
        results = v.run(program, values)
        for n, leaf in enumerate(cell.leaves):
            v.store(results[f"d_{leaf.name}"], v.address(column_gradients, b.add(unit, I64(n * hidden))), mask)
        for n, state in enumerate(cell.states):
            target = v.address(state_gradients, b.add(b.mul(I64(n), distance), unit))
            v.store(results[f"d_{state.name}"], target, mask)
        return []

    loop(b, b.mul(first_block, per_super_block), limit, each)
    b.ret_void()
    return function


def _backward_tile(module: ir.Module, shape: Shape, rows: int) -> ir.Function:
    """state[row] += gate gradients[row] @ R for one super-block of units."""
    tile, hidden = shape.backward, shape.hidden
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I64, POINTER, POINTER, I64])
    function = ir.Function(module, kind, f"backward_tile{rows}")
    function.linkage = "internal"
    gradients, stride, packed, state, unit = function.args
    b = ir.IRBuilder(function.append_basic_block())
    v = shape.vectors(b)
    lanes = masks(v, tile, unit)
    places = [
        [v.address(state, b.add(unit, I64(row * hidden + block * tile.lanes))) for block in range(tile.blocks)]
        for row in range(rows)
    ]
    sums = [[v.load(place, mask) for place, mask in zip(line, lanes, strict=True)] for line in places]
    done = 0
    for leaf, _, count in shape.recurrent_runs:
        sources = [v.address(gradients, b.add(b.mul(I64(row), stride), I64(leaf * hidden))) for row in range(rows)]
        part = v.address(packed, I64(done * hidden * tile.covered))
        sums = product(v, tile, sums, sources, part, I64(count * hidden))
        done += count
    for line, values in zip(places, sums, strict=True):
        for place, value, mask in zip(line, values, lanes, strict=True):
            v.store(value, place, mask)
    b.ret_void()
    return function
