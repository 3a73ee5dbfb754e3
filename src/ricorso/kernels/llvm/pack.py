"""Weights laid out as the tiles read them: [super-block][k][block][matrix][lanes]."""

from llvmlite import ir

from ricorso.kernels.layout import matrix_row
from ricorso.kernels.llvm.control import Arguments, emit_part, loop, share
from ricorso.kernels.llvm.shape import Direction, PackedGroup, Shape
from ricorso.kernels.llvm.tile import Tile
from ricorso.kernels.llvm.vector import I64, Value


def emit_pack(module: ir.Module, name: str, shape: Shape, direction: Direction) -> None:
    """All recurrent matrices of a schedule."""

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        for groups in direction.packed:
            for packed in groups:
                _pack_group(b, a, shape, packed, number, size)

    emit_part(module, name, work)


def emit_pack_input(module: ir.Module, shape: Shape) -> None:
    """The input weights of all gates, `depth` columns."""
    tile = shape.projection

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        depth = a.integer("depth")
        first, last = share(b, I64(tile.count), number, size)

        def each(super_block: Value, _: list[Value]) -> list[Value]:
            v = shape.vectors(b)
            words = b.mul(depth, I64(tile.covered * len(shape.cell.input_gates)))
            target = v.word_address(a.pointer("packed_input"), b.mul(super_block, words))
            _transposing(b, a, shape, tile, list(range(len(shape.cell.input_gates))), super_block, target, depth)
            return []

        loop(b, first, last, each)

    emit_part(module, "pack_input", work)


def _pack_group(b: ir.IRBuilder, a: Arguments, shape: Shape, packed: PackedGroup, number: Value, size: Value) -> None:
    tile, group = packed.tile, packed.group
    instructions = (shape.backward if group.transposed else shape.forward).schedule.program.instructions
    rows = [matrix_row(shape.cell, instructions[member].name) for member, _ in group.members]
    first, last = share(b, I64(tile.count), number, size)

    def each(super_block: Value, _: list[Value]) -> list[Value]:
        v = shape.vectors(b)
        offset = b.add(I64(packed.offset), b.mul(super_block, I64(packed.words)))
        target = v.word_address(a.pointer("packed"), offset)
        if group.transposed:
            _straight(b, a, shape, tile, rows, super_block, target)
        else:
            _transposing(b, a, shape, tile, rows, super_block, target, I64(shape.depth_words))
        return []

    loop(b, first, last, each)


def _transposing(
    b: ir.IRBuilder, a: Arguments, shape: Shape, tile: Tile, matrices: list[int], super_block: Value, target: Value,
    depth: Value,
) -> None:  # fmt: skip
    """Units are rows of the weight: squares of lanes x lanes words are turned over."""
    v, weight = shape.vectors(b), a.pointer("weight")
    width = len(matrices)
    unit, _, end = tile.place(b, super_block)
    squares = b.sdiv(b.add(depth, I64(tile.lanes - 1)), I64(tile.lanes))

    def each_square(square: Value, _: list[Value]) -> list[Value]:
        k = b.mul(square, I64(tile.lanes))
        inside = v.lane_mask(k, depth)
        nothing = ir.Constant(inside.type, [0] * tile.lanes)
        for block in range(tile.blocks):
            for place, matrix in enumerate(matrices):
                rows = []
                for lane in range(tile.lanes):
                    own = b.add(unit, I64(block * tile.lanes + lane))
                    mask = b.select(b.icmp_signed("<", own, end), inside, nothing) if tile.masked else inside
                    row = b.add(b.mul(b.add(own, I64(matrix * shape.hidden)), depth), k)
                    rows.append(v.load(v.word_address(weight, row), mask))
                for lane, column in enumerate(v.transpose(rows)):
                    at = b.add(k, I64(lane))
                    to = b.add(b.mul(at, I64(tile.blocks * width)), I64(block * width + place))
                    with b.if_then(b.icmp_signed("<", at, depth)):
                        v.store(column, v.word_address(target, b.mul(to, I64(tile.lanes))))
        return []

    loop(b, I64(0), squares, each_square)


def _straight(
    b: ir.IRBuilder, a: Arguments, shape: Shape, tile: Tile, matrices: list[int], super_block: Value, target: Value
) -> None:
    """Units are columns of the weight."""
    v, weight, depth = shape.vectors(b), a.pointer("weight"), shape.head_size
    width = len(matrices)
    unit, head, end = tile.place(b, super_block)
    masks = tile.masks(v, unit, end)
    inside = b.sub(unit, head)

    def each_word(k: Value, _: list[Value]) -> list[Value]:
        for place, matrix in enumerate(matrices):
            for block in range(tile.blocks):
                loaded = []
                for part in range(v.per_word):
                    row = b.add(b.add(head, I64(matrix * shape.hidden)), b.add(b.mul(k, I64(v.per_word)), I64(part)))
                    source = b.add(b.mul(row, I64(depth)), b.add(inside, I64(block * tile.lanes)))
                    loaded.append(v.load_raw(v.stored_address(weight, source), masks[block]))
                to = b.add(b.mul(k, I64(tile.blocks * width)), I64(block * width + place))
                v.store_words(v.words(loaded), v.word_address(target, b.mul(to, I64(tile.lanes))))
        return []

    loop(b, I64(0), I64(shape.depth_words), each_word)
