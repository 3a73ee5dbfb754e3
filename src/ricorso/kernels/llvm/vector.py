"""Vectors of one element type: loads, stores, arithmetic and the elementary functions, accurate to a few ulp.

No flag that lets LLVM reassociate is used: the rounding trick in `exponential` depends on the order as written.
"""

import math
import struct
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import mpmath
from llvmlite import ir

from ricorso.kernels.program import Instruction

I16, I32, I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
POINTER = ir.PointerType()
Value: TypeAlias = ir.Value


@cache
def _polynomial(kind: str, terms: int) -> tuple[float, ...]:
    """Near-minimax coefficients, highest power first, of (exp(r)-1)/r, or of atanh(s)/s or sin(s)/s in powers of s²."""
    with mpmath.workdps(40):
        if kind == "expm1":
            bound = mpmath.log(2) / 2 * mpmath.mpf("1.01")
            fitted = mpmath.chebyfit(lambda r: mpmath.expm1(r) / r if r else mpmath.mpf(1), [-bound, bound], terms)
        elif kind == "sin":
            top = (mpmath.pi / 2 * mpmath.mpf("1.01")) ** 2
            fitted = mpmath.chebyfit(
                lambda q: mpmath.sin(mpmath.sqrt(q)) / mpmath.sqrt(q) if q else mpmath.mpf(1), [0, top], terms
            )
        else:
            top = mpmath.mpf("0.0296")
            fitted = mpmath.chebyfit(
                lambda q: mpmath.atanh(mpmath.sqrt(q)) / mpmath.sqrt(q) if q else mpmath.mpf(1), [0, top], terms
            )
        return tuple(float(c) for c in fitted)


@cache
def _rest_of_log2(high: float) -> float:
    with mpmath.workdps(40):
        return float(mpmath.log(2) - mpmath.mpf(high))


@cache
def _parts_of_pi(bits: int) -> tuple[float, ...]:
    """pi as a sum of numbers of so many bits."""
    found = []
    with mpmath.workdps(60):
        left = +mpmath.pi
        for _ in range(4):
            scale = mpmath.mpf(2) ** (bits - mpmath.floor(mpmath.log(abs(left), 2)) - 1)
            found.append(float(mpmath.nint(left * scale) / scale))
            left -= found[-1]
    return tuple(found)


class BFloatType(ir.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloatType)

    def __hash__(self) -> int:
        return hash(BFloatType)


