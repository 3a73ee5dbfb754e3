"""The input projection."""

from llvmlite import ir

from ricorso.kernels.llvm.control import Arguments, emit_part, loop, share
from ricorso.kernels.llvm.shape import Shape
from ricorso.kernels.llvm.tile import over_rows, product
from ricorso.kernels.llvm.vector import I64, Value


def emit_project(module: ir.Module, shape: Shape) -> None:
    """columns[row] = bias + inputs[row] @ weight.T for `batch` rows, with weights packed by `pack_input`."""
    tile = shape.projection

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        first, last = share(b, I64(tile.count), number, size)

        def each(super_block: Value, _: list[Value]) -> list[Value]:
            def emit(rows: int, row: Value) -> None:
                project_rows(b, a, shape, [super_block], [b.add(row, I64(n)) for n in range(rows)])

            over_rows(b, a.integer("batch"), range(1, tile.rows + 1), emit)
            return []

        loop(b, first, last, each)

    emit_part(module, "project", work)


def project_rows(b: ir.IRBuilder, a: Arguments, shape: Shape, super_blocks: list[Value], rows: list[Value]) -> None:
    """The columns of some rows in super-blocks of the projection's tile."""
    v, tile, gates = shape.vectors(b), shape.projection, len(shape.cell.input_gates)
    depth, input_stride = a.integer("input_size"), a.integer("input_stride")
    packed, places = [], []
    for super_block in super_blocks:
        begin = b.mul(b.mul(super_block, depth), I64(tile.covered * gates))
        packed.append(v.address(a.pointer("packed_input"), begin))
        unit, _, end = tile.place(b, super_block)
        masks = tile.masks(v, unit, end)
        places += [
            (b.add(unit, I64(gate * shape.hidden + block * tile.lanes)), masks[block])
            for block in range(tile.blocks)
            for gate in range(gates)
        ]
    start = [v.load(v.address(a.pointer("bias"), place), mask) for place, mask in places]
    sources = [v.address(a.pointer("inputs"), b.mul(row, input_stride)) for row in rows]
    sums = product(v, [start] * len(rows), sources, packed, depth)
    for values, row in zip(sums, rows, strict=True):
        base = v.address(a.pointer("columns"), b.mul(row, I64(shape.columns)))
        for value, (place, mask) in zip(values, places, strict=True):
            v.store(value, v.address(base, place), mask)
