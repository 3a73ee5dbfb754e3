"""What this processor is, and how wide its vectors are."""

from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm

X86, ARM = ("x86_64", "amd64"), ("aarch64", "arm64")


@dataclass(frozen=True)
class Host:
    """The processor kernels are compiled for: vector width in bytes, number of vector registers, and whether one
    instruction multiplies pairs of bfloat16 numbers."""

    triple: str
    processor: str
    features: str
    vector_bytes: int
    registers: int
    bfloat16: bool


@cache
def initialise() -> None:
    """Tell LLVM about this processor, once."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@cache
def host() -> Host:
    """The processor of this machine.

    AVX-512 has 32 registers of 64 bytes, AVX2 16 of 32, NEON 32 of 16, plain SSE 16 of 16.
    Raises RuntimeError for a processor without fused multiply-add, where each would be a call, and for other families.
    """
    initialise()
    triple = llvm.get_process_triple()
    features = llvm.get_host_cpu_features()
    family = triple.partition("-")[0]
    if family not in X86 + ARM:
        raise RuntimeError(f"kernels are for 64-bit x86 and ARM, this is {triple}")
    if family in X86 and not features.get("fma"):
        raise RuntimeError("this x86 processor has no fused multiply-add")
    if features.get("avx512f") and features.get("avx512vl") and features.get("avx512dq"):
        width, registers = 64, 32
    elif features.get("avx2"):
        width, registers = 32, 16
    elif family in ARM:
        width, registers = 16, 32
    else:
        width, registers = 16, 16
    text = features.flatten()
    if width == 64:
        text += ",-prefer-256-bit"
    return Host(
        triple, llvm.get_host_cpu_name(), text, width, registers, width == 64 and bool(features.get("avx512bf16"))
    )


def target_machine(host: Host) -> llvm.TargetMachine:
    """LLVM's code generator for that processor."""
    initialise()
    target = llvm.Target.from_triple(host.triple)
    return target.create_target_machine(
        cpu=host.processor, features=host.features, opt=3, reloc="pic", codemodel="small"
    )
