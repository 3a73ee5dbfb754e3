"""Loops, argument blocks and teams of threads in LLVM code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from ricorso.kernels.arguments import INDEX
from ricorso.kernels.llvm.vector import I32, I64, POINTER, Value

Body = Callable[[Value, list[Value]], Sequence[Value]]
SPINS_BEFORE_YIELD = 4096


def loop(b: ir.IRBuilder, start: Value, stop: Value, body: Body, carried: Sequence[Value] = ()) -> list[Value]:
    """for i in range(start, stop): carried = body(i, carried); gives the last `carried`."""
    before = b.block
    head, inside, after = (b.append_basic_block(name) for name in ("loop", "body", "after"))
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(I64)
    values = [b.phi(value.type) for value in carried]
    index.add_incoming(start, before)
    for phi, value in zip(values, carried, strict=True):
        phi.add_incoming(value, before)
    b.cbranch(b.icmp_signed("<", index, stop), inside, after)
    b.position_at_end(inside)
    results = body(index, list(values))
    following = b.add(index, I64(1))
    latch = b.block
    b.branch(head)
    index.add_incoming(following, latch)
    for phi, value in zip(values, results, strict=True):
        phi.add_incoming(value, latch)
    b.position_at_end(after)
    return list(values)


@dataclass(frozen=True)
class Arguments:
    """Reads the argument block inside a kernel."""

    builder: ir.IRBuilder
    base: Value

    def address(self, name: str) -> Value:
        return self.builder.gep(self.base, [I64(INDEX[name])], source_etype=I64)

    def integer(self, name: str) -> Value:
        return self.builder.load(self.address(name), typ=I64)

    def pointer(self, name: str) -> Value:
        return self.builder.inttoptr(self.integer(name), POINTER)

    def function(self, name: str, kind: ir.FunctionType) -> Value:
        return self.builder.inttoptr(self.integer(name), kind.as_pointer())


Work = Callable[[ir.IRBuilder, Arguments, Value, Value], None]


def share(b: ir.IRBuilder, total: Value, number: Value, size: Value) -> tuple[Value, Value]:
    """The part of range(total) that thread `number` of `size` takes."""
    first = b.sdiv(b.mul(total, number), size)
    last = b.sdiv(b.mul(total, b.add(number, I64(1))), size)
    return first, last


Span = tuple[Value, Value]


@dataclass(frozen=True)
class Rows:
    """The rows of one thread: every so many, so that all have as much to do when sequences end."""

    builder: ir.IRBuilder
    first: Value
    distance: Value

    def count(self, total: Value) -> Value:
        """How many of the first `total` rows there are."""
        b = self.builder
        return b.sdiv(b.add(b.sub(total, self.first), b.sub(self.distance, I64(1))), self.distance)

    def row(self, n: Value) -> Value:
        """The row with number `n` of these."""
        return self.builder.add(self.first, self.builder.mul(n, self.distance))


def divide(
    b: ir.IRBuilder, arguments: Arguments, shares: int, granule: int, hidden: int, number: Value, size: Value
) -> tuple[Value, Span, Rows]:
    """Whether threads share the units instead of the rows, and the units and the rows of one thread."""
    by_units = b.icmp_signed("!=", arguments.integer("split_units"), I64(0))
    first, last = share(b, I64(shares), number, size)
    end = b.mul(last, I64(granule))
    end = b.select(b.icmp_signed("<", end, I64(hidden)), end, I64(hidden))
    units = b.select(by_units, b.mul(first, I64(granule)), I64(0)), b.select(by_units, end, I64(hidden))
    return by_units, units, Rows(b, b.select(by_units, I64(0), number), b.select(by_units, I64(1), size))


def emit_part(module: ir.Module, name: str, work: Work) -> None:
    """Define `name`_part(block, number, size): what thread `number` of `size` does of `work`."""
    part = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, I64, I64]), f"{name}_part")
    b = ir.IRBuilder(part.append_basic_block())
    work(b, Arguments(b, part.args[0]), part.args[1], part.args[2])
    b.ret_void()

    member = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), f"{name}_member")
    b = ir.IRBuilder(member.append_basic_block())
    arguments = Arguments(b, member.args[0])
    asked = ir.FunctionType(I32, [])
    number = b.sext(b.call(arguments.function("thread_number", asked), []), I64)
    size = b.sext(b.call(arguments.function("team_size", asked), []), I64)
    b.call(part, [member.args[0], number, size])
    b.ret_void()


def emit_kernel(module: ir.Module, name: str, parts: Sequence[str]) -> None:
    """Define `name`(block): the parts one after the other, each by a team of threads or by the caller alone."""
    run = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
    b = ir.IRBuilder(run.append_basic_block())
    arguments = Arguments(b, run.args[0])
    threads = arguments.integer("threads")
    with b.if_else(b.icmp_signed("<=", threads, I64(1))) as (alone, together):
        with alone:
            for part in parts:
                b.call(module.get_global(f"{part}_part"), [run.args[0], I64(0), I64(1)])
        with together:
            for part in parts:
                member = module.get_global(f"{part}_member")
                fork = arguments.function("fork", ir.FunctionType(ir.VoidType(), [member.type, POINTER, I32, I32]))
                b.call(fork, [member, run.args[0], b.trunc(threads, I32), I32(0)])
    b.ret_void()


def barrier(b: ir.IRBuilder, arguments: Arguments, arrivals: Value) -> None:
    """Wait until `arrivals` threads have come here since the block's counter was 0."""
    counter = arguments.address("arrivals")
    b.atomic_rmw("add", counter, I64(1), "acq_rel")
    head, yielding, after = (b.append_basic_block(name) for name in ("wait", "yield", "met"))
    spin = b.append_basic_block("spin")
    before = b.block
    b.branch(head)
    b.position_at_end(head)
    spins = b.phi(I64)
    spins.add_incoming(I64(0), before)
    seen = b.load_atomic(counter, "acquire", 8, typ=I64)
    b.cbranch(b.icmp_signed(">=", seen, arrivals), after, spin)
    b.position_at_end(spin)
    more = b.add(spins, I64(1))
    tired = b.icmp_signed("==", b.and_(more, I64(SPINS_BEFORE_YIELD - 1)), I64(0))
    has_yield = b.icmp_signed("!=", arguments.integer("yield_processor"), I64(0))
    spins.add_incoming(more, spin)
    b.cbranch(b.and_(tired, has_yield), yielding, head)
    b.position_at_end(yielding)
    b.call(arguments.function("yield_processor", ir.FunctionType(I32, [])), [])
    spins.add_incoming(more, yielding)
    b.branch(head)
    b.position_at_end(after)
