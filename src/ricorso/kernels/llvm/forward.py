"""Forward code: pack the recurrent weights, run all steps, project inputs for the stepper."""

from dataclasses import dataclass
from functools import cached_property

from llvmlite import ir

from ricorso.equations.cell import Cell
from ricorso.kernels.llvm.control import Arguments, barrier, divide, emit_part, loop, share
from ricorso.kernels.llvm.tile import Tile, masks, over_rows, product
from ricorso.kernels.llvm.vector import I64, POINTER, Value, Vectors
from ricorso.kernels.program import forward_program


@dataclass(frozen=True)
class Shape:
    """What a kernel is specialised for."""

    cell: Cell
    dtype: str
    hidden: int
    forward: Tile
    backward: Tile

    @property
    def columns(self) -> int:
        """Elements of one saved row: input gates, then the recurrent parts of split gates."""
        return len(self.cell.leaves) * self.hidden

    def split_column(self, gate: int) -> int | None:
        """The leaf that holds the recurrent part of a split gate, None for a plain gate."""
        symbol = self.cell.gates[gate]
        if symbol not in self.cell.split_gates:
            return None
        return len(self.cell.gates) + self.cell.split_gates.index(symbol)

    @cached_property
    def recurrent_runs(self) -> tuple[tuple[int, int, int], ...]:
        """Which leaves go through R: runs of neighbours as (first leaf, its gate, how many)."""
        runs: list[tuple[int, int, int]] = []
        for gate in range(len(self.cell.gates)):
            split = self.split_column(gate)
            leaf = gate if split is None else split
            if runs and runs[-1][0] + runs[-1][2] == leaf:
                runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + 1)
            else:
                runs.append((leaf, gate, 1))
        return tuple(runs)

    def vectors(self, b: ir.IRBuilder) -> Vectors:
        return Vectors(b, self.dtype, self.forward.lanes)


def emit_pack_forward(module: ir.Module, shape: Shape) -> None:
    """weight (gates * hidden, depth) -> [super-block][k][block][gate][lanes], by transposing square blocks."""
    tile, gates = shape.forward, len(shape.cell.gates)

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        v = shape.vectors(b)
        depth, weight, packed = a.integer("depth"), a.pointer("weight"), a.pointer("packed")
        first, last = share(b, I64(tile.count), number, size)
        squares = b.sdiv(b.add(depth, I64(tile.lanes - 1)), I64(tile.lanes))

        def each_super_block(super_block: Value, _: list[Value]) -> list[Value]:
            unit = b.mul(super_block, I64(tile.covered))
            target = v.address(packed, b.mul(b.mul(super_block, depth), I64(tile.vectors * tile.lanes)))

            def each_square(square: Value, _: list[Value]) -> list[Value]:
                k = b.mul(square, I64(tile.lanes))
                inside = v.lane_mask(k, depth)
                for block in range(tile.blocks):
                    for gate in range(gates):
                        rows = []
                        for lane in range(tile.lanes):
                            own = b.add(unit, I64(block * tile.lanes + lane))
                            mask = inside
                            if tile.masked:
                                nothing = ir.Constant(inside.type, [0] * tile.lanes)
                                mask = b.select(b.icmp_signed("<", own, I64(shape.hidden)), inside, nothing)
                            row = b.add(b.mul(b.add(own, I64(gate * shape.hidden)), depth), k)
                            rows.append(v.load(v.address(weight, row), mask))
                        for lane, column in enumerate(v.transpose(rows)):
                            at = b.add(k, I64(lane))
                            place = b.add(b.mul(at, I64(tile.vectors)), I64(block * gates + gate))
                            with b.if_then(b.icmp_signed("<", at, depth)):
                                v.store(column, v.address(target, b.mul(place, I64(tile.lanes))))
                return []

            loop(b, I64(0), squares, each_square)
            return []

        loop(b, first, last, each_super_block)

    emit_part(module, "pack_forward", work)


