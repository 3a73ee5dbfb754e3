"""All steps of a sequence: the passes of a schedule, one after the other, step by step.

Threads that share the rows never meet. Threads that share the units meet before each pass with products, which need
whole vectors.
"""

from collections.abc import Callable, Mapping

from llvmlite import ir

from ricorso.kernels.llvm.control import Arguments, Rows, Span, barrier, divide, emit_part, loop
from ricorso.kernels.llvm.frame import Frame
from ricorso.kernels.llvm.project import project_rows
from ricorso.kernels.llvm.shape import Direction, PackedGroup, Shape
from ricorso.kernels.llvm.tile import Tile, over_rows, product
from ricorso.kernels.llvm.vector import I64, POINTER, Value
from ricorso.kernels.schedule import Pass, Place, Sweep

# Super-blocks whose sums grow together where there is a single row: the sums of one alone would wait for each other.
# Weights that do not stay in the nearest cache come too slowly for that to matter, and two at once more slowly still.
SIDE_BY_SIDE = 2
NEAREST_CACHE = 64 * 1024


def emit_steps(
    module: ir.Module, name: str, shape: Shape, direction: Direction, backward: bool, projecting: bool = False
) -> None:
    """Define the part that runs a schedule over time, backwards in time for a backward schedule.

    projecting: the columns are made from the inputs on the way, where the shape `takes_input_along`.
    """
    schedule = direction.schedule
    meetings = sum(1 for part in schedule.passes if part.groups)
    # A thread that runs ahead must not overwrite what another still multiplies.
    trailing = bool(schedule.sources)

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        frame = Frame(b, a, shape, direction, number)
        by_units, units, rows = divide(b, a, direction.shares, direction.granule, shape.hidden, number, size)
        scratch = _scratch(b, frame, direction)
        each_time = meetings + trailing if meetings else 0

        def meet(s: Value, done: int) -> None:
            with b.if_then(by_units):
                barrier(b, a, b.mul(b.add(b.mul(s, I64(each_time)), I64(done)), size))

        def each_step(s: Value, _: list[Value]) -> list[Value]:
            frame.begin(s, backward)
            emitted = _Emission(frame, units, rows, scratch)
            met = 0
            for place, part in enumerate(schedule.passes):
                if part.groups:
                    met += 1
                    meet(s, met)
                    emitted.tiles(part, direction.tiles[place], direction.packed[place], projecting and met == 1)
                else:
                    emitted.rows_alone(part)
            if each_time > met:
                meet(s, each_time)
            return []

        loop(b, I64(0), frame.steps, each_step)

    emit_part(module, name, work)


def _scratch(b: ir.IRBuilder, frame: Frame, direction: Direction) -> Value | None:
    """Memory for the sums of one tile, on the stack."""
    sizes = [max(tile.rows, SIDE_BY_SIDE) * tile.vectors for tile in direction.tiles if tile]
    if not sizes:
        return None
    with b.goto_entry_block():
        place = b.alloca(ir.ArrayType(frame.v.type, max(sizes)))
        place.align = 64
        # llvmlite still gives the address a type of its own
        place.type = POINTER
    return place


