"""Products of a few rows with a matrix as torch keeps it: the compiled kernels."""

import ctypes
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import llvmlite
from llvmlite import binding as llvm

from ricorso.kernels.cache import cached
from ricorso.kernels.compiled import Native, _source_digest
from ricorso.kernels.llvm.dense import FIELD, FIELDS, KERNELS, compile_dense
from ricorso.kernels.llvm.host import host, target_machine
from ricorso.kernels.team import Team, run_in_threads

Block = ctypes.c_int64 * len(FIELDS)
Whole = ctypes.CFUNCTYPE(None, ctypes.POINTER(Block))
Part = ctypes.CFUNCTYPE(None, ctypes.POINTER(Block), ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True, eq=False)
class Dense:
    """The kernels for one element type: "times" for weights of (units, depth), "mix" for (depth, units)."""

    whole: Mapping[str, Native]
    part: Mapping[str, Native]
    engine: object = field(repr=False)

    def run(
        self, kernel: str, output: tuple[int, int, int, int, bool], *products: int, team: Team, threads: int
    ) -> None:
        """output (rows, units) = or += one or two products of rows with a weight, plus biases.

        output: rows, units, address, stride, and whether the result is added to what is there. products: depth, address
        and stride of the input, address of the weight and of a bias or 0. team, threads: who shares the units.
        """
        made = Block(threads, 0, 0, 0, 0, 0, *output, *products)
        if threads > 1:
            for name, value in team.arguments.items():
                made[FIELD[name]] = value
            if not team.fork:
                run_in_threads(self.part[kernel], made, threads)
                return
        self.whole[kernel](made)


@cache
def dense(dtype: str) -> Dense:
    """The kernels for "float32" or "float64"."""
    machine = host()
    facts = [_source_digest(), llvmlite.__version__, machine.triple, machine.processor, machine.features, dtype]
    code = cached(json.dumps(["dense", *facts]), lambda: compile_dense(machine, dtype))
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(f'target triple = "{machine.triple}"'), target_machine(machine)
    )
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    whole = {name: Whole(engine.get_function_address(name)) for name in KERNELS}
    part = {name: Part(engine.get_function_address(f"{name}_part")) for name in KERNELS}
    return Dense(whole, part, engine)
