"""Kernels ready to be called: from the cache or freshly compiled, loaded into this process."""

import ctypes
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import llvmlite
from llvmlite import binding as llvm

from ricorso.equations.cell import Cell
from ricorso.equations.portable import to_json
from ricorso.kernels.arguments import Block, block
from ricorso.kernels.cache import cached
from ricorso.kernels.llvm.forward import Shape
from ricorso.kernels.llvm.host import Host, host, target_machine
from ricorso.kernels.llvm.module import KERNELS, compile_object, shape_for
from ricorso.kernels.team import Team, run_in_threads

Native = Callable[..., None]
Whole = ctypes.CFUNCTYPE(None, ctypes.POINTER(Block))
Part = ctypes.CFUNCTYPE(None, ctypes.POINTER(Block), ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True, eq=False)
class Compiled:
    """The kernels of one cell, number of units and element type."""

    shape: Shape
    whole: Mapping[str, Native]
    part: Mapping[str, Native]
    _engine: object = field(repr=False)

    def run(self, name: str, team: Team, values: Mapping[str, int]) -> None:
        """Run one kernel; `values` fill its argument block (see `arguments`)."""
        arguments = block({**values, **team.arguments})
        threads = values.get("threads", 1)
        if threads > 1 and not team.fork:
            for part in KERNELS[name]:
                run_in_threads(self.part[part], arguments, threads)
        else:
            self.whole[name](arguments)

    @property
    def columns(self) -> int:
        return self.shape.columns

    def packed_forward_size(self, depth: int) -> int:
        return self.shape.forward.packed_size(depth)

    @property
    def packed_backward_size(self) -> int:
        return self.shape.backward.packed_size(len(self.shape.cell.gates) * self.shape.hidden)


@cache
def _source_digest() -> str:
    """Changes whenever the code that makes kernels does."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *here.glob("llvm/*.py"), *here.parent.glob("equations/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _key(machine: Host, shape: Shape) -> str:
    facts = [
        _source_digest(),
        llvmlite.__version__,
        machine.triple,
        machine.processor,
        machine.features,
        shape.dtype,
        shape.hidden,
        to_json(shape.cell),
    ]
    return json.dumps(facts, sort_keys=True)


@cache
def compiled(cell: Cell, dtype: str, hidden: int) -> Compiled:
    """The kernels for `cell` with `hidden` units in "float32" or "float64"."""
    machine = host()
    shape = shape_for(machine, cell, dtype, hidden)
    code = cached(_key(machine, shape), lambda: compile_object(machine, shape))
    empty = llvm.parse_assembly(f'target triple = "{machine.triple}"')
    engine = llvm.create_mcjit_compiler(empty, target_machine(machine))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    whole = {name: Whole(engine.get_function_address(name)) for name in KERNELS}
    parts = {part for stages in KERNELS.values() for part in stages}
    part = {name: Part(engine.get_function_address(f"{name}_part")) for name in parts}
    return Compiled(shape, whole, part, engine)
