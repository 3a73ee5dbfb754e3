"""The input projection."""

from llvmlite import ir

from ricorso.kernels.llvm.control import Arguments, emit_part, loop, share
from ricorso.kernels.llvm.shape import Shape
from ricorso.kernels.llvm.tile import over_rows, product
from ricorso.kernels.llvm.vector import I64, Value


def emit_project(module: ir.Module, shape: Shape) -> None:
    """columns[row] = bias + inputs[row] @ weight.T for `batch` rows, with weights packed by `pack_input`."""
    tile, gates = shape.projection, len(shape.cell.input_gates)

    def work(b: ir.IRBuilder, a: Arguments, number: Value, size: Value) -> None:
        v = shape.vectors(b)
        depth, input_stride = a.integer("input_size"), a.integer("input_stride")
        first, last = share(b, I64(tile.count), number, size)

        def each(super_block: Value, _: list[Value]) -> list[Value]:
            packed = v.address(a.pointer("packed"), b.mul(b.mul(super_block, depth), I64(tile.covered * gates)))
            unit, _, end = tile.place(b, super_block)
            masks = tile.masks(v, unit, end)
            places = [
                (b.add(unit, I64(gate * shape.hidden + block * tile.lanes)), masks[block])
                for block in range(tile.blocks)
                for gate in range(gates)
            ]

            def emit(rows: int, row: Value) -> None:
                start = [v.load(v.address(a.pointer("bias"), place), mask) for place, mask in places]
                own = [b.add(row, I64(n)) for n in range(rows)]
                sources = [v.address(a.pointer("inputs"), b.mul(r, input_stride)) for r in own]
                sums = product(v, [start] * rows, sources, [packed], depth)
                for n, r in enumerate(own):
                    base = v.address(a.pointer("columns"), b.mul(r, I64(shape.columns)))
                    for value, (place, mask) in zip(sums[n], places, strict=True):
                        v.store(value, v.address(base, place), mask)

            over_rows(b, a.integer("batch"), range(1, tile.rows + 1), emit)
            return []

        loop(b, first, last, each)

    emit_part(module, "project", work)
