"""A fingerprint of areas of memory: it differs when a single word of them does."""

from llvmlite import ir

from ricorso.kernels.llvm.control import loop
from ricorso.kernels.llvm.host import Host
from ricorso.kernels.llvm.object import new_module, object_code
from ricorso.kernels.llvm.vector import I32, I64, POINTER, Value

KERNEL = "fingerprint"
# Sums that do not wait for one another.
CHAINS = 4
# Odd, so that multiplying by it loses nothing. It moves bits up: without the shift down the highest bit would stay
# where it is, and two numbers that change their sign would cancel.
FACTOR = 0x9E3779B1
SHIFT = 15


def result_bytes(host: Host) -> int:
    """Of a fingerprint."""
    return CHAINS * host.vector_bytes + 4


def compile_fingerprint(host: Host) -> bytes:
    """Relocatable machine code of KERNEL.

    It takes a block of integers: how many areas there are, where the fingerprint goes, and for each area its address
    and its number of 32-bit words. A word w takes a sum s to p xor (p >> SHIFT), where p is (s xor w) * FACTOR.
    """
    module = new_module(host, "fingerprint")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), KERNEL)
    b = ir.IRBuilder(function.append_basic_block())
    _emit(b, function.args[0], host.vector_bytes // 4)
    b.ret_void()
    return object_code(host, module)


def _emit(b: ir.IRBuilder, block: Value, lanes: int) -> None:
    vector = ir.VectorType(I32, lanes)
    factors, shifts = (ir.Constant(vector, [number] * lanes) for number in (FACTOR, SHIFT))

    def field(number: Value) -> Value:
        return b.load(b.gep(block, [number], source_etype=I64), typ=I64)

    def word(base: Value, number: Value) -> Value:
        return b.gep(base, [number], source_etype=I32)

    def mixed(total: Value, value: Value, factor: Value, shift: Value) -> Value:
        found = b.mul(b.xor(total, value), factor)
        return b.xor(found, b.lshr(found, shift))

    def area(number: Value, sums: list[Value]) -> list[Value]:
        first = b.add(b.mul(number, I64(2)), I64(2))
        base, words = b.inttoptr(field(first), POINTER), field(b.add(first, I64(1)))
        together = CHAINS * lanes
        whole = b.sdiv(words, I64(together))

        def vectors(n: Value, carried: list[Value]) -> list[Value]:
            begin = b.mul(n, I64(together))
            loaded = [
                b.load(word(base, b.add(begin, I64(chain * lanes))), typ=vector, align=4) for chain in range(CHAINS)
            ]
            return [mixed(s, value, factors, shifts) for s, value in zip(carried, loaded, strict=True)]

        def single(n: Value, carried: list[Value]) -> list[Value]:
            return [mixed(carried[0], b.load(word(base, n), typ=I32, align=4), I32(FACTOR), I32(SHIFT))]

        *many, one = sums
        many = loop(b, I64(0), whole, vectors, many)
        return [*many, *loop(b, b.mul(whole, I64(together)), words, single, [one])]

    start = [ir.Constant(vector, [1] * lanes)] * CHAINS + [I32(1)]
    *many, one = loop(b, I64(0), field(I64(0)), area, start)
    result = b.inttoptr(field(I64(1)), POINTER)
    for chain, value in enumerate(many):
        b.store(value, word(result, I64(chain * lanes)), align=4)
    b.store(one, word(result, I64(CHAINS * lanes)), align=4)
