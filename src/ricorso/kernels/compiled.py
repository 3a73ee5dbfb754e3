"""Kernels ready to be called: from the cache or freshly compiled, loaded into this process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from ricorso.equations.cell import Cell
from ricorso.equations.portable import to_json
from ricorso.kernels.arguments import INDEX, Arguments, Block, block
from ricorso.kernels.cache import cached
from ricorso.kernels.llvm.host import host
from ricorso.kernels.llvm.module import MODULES, compile_object, parts
from ricorso.kernels.llvm.shape import Shape
from ricorso.kernels.native import Loaded, Native, load, made_by
from ricorso.kernels.team import Team, run_in_threads

_THREADS = INDEX["threads"]
# kernel -> the module that has it
MODULE_OF = {kernel: module for module, kernels in MODULES.items() for kernel in kernels}


@dataclass(frozen=True, eq=False)
class Compiled:
    """The kernels of one shape. A module is compiled when one of its kernels is first needed."""

    shape: Shape
    _loaded: dict[str, Loaded] = field(default_factory=dict, repr=False)

    def _module(self, kernel: str) -> Loaded:
        name = MODULE_OF[kernel]
        if name not in self._loaded:
            self._loaded[name] = _load(self.shape, name)
        return self._loaded[name]

    def kernel(self, name: str) -> Native:
        """The kernel itself, to be called with an argument block."""
        return self._module(name).whole[name]

    def run(self, name: str, team: Team, values: Mapping[str, int]) -> None:
        """Run one kernel; `values` fill its argument block (see `arguments`)."""
        self.run_block(name, team, block({**values, **team.arguments}))

    def run_block(self, name: str, team: Team, arguments: Arguments) -> None:
        """Run one kernel with an argument block that has the team's addresses."""
        module, threads = self._module(name), arguments[_THREADS]
        if threads > 1 and not team.fork:
            for part in MODULES[MODULE_OF[name]][name]:
                run_in_threads(module.part[part], arguments, threads)
        else:
            module.whole[name](arguments)

    def packed_input_size(self, depth: int) -> int:
        """Elements of packed input weights."""
        tile = self.shape.projection
        return tile.count * tile.vectors * tile.lanes * depth


def _key(shape: Shape, module: str) -> str:
    facts = [*made_by(shape.host), shape.dtype, shape.hidden, shape.heads, module, to_json(shape.cell)]
    return json.dumps(facts, sort_keys=True)


def _load(shape: Shape, module: str) -> Loaded:
    code = cached(_key(shape, module), lambda: compile_object(shape, module))
    return load(code, shape.host, Block, MODULES[module], parts(module))


@cache
def compiled(cell: Cell, dtype: str, hidden: int, heads: int = 1) -> Compiled:
    """The kernels for `cell` with `hidden` units in "float32", "float64" or "bfloat16"."""
    return Compiled(Shape(host(), cell, dtype, hidden, heads))