class Vectors:
    """Emits vector code through `builder`.

    float32 and float64 are stored as they are computed. bfloat16 is computed as float32; its words are pairs of
    numbers, which one instruction multiplies and adds up.
    """

    def __init__(self, builder: ir.IRBuilder, dtype: str, lanes: int) -> None:
        self.builder = builder
        self.single = dtype != "float64"
        self.halved = dtype == "bfloat16"
        self.per_word = 2 if self.halved else 1
        self.lanes = lanes
        self.scalar = ir.FloatType() if self.single else ir.DoubleType()
        self.bits = ir.VectorType(I32 if self.single else I64, lanes)
        self.type = ir.VectorType(self.scalar, lanes)
        self.size = 4 if self.single else 8
        self.stored = I16 if self.halved else self.scalar
        self.raw = ir.VectorType(self.stored, lanes)

    def intrinsic(self, name: str, result: ir.Type, arguments: list[Value]) -> Value:
        module = self.builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.builder.call(function, arguments)

    @property
    def _suffix(self) -> str:
        return f"v{self.lanes}f{32 if self.single else 64}"

    def constant(self, value: float) -> Value:
        if self.single:
            value = struct.unpack("f", struct.pack("f", value))[0]
        return ir.Constant(self.type, [value] * self.lanes)

    def _integer(self, value: int) -> Value:
        return ir.Constant(self.bits, [value] * self.lanes)

    def address(self, base: Value, index: Value) -> Value:
        return self.builder.gep(base, [index], source_etype=self.scalar)

    def stored_address(self, base: Value, index: Value) -> Value:
        """Of an element as it is stored."""
        return self.builder.gep(base, [index], source_etype=self.stored)

    def word_address(self, base: Value, index: Value) -> Value:
        """Of a number, or a pair of halved numbers."""
        return self.address(base, index)

    def load(self, address: Value, mask: Value | None = None) -> Value:
        return self._load(address, self.type, self._suffix, self.size, mask)

    def load_raw(self, address: Value, mask: Value | None = None) -> Value:
        """Elements as they are stored."""
        if not self.halved:
            return self.load(address, mask)
        return self._load(address, self.raw, f"v{self.lanes}i16", 2, mask)

    def _load(self, address: Value, kind: ir.Type, suffix: str, align: int, mask: Value | None) -> Value:
        if mask is None:
            return self.builder.load(address, typ=kind, align=align)
        zero = ir.Constant(kind, [0] * self.lanes)
        return self.intrinsic(f"llvm.masked.load.{suffix}.p0", kind, [address, I32(align), mask, zero])

    def load_stored(self, address: Value, mask: Value | None = None) -> Value:
        """Elements as they are computed with."""
        if not self.halved:
            return self.load(address, mask)
        wide = self.builder.zext(self.load_raw(address, mask), self.bits)
        return self.builder.bitcast(self.builder.shl(wide, self._integer(16)), self.type)

    def store(self, value: Value, address: Value, mask: Value | None = None) -> None:
        self._store(value, address, self._suffix, self.size, mask)

    def store_stored(self, value: Value, address: Value, mask: Value | None = None) -> None:
        """Elements as they are stored, rounded to nearest."""
        if not self.halved:
            self.store(value, address, mask)
            return
        narrow = ir.VectorType(BFloatType(), self.lanes)
        rounded = self.intrinsic("llvm.x86.avx512bf16.cvtneps2bf16.512", narrow, [value])
        self._store(self.builder.bitcast(rounded, self.raw), address, f"v{self.lanes}i16", 2, mask)

    def _store(self, value: Value, address: Value, suffix: str, align: int, mask: Value | None) -> None:
        if mask is None:
            self.builder.store(value, address, align=align)
            return
        self.intrinsic(f"llvm.masked.store.{suffix}.p0", ir.VoidType(), [value, address, I32(align), mask])

    def words(self, loaded: list[Value]) -> Value:
        """A vector of words from `per_word` vectors of stored elements."""
        if not self.halved:
            return loaded[0]
        low, high = (self.builder.zext(part, self.bits) for part in loaded)
        return self.builder.or_(low, self.builder.shl(high, self._integer(16)))

    def load_words(self, address: Value) -> Value:
        kind = self.bits if self.halved else self.type
        return self.builder.load(address, typ=kind, align=self.size)

    def store_words(self, value: Value, address: Value) -> None:
        self.builder.store(value, address, align=self.size)

    def broadcast_word(self, address: Value) -> Value:
        if not self.halved:
            return self.broadcast(address)
        return self.splat_as(self.builder.load(address, typ=I32, align=2), self.bits)

    def multiply_words(self, a: Value, b: Value, total: Value) -> Value:
        """total + a * b, summed over the numbers of a word."""
        if not self.halved:
            return self.fma(a, b, total)
        pairs = ir.VectorType(BFloatType(), 2 * self.lanes)
        arguments = [total, self.builder.bitcast(a, pairs), self.builder.bitcast(b, pairs)]
        return self.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", self.type, arguments)

    def transpose(self, rows: list[Value]) -> list[Value]:
        """The columns of a square of `lanes` vectors: blocks of 1, 2, 4 ... lanes change places in turn."""
        rows = list(rows)
        width = 1
        while width < self.lanes:
            for upper in (n for n in range(self.lanes) if not n & width):
                a, b = rows[upper], rows[upper | width]
                keep = [j if not j & width else self.lanes + (j ^ width) for j in range(self.lanes)]
                take = [j | width if not j & width else self.lanes + j for j in range(self.lanes)]
                for place, picked in ((upper, keep), (upper | width, take)):
                    mask = ir.Constant(ir.VectorType(I32, self.lanes), picked)
                    rows[place] = self.builder.shuffle_vector(a, b, mask)
            width *= 2
        return rows

    def splat(self, scalar: Value) -> Value:
        return self.splat_as(scalar, self.type)

    def splat_as(self, scalar: Value, kind: ir.Type) -> Value:
        """A vector of the given type with the same scalar in all lanes."""
        undefined = ir.Constant(kind, ir.Undefined)
        single = self.builder.insert_element(undefined, scalar, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, zeros)

    def total(self, value: Value) -> Value:
        """The sum of all lanes, in all lanes; halves are added in a fixed order."""
        width = self.lanes // 2
        while width:
            turned = ir.Constant(ir.VectorType(I32, self.lanes), [lane ^ width for lane in range(self.lanes)])
            value = self.builder.fadd(value, self.builder.shuffle_vector(value, value, turned))
            width //= 2
        return value

    def broadcast(self, address: Value) -> Value:
        return self.splat(self.builder.load(address, typ=self.scalar, align=self.size))

    def lane_mask(self, first: Value, limit: Value) -> Value:
        """Lanes whose index `first + lane` is below `limit` (both int64)."""
        wide = ir.VectorType(I64, self.lanes)
        vector = self.splat_as(self.builder.sub(limit, first), wide)
        return self.builder.icmp_signed("<", ir.Constant(wide, list(range(self.lanes))), vector)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.intrinsic(f"llvm.fma.{self._suffix}", self.type, [a, b, c])

    def clamp(self, value: Value, low: float, high: float) -> Value:
        """NaN stays NaN: a comparison with it is false, so it is never replaced."""
        below = self.builder.fcmp_ordered("<", value, self.constant(low))
        value = self.builder.select(below, self.constant(low), value)
        above = self.builder.fcmp_ordered(">", value, self.constant(high))
        return self.builder.select(above, self.constant(high), value)

    def _horner(self, coefficients: tuple[float, ...], x: Value) -> Value:
        total = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.fma(total, x, self.constant(coefficient))
        return total

    def exponential(self, x: Value) -> tuple[Value, Value]:
        """Two values s, e with exp(x) = s + s * e, for |x| within the range of the type."""
        mantissa, magic = (23, 1.5 * 2.0**23) if self.single else (52, 1.5 * 2.0**52)
        high = 0.693359375 if self.single else 0.6931471803691238
        low = _rest_of_log2(high)
        shifted = self.fma(x, self.constant(1.4426950408889634), self.constant(magic))
        n = self.builder.fsub(shifted, self.constant(magic))
        r = self.fma(n, self.constant(-high), x)
        r = self.fma(n, self.constant(-low), r)
        e = self.builder.fmul(r, self._horner(_polynomial("expm1", 6 if self.single else 11), r))
        exponent = self.builder.shl(self.builder.bitcast(shifted, self.bits), self._integer(mantissa))
        one = self.builder.bitcast(self.constant(1.0), self.bits)
        return self.builder.bitcast(self.builder.add(exponent, one), self.type), e

    def _bounded_exp(self, x: Value) -> Value:
        """exp, but for a little below the largest and the smallest normal number at the ends."""
        limits = (-87.3, 88.37) if self.single else (-708.3, 709.0)
        s, e = self.exponential(self.clamp(x, *limits))
        return self.fma(s, e, s)

    def exp(self, x: Value) -> Value:
        too_large = self.builder.fcmp_ordered(">", x, self.constant(88.37 if self.single else 709.0))
        return self.builder.select(too_large, self.constant(float("inf")), self._bounded_exp(x))

    def expm1(self, x: Value) -> Value:
        s, e = self.exponential(x)
        return self.fma(s, e, self.builder.fsub(s, self.constant(1.0)))

    def _reciprocal(self, x: Value) -> Value:
        """1 / x for x >= 1. AVX-512 has 14 bits of it ready, which one Newton step makes a whole float32."""
        one = self.constant(1.0)
        if not (self.single and self.lanes == 16):
            return self.builder.fdiv(one, x)
        near = self.intrinsic("llvm.x86.avx512.rcp14.ps.512", self.type, [x, x, I16(-1)])
        return self.fma(near, self.fma(self.builder.fneg(x), near, one), near)

    def sigmoid(self, x: Value) -> Value:
        return self._reciprocal(self.builder.fadd(self.constant(1.0), self._bounded_exp(self.builder.fneg(x))))

    def tanh(self, x: Value) -> Value:
        bound = 19.0 if self.single else 40.0
        m = self.expm1(self.clamp(self.builder.fadd(x, x), -bound, bound))
        return self.builder.fmul(m, self._reciprocal(self.builder.fadd(m, self.constant(2.0))))

    def log(self, x: Value) -> Value:
        """Zero and below give -inf and NaN as they should; subnormal numbers count as zero."""
        mantissa, bias, half = (23, 127, 0x3F3504F3) if self.single else (52, 1023, 0x3FE6A09E667F3BCD)
        bits = self.builder.bitcast(x, self.bits)
        exponent = self.builder.ashr(self.builder.sub(bits, self._integer(half)), self._integer(mantissa))
        m = self.builder.bitcast(self.builder.sub(bits, self.builder.shl(exponent, self._integer(mantissa))), self.type)
        n = self.builder.sitofp(exponent, self.type)
        s = self.builder.fdiv(self.builder.fsub(m, self.constant(1.0)), self.builder.fadd(m, self.constant(1.0)))
        series = self._horner(_polynomial("atanh", 4 if self.single else 10), self.builder.fmul(s, s))
        part = self.builder.fmul(self.builder.fadd(s, s), series)
        value = self.fma(n, self.constant(float(mpmath.log(2))), part)
        infinite = self.builder.fcmp_ordered("==", x, self.constant(float("inf")))
        value = self.builder.select(infinite, x, value)
        tiny = self.builder.fcmp_unordered("<", x, self.constant(2.0 ** (1 - bias)))
        negative = self.builder.fcmp_unordered("<", x, self.constant(0.0))
        value = self.builder.select(tiny, self.constant(float("-inf")), value)
        return self.builder.select(negative, self.constant(float("nan")), value)

    def relu(self, x: Value) -> Value:
        negative = self.builder.fcmp_ordered("<", x, self.constant(0.0))
        return self.builder.select(negative, self.constant(0.0), x)

    def step(self, x: Value) -> Value:
        positive = self.builder.fcmp_ordered(">", x, self.constant(0.0))
        return self.builder.select(positive, self.constant(1.0), self.constant(0.0))

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        return self.builder.select(self.builder.fcmp_ordered(">", condition, self.constant(0.0)), a, b)

    def maximum(self, a: Value, b: Value) -> Value:
        return self.builder.select(self.builder.fcmp_unordered("<", a, b), b, a)

    def absolute(self, x: Value) -> Value:
        return self.intrinsic(f"llvm.fabs.{self._suffix}", self.type, [x])

    def softplus(self, x: Value) -> Value:
        """max(x, 0) + log(1 + y) with y = exp(-|x|), which does not overflow.

        What 1 + y rounds away comes back as the term (y - ((1 + y) - 1)) / (1 + y).
        """
        y = self._bounded_exp(self.builder.fneg(self.absolute(x)))
        total = self.builder.fadd(self.constant(1.0), y)
        lost = self.builder.fsub(y, self.builder.fsub(total, self.constant(1.0)))
        logarithm = self.builder.fadd(self.log(total), self.builder.fdiv(lost, total))
        return self.builder.fadd(self.relu(x), logarithm)

    def _turns(self, x: Value, shift: float) -> Value:
        """sin(pi * (x / pi + shift)), for |x| up to some thousands."""
        mantissa = 23 if self.single else 52
        magic = self.constant(1.5 * 2.0**mantissa)
        scaled = self.fma(x, self.constant(1 / math.pi), self.constant(shift))
        shifted = self.builder.fadd(scaled, magic)
        n = self.builder.fsub(self.builder.fsub(shifted, magic), self.constant(shift))
        r = x
        for part in _parts_of_pi(12 if self.single else 26):
            r = self.fma(n, self.constant(-part), r)
        square = self.builder.fmul(r, r)
        sine = self.builder.fmul(r, self._horner(_polynomial("sin", 6 if self.single else 10), square))
        odd = self.builder.shl(self.builder.bitcast(shifted, self.bits), self._integer(31 if self.single else 63))
        return self.builder.bitcast(self.builder.xor(self.builder.bitcast(sine, self.bits), odd), self.type)

    def sine(self, x: Value) -> Value:
        return self._turns(x, 0.0)

    def cosine(self, x: Value) -> Value:
        return self._turns(x, 0.5)

    def apply(self, instruction: Instruction, arguments: list[Value]) -> Value:
        """The result of an elementwise instruction."""
        return self._operations[instruction.operation](*arguments)

    @property
    def _operations(self) -> dict[str, Callable[..., Value]]:
        b = self.builder
        # "contract" lets LLVM fuse a product with the sum it feeds; it never changes the order of operations.
        fuse = ("contract",)
        return {
            "copy": lambda x: x,
            "add": lambda x, y: b.fadd(x, y, flags=fuse),
            "subtract": lambda x, y: b.fsub(x, y, flags=fuse),
            "multiply": lambda x, y: b.fmul(x, y, flags=fuse),
            "divide": b.fdiv,
            "sqrt": lambda x: self.intrinsic(f"llvm.sqrt.{self._suffix}", self.type, [x]),
            "exp": self.exp,
            "log": self.log,
            "sigmoid": self.sigmoid,
            "tanh": self.tanh,
            "relu": self.relu,
            "softplus": self.softplus,
            "abs": self.absolute,
            "sine": self.sine,
            "cosine": self.cosine,
            "step": self.step,
            "maximum": self.maximum,
            "where": self.where,
        }
