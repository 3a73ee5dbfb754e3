"""Products of a few rows with a matrix as torch keeps it: the compiled kernels."""

import ctypes
import json
from dataclasses import dataclass
from functools import cache

from ricorso.kernels.cache import cached
from ricorso.kernels.llvm.dense import FIELD, FIELDS, KERNELS, compile_dense
from ricorso.kernels.llvm.host import host
from ricorso.kernels.native import Loaded, load, made_by
from ricorso.kernels.team import Team, run_in_threads

Block = ctypes.c_int64 * len(FIELDS)


@dataclass(frozen=True, eq=False)
class Dense:
    """The kernels for one element type: "times" for weights of (units, depth), "mix" for (depth, units)."""

    loaded: Loaded

    def run(
        self,
        kernel: str,
        output: tuple[int, int, int, int, bool],
        *products: int,
        team: Team,
        threads: int,
        step: int = 1,
        rows: int = 0,
    ) -> None:
        """output (rows, units) = or += one or two products of rows with a weight, plus biases.

        output: rows, units, address, stride, and whether the result is added to what is there. products: depth, address
        and stride of the input, address of the weight and of a bias or 0. team, threads: who shares the work.
        step: from a column of the input of "mix" to the next, so that it may be a transpose. rows: of the addresses of
        the weight's rows for "mix", where they do not lie one behind the other.
        """
        made = Block(threads, 0, 0, 0, 0, 0, *output, *products)
        made[FIELD["input_step"]], made[FIELD["weight_rows"]] = step, rows
        if threads > 1:
            for name, value in team.arguments.items():
                made[FIELD[name]] = value
            if not team.fork:
                run_in_threads(self.loaded.part[kernel], made, threads)
                return
        self.loaded.whole[kernel](made)


@cache
def dense(dtype: str) -> Dense:
    """The kernels for "float32" or "float64"."""
    machine = host()
    code = cached(json.dumps(["dense", *made_by(machine), dtype]), lambda: compile_dense(machine, dtype))
    return Dense(load(code, machine, Block, KERNELS, KERNELS))
