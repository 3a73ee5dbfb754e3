"""The random numbers of `engine/noise.py` in machine code: the same bits."""

from llvmlite import ir

from ricorso.kernels.llvm.control import Arguments
from ricorso.kernels.llvm.vector import I32, I64, Value, Vectors
from ricorso.kernels.noise import MIX_1, MIX_2, ROW, STATIC, STEP


def _mix(b: ir.IRBuilder, x: Value, constant) -> Value:  # type: ignore[no-untyped-def]
    x = b.mul(b.xor(x, b.lshr(x, constant(16))), constant(MIX_1))
    x = b.mul(b.xor(x, b.lshr(x, constant(13))), constant(MIX_2))
    return b.xor(x, b.lshr(x, constant(16)))


def emit_step_key(b: ir.IRBuilder, a: Arguments, number: int, t: Value | None) -> Value:
    """What the hashes of one noise at one step share; without a step, at all steps."""
    seed = a.integer("seed")
    step = I32(STATIC) if t is None else b.trunc(b.add(a.integer("first_step"), t), I32)
    inner = _mix(b, b.add(b.mul(step, I32(STEP)), I32(number)), I32)
    high = b.trunc(b.lshr(seed, I64(32)), I32)
    return _mix(b, b.xor(b.trunc(seed, I32), _mix(b, b.add(high, inner), I32)), I32)


def emit_uniform(v: Vectors, key: Value, row: Value, unit: Value) -> Value:
    """Numbers in [0, 1) for a block of units of one row."""
    b = v.builder
    whole = ir.VectorType(I32, v.lanes)

    def constant(value: int) -> Value:
        return ir.Constant(whole, [value] * v.lanes)

    first = b.add(b.mul(b.trunc(row, I32), I32(ROW)), b.trunc(unit, I32))
    x = b.add(v.splat_as(first, whole), ir.Constant(whole, list(range(v.lanes))))
    x = b.xor(x, v.splat_as(key, whole))
    x = _mix(b, _mix(b, x, constant), constant)
    return b.fmul(b.uitofp(b.lshr(x, constant(8)), v.type), v.constant(2.0**-24))
