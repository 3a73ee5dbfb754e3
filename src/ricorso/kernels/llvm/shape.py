"""What a kernel is specialised for, and the tiles and packed weights that follow from it."""

from dataclasses import dataclass
from functools import cached_property
from math import lcm

from llvmlite import ir

from ricorso.equations.cell import Cell
from ricorso.kernels.layout import backward_schedule, forward_schedule
from ricorso.kernels.llvm.host import Host
from ricorso.kernels.llvm.tile import Tile, choose_tile
from ricorso.kernels.llvm.vector import Vectors
from ricorso.kernels.schedule import Group, Schedule


@dataclass(frozen=True)
class PackedGroup:
    """Where the weights of a group lie in the packed buffer, and the tile that they are cut for."""

    group: Group
    tile: Tile
    offset: int
    words: int


@dataclass(frozen=True, eq=False)
class Direction:
    """One schedule with a tile for each pass that has products."""

    schedule: Schedule
    tiles: tuple[Tile | None, ...]
    packed: tuple[tuple[PackedGroup, ...], ...]
    packed_words: int
    granule: int
    hidden: int

    @property
    def shares(self) -> int:
        """Into how many parts the units can be divided among threads."""
        return 1 if self.schedule.has_means else -(-self.hidden // self.granule)


@dataclass(frozen=True)
class Shape:
    """A cell, its number of units, the blocks of its recurrent matrices, the element type, on a processor."""

    host: Host
    cell: Cell
    dtype: str
    hidden: int
    heads: int

    @property
    def lanes(self) -> int:
        return self.host.vector_bytes // (8 if self.dtype == "float64" else 4)

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @property
    def depth_words(self) -> int:
        """Words in a row of a recurrent matrix."""
        return self.head_size // 2 if self.dtype == "bfloat16" else self.head_size

    @property
    def columns(self) -> int:
        """Elements of a row of columns."""
        return len(self.cell.input_gates) * self.hidden

    @property
    def extras(self) -> int:
        """Elements of a row of extra columns."""
        return (len(self.cell.leaves) - len(self.cell.input_gates)) * self.hidden

    @cached_property
    def forward(self) -> Direction:
        return self._direction(forward_schedule(self.cell))

    @cached_property
    def inference(self) -> Direction:
        """Forward, keeping nothing for the backward pass."""
        return self._direction(forward_schedule(self.cell, saving=False))

    @cached_property
    def backward(self) -> Direction:
        return self._direction(backward_schedule(self.cell))

    @cached_property
    def projection(self) -> Tile:
        """The tile of the input projection."""
        return choose_tile(self.host, self.hidden, 1, len(self.cell.input_gates), self.lanes)

    @property
    def takes_input_along(self) -> bool:
        """Whether a step can project its input super-block by super-block, with the first products."""
        tiles = self.inference.tiles
        first = tiles[0] if tiles else None
        if first is None or self.heads > 1:
            return False
        return first.covered % self.projection.covered == 0 and self.projection.rows >= first.rows

    def vectors(self, b: ir.IRBuilder) -> Vectors:
        return Vectors(b, self.dtype, self.lanes)

    def _direction(self, schedule: Schedule) -> Direction:
        tiles: list[Tile | None] = []
        packed: list[tuple[PackedGroup, ...]] = []
        total = 0
        for part in schedule.passes:
            tile = None
            groups = []
            if part.groups:
                tile = choose_tile(self.host, self.head_size, self.heads, part.chains, self.lanes)
                for group in part.groups:
                    words = tile.covered * len(group.members) * self.depth_words
                    groups.append(PackedGroup(group, tile, total, words))
                    total += words * tile.count
            tiles.append(tile)
            packed.append(tuple(groups))
        covered = [tile.covered for tile in tiles if tile]
        granule = self.head_size if self.heads > 1 else lcm(*covered) if covered else 4 * self.lanes
        return Direction(schedule, tuple(tiles), tuple(packed), total, granule, self.hidden)