def emit_project(module: ir.Module, shape: Shape) -> None:
    """columns[row] = bias + inputs[row] @ weight.T for `batch` rows, with weights packed as in the forward pass."""
    tile = shape.forward
    tiles = {rows: _project_tile(module, shape, rows) for rows in range(1, tile.rows + 1)}

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        v = shape.vectors(b)
        depth, stride = a.integer("input_size"), a.integer("input_stride")
        first, last = share(b, I64(tile.count), number, size)

        def each(super_block: Value, _: list[Value]) -> list[Value]:
            packed = v.address(a.pointer("packed"), b.mul(b.mul(super_block, depth), I64(tile.vectors * tile.lanes)))
            unit = b.mul(super_block, I64(tile.covered))

            def call(function: ir.Function, row: Value) -> None:
                inputs = v.address(a.pointer("inputs"), b.mul(row, stride))
                columns = v.address(a.pointer("columns"), b.mul(row, a.integer("column_stride")))
                b.call(
                    function,
                    [inputs, stride, columns, a.integer("column_stride"), a.pointer("bias"), packed, depth, unit],
                )

            over_rows(b, I64(0), a.integer("batch"), tile.rows, tiles, call)
            return []

        loop(b, first, last, each)

    emit_part(module, "project", work)


def _project_tile(module: ir.Module, shape: Shape, rows: int) -> ir.Function:
    tile, gates = shape.forward, len(shape.cell.gates)
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I64, POINTER, I64, POINTER, POINTER, I64, I64])
    function = ir.Function(module, kind, f"project_tile{rows}")
    function.linkage = "internal"
    inputs, input_stride, columns, column_stride, bias, packed, depth, unit = function.args
    b = ir.IRBuilder(function.append_basic_block())
    v = shape.vectors(b)
    lanes = masks(v, tile, unit)
    places = [
        (b.add(unit, I64(gate * shape.hidden + block * tile.lanes)), lanes[block])
        for block in range(tile.blocks)
        for gate in range(gates)
    ]
    start = [v.load(v.address(bias, place), mask) for place, mask in places]
    sources = [v.address(inputs, b.mul(I64(row), input_stride)) for row in range(rows)]
    sums = product(v, tile, [start] * rows, sources, packed, depth)
    for row in range(rows):
        base = v.address(columns, b.mul(I64(row), column_stride))
        for value, (place, mask) in zip(sums[row], places, strict=True):
            v.store(value, v.address(base, place), mask)
    b.ret_void()
    return function


