"""Machine code loaded into this process."""

import ctypes
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import llvmlite
from llvmlite import binding as llvm

from ricorso.kernels.llvm.host import Host, target_machine

Native = Callable[..., None]


@dataclass(frozen=True, eq=False)
class Loaded:
    """Kernels, called with an argument block, and their parts, called with a block, a thread's number, their count."""

    whole: Mapping[str, Native]
    part: Mapping[str, Native]
    engine: object = field(repr=False)


def load(
    code: bytes, machine: Host, block: type[ctypes.Array[ctypes.c_int64]], kernels: Iterable[str], parts: Iterable[str]
) -> Loaded:
    """The kernels in object code for this machine; block: the type of their argument block."""
    whole = ctypes.CFUNCTYPE(None, ctypes.POINTER(block))
    part = ctypes.CFUNCTYPE(None, ctypes.POINTER(block), ctypes.c_int64, ctypes.c_int64)
    empty = llvm.parse_assembly(f'target triple = "{machine.triple}"')
    # llvmlite's memory manager puts code and constants side by side: LLVM's own may put them more than 2 GB apart in a
    # process that holds much memory, and then ends the process
    engine = llvm.create_mcjit_compiler(empty, target_machine(machine), use_lmm=True)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Loaded(
        {name: whole(engine.get_function_address(name)) for name in kernels},
        {name: part(engine.get_function_address(f"{name}_part")) for name in parts},
        engine,
    )


def made_by(machine: Host) -> list[str]:
    """What code depends on besides what it is for: the code that makes it, its version, the machine."""
    return [_source_digest(), llvmlite.__version__, machine.triple, machine.processor, machine.features]


@cache
def _source_digest() -> str:
    """Changes whenever the code that makes kernels does."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *here.glob("llvm/*.py"), *here.parent.glob("equations/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
