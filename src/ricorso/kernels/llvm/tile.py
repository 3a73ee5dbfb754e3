"""The register tile: a few rows times a few vectors of units, all gates of a unit together."""

from dataclasses import dataclass

from llvmlite import ir

from ricorso.kernels.llvm.control import loop
from ricorso.kernels.llvm.host import Host
from ricorso.kernels.llvm.vector import I64, Value, Vectors


@dataclass(frozen=True)
class Tile:
    """rows x (blocks * width) accumulators; `width` vectors belong to one block of `lanes` units.

    A super-block is `blocks` blocks: the units that one tile covers. Packed weights are laid out as
    [super-block][k][block][width][lanes], zero beyond the last unit.
    """

    units: int
    width: int
    lanes: int
    rows: int
    blocks: int

    @property
    def vectors(self) -> int:
        return self.blocks * self.width

    @property
    def covered(self) -> int:
        """Units in one super-block."""
        return self.blocks * self.lanes

    @property
    def count(self) -> int:
        """Super-blocks that cover all units."""
        return -(-self.units // self.covered)

    @property
    def masked(self) -> bool:
        return self.units % self.covered != 0

    def packed_size(self, depth: int) -> int:
        """Elements of packed weights whose product has `depth` terms."""
        return self.count * depth * self.vectors * self.lanes


def choose_tile(host: Host, units: int, width: int, lanes: int) -> Tile:
    """The largest tile that fits the registers, leaving room for one vector a column and a broadcast value."""
    wanted = 4 if host.registers == 32 else 2
    most = max(1, wanted // width)
    whole = -(-units // lanes)
    blocks = min(range(1, most + 1), key=lambda n: (-(-whole // n) * n - whole, -n))
    vectors = blocks * width
    rows = max(1, min(8, (host.registers - vectors - 2) // vectors if vectors < host.registers - 4 else 1))
    return Tile(units, width, lanes, rows, blocks)


def product(
    v: Vectors, tile: Tile, start: list[list[Value]], rows: list[Value], packed: Value, depth: Value
) -> list[list[Value]]:
    """start[row][vector] + sum over k < depth of rows[row][k] * packed[k][vector]."""
    b = v.builder
    flat = [value for row in start for value in row]
    row_size = tile.vectors * tile.lanes

    def body(k: Value, carried: list[Value]) -> list[Value]:
        base = b.mul(k, I64(row_size))
        weights = [v.load(v.address(packed, b.add(base, I64(n * tile.lanes)))) for n in range(tile.vectors)]
        results = []
        for number, row in enumerate(rows):
            value = v.broadcast(v.address(row, k))
            for n, weight in enumerate(weights):
                results.append(v.fma(value, weight, carried[number * tile.vectors + n]))
        return results

    done = loop(b, I64(0), depth, body, flat)
    return [done[n * tile.vectors : (n + 1) * tile.vectors] for n in range(len(rows))]


def masks(v: Vectors, tile: Tile, first_unit: Value) -> list[Value | None]:
    """For each block of a super-block, which lanes are real units; None where all are."""
    if not tile.masked:
        return [None] * tile.blocks
    b = v.builder
    return [v.lane_mask(b.add(first_unit, I64(n * tile.lanes)), I64(tile.units)) for n in range(tile.blocks)]


def over_rows(b: ir.IRBuilder, first: Value, last: Value, most: int, emit: dict[int, ir.Function], call) -> None:  # type: ignore[no-untyped-def]
    """Cover rows first..last with tiles of nearly equal height; `call(function, row)` emits one call."""
    total = b.sub(last, first)
    tiles = b.sdiv(b.add(total, I64(most - 1)), I64(most))

    def body(n: Value, _: list[Value]) -> list[Value]:
        start = b.sdiv(b.mul(total, n), tiles)
        height = b.sub(b.sdiv(b.mul(total, b.add(n, I64(1))), tiles), start)
        row = b.add(first, start)
        done = b.append_basic_block("covered")
        impossible = b.append_basic_block("impossible")
        switch = b.switch(height, impossible)
        for rows, function in emit.items():
            block = b.append_basic_block(f"rows{rows}")
            switch.add_case(I64(rows), block)
            b.position_at_end(block)
            call(function, row)
            b.branch(done)
        b.position_at_end(impossible)
        b.unreachable()
        b.position_at_end(done)
        return []

    loop(b, I64(0), tiles, body)
