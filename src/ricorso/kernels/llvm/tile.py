"""The register tile: a few rows times a few vectors of units, all sums of a unit together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from ricorso.kernels.llvm.control import loop
from ricorso.kernels.llvm.host import Host
from ricorso.kernels.llvm.vector import I64, Value, Vectors


@dataclass(frozen=True)
class Tile:
    """rows x (blocks * width) accumulators; `width` vectors belong to one block of `lanes` units.

    units: how many there are in one head. A super-block is `blocks` blocks: the units that one tile covers.
    """

    units: int
    heads: int
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
    def per_head(self) -> int:
        """Super-blocks that cover the units of one head."""
        return -(-self.units // self.covered)

    @property
    def count(self) -> int:
        """Super-blocks that cover all units."""
        return self.heads * self.per_head

    @property
    def masked(self) -> bool:
        return self.units % self.covered != 0

    def place(self, b: ir.IRBuilder, super_block: Value) -> tuple[Value, Value, Value]:
        """The first unit of a super-block, the first unit of its head, and where its head ends."""
        if self.heads == 1:
            return b.mul(super_block, I64(self.covered)), I64(0), I64(self.units)
        head = b.sdiv(super_block, I64(self.per_head))
        begin = b.mul(head, I64(self.units))
        inside = b.sub(super_block, b.mul(head, I64(self.per_head)))
        return b.add(begin, b.mul(inside, I64(self.covered))), begin, b.add(begin, I64(self.units))

    def masks(self, v: Vectors, first_unit: Value, end: Value) -> list[Value | None]:
        """For each block of a super-block, which lanes are real units; None where all are."""
        if not self.masked:
            return [None] * self.blocks
        return [v.lane_mask(v.builder.add(first_unit, I64(n * self.lanes)), end) for n in range(self.blocks)]


def choose_tile(host: Host, units: int, heads: int, width: int, lanes: int) -> Tile:
    """The largest tile that fits the registers, leaving room for one vector a column and a broadcast value."""
    wanted = 4 if host.registers == 32 else 2
    most = max(1, wanted // width)
    whole = -(-units // lanes)
    blocks = min(range(1, most + 1), key=lambda n: (-(-whole // n) * n - whole, -n))
    vectors = blocks * width
    rows = max(1, min(8, (host.registers - vectors - 2) // vectors if vectors < host.registers - 4 else 1))
    return Tile(units, heads, width, lanes, rows, blocks)


def product(
    v: Vectors, start: list[list[Value]], rows: list[Value], packed: list[Value], depth: Value
) -> list[list[Value]]:
    """start[row][vector] + sum over k < depth of rows[row][k] * weights[k][vector].

    rows: addresses; packed: addresses of weights, of which each has its part of the vectors. depth counts words, which
    are pairs of numbers for bfloat16.
    """
    b, vectors = v.builder, len(start[0])
    width = vectors // len(packed)
    flat = [value for row in start for value in row]

    def body(k: Value, carried: list[Value]) -> list[Value]:
        base = b.mul(k, I64(width * v.lanes))
        weights = [
            v.load_words(v.word_address(part, b.add(base, I64(n * v.lanes)))) for part in packed for n in range(width)
        ]
        results = []
        for number, row in enumerate(rows):
            value = v.broadcast_word(v.word_address(row, k))
            for n, weight in enumerate(weights):
                results.append(v.multiply_words(value, weight, carried[number * vectors + n]))
        return results

    done = loop(b, I64(0), depth, body, flat)
    return [done[n * vectors : (n + 1) * vectors] for n in range(len(rows))]


def over_rows(
    b: ir.IRBuilder,
    total: Value,
    heights: Sequence[int],
    emit: Callable[[int, Value], None],
    finish: Callable[[Value, Value], None] | None = None,
) -> None:
    """Cover `total` rows with tiles of nearly equal height.

    `emit(rows, number)` emits one tile from row number `number` on, `finish(rows, number)` what follows a tile of any
    height.
    """
    most = max(heights)
    tiles = b.sdiv(b.add(total, I64(most - 1)), I64(most))

    def body(n: Value, _: list[Value]) -> list[Value]:
        start = b.sdiv(b.mul(total, n), tiles)
        height = b.sub(b.sdiv(b.mul(total, b.add(n, I64(1))), tiles), start)
        done = b.append_basic_block("covered")
        impossible = b.append_basic_block("impossible")
        switch = b.switch(height, impossible)
        for rows in heights:
            block = b.append_basic_block(f"rows{rows}")
            switch.add_case(I64(rows), block)
            b.position_at_end(block)
            emit(rows, start)
            b.branch(done)
        b.position_at_end(impossible)
        b.unreachable()
        b.position_at_end(done)
        if finish is not None:
            finish(height, start)
        return []

    loop(b, I64(0), tiles, body)
