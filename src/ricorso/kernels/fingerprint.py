"""Whether numbers in memory are still those of before: the compiled kernel."""

import ctypes
import json
from collections.abc import Sequence
from functools import cache

from ricorso.kernels.cache import cached
from ricorso.kernels.llvm.fingerprint import KERNEL, compile_fingerprint, result_bytes
from ricorso.kernels.llvm.host import host
from ricorso.kernels.native import Loaded, load, made_by

MOST_AREAS = 4
Block = ctypes.c_int64 * (2 + 2 * MOST_AREAS)


@cache
def _loaded() -> tuple[Loaded, type[ctypes.Array[ctypes.c_char]]]:
    machine = host()
    code = cached(json.dumps([KERNEL, *made_by(machine)]), lambda: compile_fingerprint(machine))
    return load(code, machine, Block, [KERNEL], []), ctypes.c_char * result_bytes(machine)


def fingerprint(areas: Sequence[int]) -> bytes:
    """Of up to MOST_AREAS areas, each given as its address and its number of 32-bit words.

    It differs when one word does; two different memories have the same one with a probability of 2^-32.
    """
    loaded, result = _loaded()
    found = result()
    loaded.whole[KERNEL](Block(len(areas) // 2, ctypes.addressof(found), *areas))
    return found.raw