class _Emission:
    """The code of one step; values stored by earlier sweeps are known to be in memory."""

    def __init__(self, frame: Frame, units: Span, rows: Rows, scratch: Value | None) -> None:
        self.frame, self.b, self.v = frame, frame.b, frame.v
        self.units, self.rows, self.scratch = units, rows, scratch
        self.count = rows.count(frame.step.active)
        self.schedule = frame.direction.schedule
        self.instructions = self.schedule.program.instructions
        self.done: set[int] = set()
        self.chains: dict[int, int] = {}

    def tiles(self, part: Pass, tile: Tile | None, packed: tuple[PackedGroup, ...], projecting: bool) -> None:
        """Products into the scratch memory, tile by tile, and what follows from them.

        projecting: each tile's input parts are made before.
        """
        assert tile is not None
        b, v = self.b, self.v
        if tile.heads == 1:
            first = b.sdiv(self.units[0], I64(tile.covered))
            last = b.sdiv(b.add(self.units[1], I64(tile.covered - 1)), I64(tile.covered))
        else:
            first, last = (b.mul(b.sdiv(u, I64(tile.units)), I64(tile.per_head)) for u in self.units)

        def several(number: Value, _: list[Value]) -> list[Value]:
            begin = b.add(first, b.mul(number, I64(SIDE_BY_SIDE)))
            own = [b.add(begin, I64(n)) for n in range(SIDE_BY_SIDE)]
            if projecting:
                self._project(tile, own, 1, I64(0))
            self._products(tile, packed, own, 1, I64(0))

            def finish(n: Value, _: list[Value]) -> list[Value]:
                self._finish(part, tile, b.add(begin, n), n, I64(1), I64(0))
                return []

            loop(b, I64(0), I64(SIDE_BY_SIDE), finish)
            return []

        near = self.frame.direction.packed_words * v.size <= NEAREST_CACHE
        if near and tile.heads == 1 and tile.count >= SIDE_BY_SIDE:
            alone = b.icmp_signed("==", self.count, I64(1))
            together = b.select(alone, b.sdiv(b.sub(last, first), I64(SIDE_BY_SIDE)), I64(0))
            loop(b, I64(0), together, several)
            first = b.add(first, b.mul(together, I64(SIDE_BY_SIDE)))

        # Turning at the ends, a step begins with the weights that the one before it left in the core's cache.
        steps = b.add(self.frame.step.t, self.frame.a.integer("mirrored"))
        back = b.trunc(steps, ir.IntType(1))
        ends = b.sub(b.add(first, last), I64(1))

        def each(number: Value, _: list[Value]) -> list[Value]:
            super_block = b.select(back, b.sub(ends, number), number)

            def emit(rows: int, begin: Value) -> None:
                if projecting:
                    self._project(tile, [super_block], rows, begin)
                self._products(tile, packed, [super_block], rows, begin)

            def finish(rows: Value, begin: Value) -> None:
                self._finish(part, tile, super_block, I64(0), rows, begin)

            over_rows(b, self.count, range(1, tile.rows + 1), emit, finish)
            return []

        loop(b, first, last, each)
        self.done |= {value for value, _ in part.sweeps[0].stores}

    def _project(self, tile: Tile, super_blocks: list[Value], rows: int, begin: Value) -> None:
        """The input's part of some rows in super-blocks of `tile`."""
        b, frame = self.b, self.frame
        own = [b.add(frame.step.row, self.rows.row(b.add(begin, I64(n)))) for n in range(rows)]
        smaller = frame.shape.projection
        parts, last = tile.covered // smaller.covered, I64(smaller.count - 1)
        for part in range(parts):
            numbers = [b.add(b.mul(super_block, I64(parts)), I64(part)) for super_block in super_blocks]
            inside = [b.select(b.icmp_signed("<", number, last), number, last) for number in numbers]
            project_rows(b, frame.a, frame.shape, inside, own)

    def _products(
        self, tile: Tile, packed: tuple[PackedGroup, ...], super_blocks: list[Value], rows: int, begin: Value
    ) -> None:
        """The sums of some rows in super-blocks of one head, one line of the scratch memory for each of both."""
        b, v = self.b, self.v
        own = [self.rows.row(b.add(begin, I64(n))) for n in range(rows)]
        _, head, _ = tile.place(b, super_blocks[0])
        zero = v.constant(0.0)
        sums = [[zero] * (tile.vectors * len(super_blocks)) for _ in range(rows)]
        for placed in packed:
            members = placed.group.members
            source = self.schedule.places[placed.group.source]
            sources = [self.frame.address(source, r, head) for r in own]
            base = self.frame.a.pointer("packed")
            weights = [
                v.word_address(base, b.add(I64(placed.offset), b.mul(super_block, I64(placed.words))))
                for super_block in super_blocks
            ]
            places = [
                n * tile.vectors + block * tile.width + chain
                for n in range(len(super_blocks))
                for block in range(tile.blocks)
                for _, chain in members
            ]
            start = [[line[place] for place in places] for line in sums]
            added = product(v, start, sources, weights, I64(self.frame.shape.depth_words))
            for line, values in zip(sums, added, strict=True):
                for place, value in zip(places, values, strict=True):
                    line[place] = value
        assert self.scratch is not None
        for n, value in enumerate(value for line in sums for value in line):
            v.store(value, v.address(self.scratch, I64(n * tile.lanes)))

    def _finish(self, part: Pass, tile: Tile, super_block: Value, line: Value, rows: Value, begin: Value) -> None:
        """What follows from the sums of some rows in a super-block, which begin at a line of the scratch memory."""
        b, v = self.b, self.v
        unit, _, end = tile.place(b, super_block)
        masks = tile.masks(v, unit, end)
        chains = {number: chain for group in part.groups for number, chain in group.members}
        self.chains = chains

        def each(n: Value, _: list[Value]) -> list[Value]:
            own = self.rows.row(b.add(begin, n))
            self.frame.enter_row(own)
            for block in range(tile.blocks):
                sums = {}
                for number, chain in chains.items():
                    place = b.add(b.mul(b.add(line, n), I64(tile.vectors * tile.lanes)),
                                  I64((block * tile.width + chain) * tile.lanes))  # fmt: skip
                    sums[number] = v.load(v.address(self.scratch, place))
                at = b.add(unit, I64(block * tile.lanes))
                self._sweep(part.sweeps[0], own, at, masks[block], sums, {})
            return []

        loop(b, I64(0), rows, each)

    def rows_alone(self, part: Pass) -> None:
        """Sweeps over whole rows, or over the units of this thread."""
        b, v, hidden = self.b, self.v, self.frame.shape.hidden
        ragged = hidden % v.lanes != 0 or (self.frame.shape.heads > 1 and self.frame.shape.head_size % v.lanes != 0)
        before = set(self.done)

        def each_row(place: Value, _: list[Value]) -> list[Value]:
            row = self.rows.row(place)
            self.frame.enter_row(row)
            self.done = set(before)
            means: dict[int, Value] = {}
            blocks = b.sdiv(b.add(b.sub(self.units[1], self.units[0]), I64(v.lanes - 1)), I64(v.lanes))
            for sweep in part.sweeps:

                def each_block(n: Value, carried: list[Value], sweep: Sweep = sweep) -> list[Value]:
                    unit = b.add(self.units[0], b.mul(n, I64(v.lanes)))
                    mask = v.lane_mask(unit, self.units[1]) if ragged else None
                    values = self._sweep(sweep, row, unit, mask, {}, means)
                    added = []
                    for total, (_, operand) in zip(carried, sweep.means, strict=True):
                        value = values(operand)
                        if mask is not None:
                            value = b.select(mask, value, v.constant(0.0))
                        added.append(b.fadd(total, value))
                    return added

                totals = loop(b, I64(0), blocks, each_block, [v.constant(0.0)] * len(sweep.means))
                for total, (number, _operand) in zip(totals, sweep.means, strict=True):
                    means[number] = b.fmul(v.total(total), v.constant(1 / hidden))
                self.done |= {value for value, _ in sweep.stores}
            return []

        loop(b, I64(0), self.count, each_row)

    def _sweep(
        self, sweep: Sweep, row: Value, unit: Value, mask: Value | None, sums: Mapping[int, Value],
        means: Mapping[int, Value],
    ) -> Callable[[int], Value]:  # fmt: skip
        """One block of units: everything is loaded and computed before anything is stored."""
        known: dict[int, Value] = dict(means)

        def load(number: int) -> Value:
            place: Place | None = self.schedule.inputs.get(number)
            if place is None or (number in self.done and self.schedule.places[number] != place):
                place = self.schedule.places[number]
            return self.frame.load(place, row, unit, mask)

        def value(number: int) -> Value:
            if number not in known:
                instruction = self.instructions[number]
                if instruction.operation == "constant":
                    known[number] = self.v.constant(instruction.value)
                elif number in sums:
                    known[number] = self._sum(number, sums, value)
                else:
                    known[number] = load(number)
            return known[number]

        for number in sweep.instructions:
            instruction = self.instructions[number]
            known[number] = self.v.apply(instruction, [value(argument) for argument in instruction.arguments])
        results = [(value(number), place) for number, place in sweep.stores]
        for result, place in results:
            self.frame.store(result, place, row, unit, mask)
        return value

    def _sum(self, number: int, sums: Mapping[int, Value], value: Callable[[int], Value]) -> Value:
        """What a tile added up, on top of what its chain of products starts from."""
        total = sums[number]
        start = self.instructions[number].arguments[1:]
        while start and start[0] in sums and self.chains[start[0]] == self.chains[number]:
            start = self.instructions[start[0]].arguments[1:]
        return self.b.fadd(total, value(start[0])) if start else total