def emit_forward(module: ir.Module, shape: Shape) -> None:
    """All steps: columns and states before the first step in, states of every step and saved values out."""
    tile, hidden = shape.forward, shape.hidden
    tiles = {rows: _forward_tile(module, shape, rows) for rows in range(1, tile.rows + 1)}

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        v = shape.vectors(b)
        steps, batch = a.integer("steps"), a.integer("batch")
        output_stride, column_stride = a.integer("output_stride"), a.integer("column_stride")
        reverse = b.icmp_signed("!=", a.integer("reverse"), I64(0))
        by_units, (first_block, last_block), (first_row, last_row) = divide(b, a, tile.count, number, size)
        ids = a.pointer("token_ids")
        has_ids = b.icmp_signed("!=", a.integer("token_ids"), I64(0))
        before = b.mul(batch, I64(hidden))
        after = b.mul(before, steps)

        def each_step(s: Value, _: list[Value]) -> list[Value]:
            backwards = b.sub(b.sub(steps, I64(1)), s)
            t = b.select(reverse, backwards, s)
            earlier = b.select(reverse, b.add(t, I64(1)), b.sub(t, I64(1)))
            start = b.icmp_signed("==", s, I64(0))
            row_t, row_before = b.mul(t, batch), b.select(start, I64(0), b.mul(earlier, batch))
            previous = b.select(start, a.pointer("initial"), a.pointer("output"))
            previous_stride = b.select(start, I64(hidden), output_stride)
            old_others = b.select(start, v.address(a.pointer("initial"), before), a.pointer("others"))
            old_distance = b.select(start, before, after)

            def each_block(super_block: Value, _: list[Value]) -> list[Value]:
                unit = b.mul(super_block, I64(tile.covered))
                packed = v.address(a.pointer("packed"), b.mul(super_block, I64(tile.packed_size(hidden) // tile.count)))

                def call(function: ir.Function, row: Value) -> None:
                    at = b.add(row_t, row)
                    at_before = b.add(row_before, row)
                    columns = v.address(a.pointer("columns"), b.mul(at, column_stride))
                    own_ids = b.select(has_ids, b.gep(ids, [at], source_etype=I64), ids)
                    b.call(
                        function,
                        [
                            v.address(previous, b.mul(at_before, previous_stride)),
                            previous_stride,
                            columns,
                            column_stride,
                            own_ids,
                            a.pointer("token_table"),
                            a.pointer("recurrent_bias"),
                            packed,
                            v.address(a.pointer("output"), b.mul(at, output_stride)),
                            output_stride,
                            v.address(old_others, b.mul(at_before, I64(hidden))),
                            old_distance,
                            v.address(a.pointer("others"), b.mul(at, I64(hidden))),
                            after,
                            unit,
                        ],
                    )

                over_rows(b, first_row, last_row, tile.rows, tiles, call)
                return []

            loop(b, first_block, last_block, each_block)
            with b.if_then(by_units):
                barrier(b, a, b.mul(b.add(s, I64(1)), size))
            return []

        loop(b, I64(0), steps, each_step)

    emit_part(module, "steps_forward", work)


def _forward_tile(module: ir.Module, shape: Shape, rows: int) -> ir.Function:
    tile, cell, hidden = shape.forward, shape.cell, shape.hidden
    gates = len(cell.gates)
    kind = ir.FunctionType(
        ir.VoidType(),
        [
            *(POINTER, I64, POINTER, I64, POINTER, POINTER, POINTER, POINTER),
            *(POINTER, I64, POINTER, I64, POINTER, I64, I64),
        ],
    )
    function = ir.Function(module, kind, f"forward_tile{rows}")
    function.linkage = "internal"
    (
        previous, previous_stride, columns, column_stride, ids, table, recurrent_bias, packed,
        output, output_stride, old_others, old_distance, others, distance, unit,
    ) = function.args  # fmt: skip
    b = ir.IRBuilder(function.append_basic_block())
    v = shape.vectors(b)
    lanes = masks(v, tile, unit)

    own = [v.address(columns, b.mul(I64(row), column_stride)) for row in range(rows)]
    straight = b.block
    gathered, ready = b.append_basic_block("gathered"), b.append_basic_block("ready")
    b.cbranch(b.icmp_signed("!=", b.ptrtoint(ids, I64), I64(0)), gathered, ready)
    b.position_at_end(gathered)
    looked_up = []
    for row in range(rows):
        token = b.load(b.gep(ids, [I64(row)], source_etype=I64), typ=I64)
        looked_up.append(v.address(table, b.mul(token, I64(gates * hidden))))
    b.branch(ready)
    b.position_at_end(ready)
    sources = []
    for row in range(rows):
        source = b.phi(POINTER)
        source.add_incoming(own[row], straight)
        source.add_incoming(looked_up[row], gathered)
        sources.append(source)

    def place(leaf: int, block: int) -> Value:
        return b.add(unit, I64(leaf * hidden + block * tile.lanes))

    start = []
    for row in range(rows):
        for block in range(tile.blocks):
            for gate in range(gates):
                base = sources[row] if shape.split_column(gate) is None else recurrent_bias
                start.append(v.load(v.address(base, place(gate, block)), lanes[block]))
    start_rows = [start[n * tile.vectors : (n + 1) * tile.vectors] for n in range(rows)]
    before = [v.address(previous, b.mul(I64(row), previous_stride)) for row in range(rows)]
    sums = product(v, tile, start_rows, before, packed, I64(hidden))

    program = forward_program(cell)
    for row in range(rows):
        for block in range(tile.blocks):
            mask = lanes[block]
            at = b.add(unit, I64(block * tile.lanes))
            values: dict[str, Value] = {}
            for gate, symbol in enumerate(cell.gates):
                total = sums[row][block * gates + gate]
                split = shape.split_column(gate)
                if split is None:
                    values[symbol.name] = total
                    continue
                values[symbol.u.name] = total
                values[symbol.x.name] = v.load(v.address(sources[row], place(gate, block)), mask)
            row_offset = b.add(I64(row * hidden), at)
            for n, state in enumerate(cell.states):
                if state.name not in program.inputs:
                    continue
                if n == 0:
                    values[state.name] = v.load(v.address(before[row], at), mask)
                else:
                    offset = b.add(b.mul(I64(n - 1), old_distance), row_offset)
                    values[state.name] = v.load(v.address(old_others, offset), mask)
            results = v.run(program, values)
            for n, leaf in enumerate(cell.leaves):
                v.store(results[f"saved_{leaf.name}"], v.address(own[row], place(n, block)), mask)
            for n, state in enumerate(cell.states):
                if n == 0:
                    target = v.address(output, b.add(b.mul(I64(row), output_stride), at))
                else:
                    target = v.address(others, b.add(b.mul(I64(n - 1), distance), row_offset))
                v.store(results[state.name], target, mask)
    b.ret_void()
    return function
