"""Where the places of a schedule are in memory, at one step."""

from dataclasses import dataclass

from llvmlite import ir

from ricorso.kernels.llvm.control import Arguments
from ricorso.kernels.llvm.noise import emit_step_key, emit_uniform
from ricorso.kernels.llvm.shape import Direction, Shape
from ricorso.kernels.llvm.vector import I64, Value, Vectors
from ricorso.kernels.schedule import Place

_LEAVES = {
    "column": "columns",
    "extra": "extras",
    "d_column": "column_gradients",
    "d_extra": "extra_gradients",
}


@dataclass(frozen=True)
class Step:
    """The rows of this step and of the one before, counted over the whole sequence."""

    t: Value
    row: Value
    row_before: Value
    previous: Value
    previous_stride: Value
    old_others: Value
    old_distance: Value


class Frame:
    """Loads and stores places for a row and a block of units."""

    def __init__(self, b: ir.IRBuilder, a: Arguments, shape: Shape, direction: Direction, thread: Value) -> None:
        self.b, self.a, self.shape, self.direction = b, a, shape, direction
        self.v: Vectors = shape.vectors(b)
        self.thread = thread
        self.steps, self.batch = a.integer("steps"), a.integer("batch")
        self.before = b.mul(self.batch, I64(shape.hidden))
        self.after = b.mul(self.before, self.steps)
        self.has_ids = b.icmp_signed("!=", a.integer("token_ids"), I64(0))
        self.step: Step
        self._source: Value
        self._keys: dict[tuple[str, int], Value] = {}

    def begin(self, s: Value, backward: bool) -> None:
        """Turn to step `s`, counted in the order in which they are done."""
        b, a = self.b, self.a
        reverse = b.icmp_signed("!=", a.integer("reverse"), I64(0))
        mirrored = b.sub(b.sub(self.steps, I64(1)), s)
        forward_s = mirrored if backward else s
        t = b.select(reverse, b.sub(b.sub(self.steps, I64(1)), forward_s), forward_s)
        earlier = b.select(reverse, b.add(t, I64(1)), b.sub(t, I64(1)))
        start = b.icmp_signed("==", forward_s, I64(0))
        self.step = Step(
            t=t,
            row=b.mul(t, self.batch),
            row_before=b.select(start, I64(0), b.mul(earlier, self.batch)),
            previous=b.select(start, a.pointer("initial"), a.pointer("output")),
            previous_stride=b.select(start, I64(self.shape.hidden), a.integer("output_stride")),
            old_others=b.select(start, a.pointer("initial_others"), a.pointer("others")),
            old_distance=b.select(start, self.before, self.after),
        )
        self._keys = {}
        for n in range(len(self.shape.cell.noises)):
            for kind in ("noise", "static noise"):
                if (kind, n) in self.direction.schedule.inputs.values():
                    self._keys[kind, n] = emit_step_key(b, a, n, None if kind == "static noise" else t)

    def is_stored(self, place: Place) -> bool:
        """Whether a place holds elements of the layer's type."""
        kind, n = place
        if kind in ("old", "new"):
            return n == 0
        if kind == "temporary":
            return n in self.direction.schedule.sources
        return kind in ("projected", "vector", *_LEAVES)

    def address(self, place: Place, row: Value, unit: Value) -> Value:
        """The address of a place; row and unit are absolute."""
        b, a, hidden = self.b, self.a, self.shape.hidden
        kind, n = place
        base: Value
        index: Value
        at = b.add(self.step.row, row)
        if kind == "projected":
            base, index = self._source, I64(n * hidden)
        elif kind in _LEAVES:
            base = a.pointer(_LEAVES[kind])
            width = self.shape.extras if kind.endswith("extra") else self.shape.columns
            index = b.add(b.mul(at, I64(width)), I64(n * hidden))
        elif kind == "old" and n == 0:
            base = self.step.previous
            index = b.mul(b.add(self.step.row_before, row), self.step.previous_stride)
        elif kind == "old":
            base = self.step.old_others
            rows = b.mul(b.add(self.step.row_before, row), I64(hidden))
            index = b.add(b.mul(self.step.old_distance, I64(n - 1)), rows)
        elif kind == "new" and n == 0:
            base, index = a.pointer("output"), b.mul(at, a.integer("output_stride"))
        elif kind == "new":
            base, index = a.pointer("others"), b.add(b.mul(self.after, I64(n - 1)), b.mul(at, I64(hidden)))
        elif kind in ("d_new", "d_old"):
            base = a.pointer("state_gradients")
            index = b.add(b.mul(self.before, I64(n)), b.mul(row, I64(hidden)))
        elif kind == "temporary":
            base = a.pointer("temporaries")
            index = b.add(b.mul(self.before, I64(n)), b.mul(row, I64(hidden)))
        elif kind == "vector":
            base, index = a.pointer("vectors"), b.add(b.mul(self.after, I64(n)), b.mul(at, I64(hidden)))
        elif kind == "sum":
            count = len(self.shape.cell.parameters)
            base = a.pointer("sums")
            index = b.mul(b.add(b.mul(self.thread, I64(count)), I64(n)), I64(hidden))
        else:
            base = a.pointer({"bias": "recurrent_bias", "parameter": "parameters"}[kind])
            index = I64(n * hidden)
        place_of = self.v.stored_address if self.is_stored(place) else self.v.address
        return place_of(base, b.add(index, unit))

    def enter_row(self, row: Value) -> None:
        """Find the input parts of a row: in the table of tokens, or in the columns."""
        b, a = self.b, self.a
        if not any(place[0] == "projected" for place in self.direction.schedule.inputs.values()):
            return
        at = b.add(self.step.row, row)
        own = self.v.stored_address(a.pointer("columns"), b.mul(at, I64(self.shape.columns)))
        # without tokens there is nothing to read there, but any readable address will do
        place_of_id = b.select(self.has_ids, b.gep(a.pointer("token_ids"), [at], source_etype=I64), a.base)
        token = b.load(place_of_id, typ=I64)
        looked_up = self.v.stored_address(a.pointer("token_table"), b.mul(token, I64(self.shape.columns)))
        self._source = b.select(self.has_ids, looked_up, own)

    def load(self, place: Place, row: Value, unit: Value, mask: Value | None) -> Value:
        kind, n = place
        if kind in ("noise", "static noise"):
            return emit_uniform(self.v, self._keys[place], row, unit)
        if kind == "signal":
            at = self.b.add(self.b.mul(I64(n), self.b.mul(self.steps, self.batch)), self.b.add(self.step.row, row))
            return self.v.broadcast(self.v.address(self.a.pointer("signals"), at))
        address = self.address(place, row, unit)
        value = self.v.load_stored(address, mask) if self.is_stored(place) else self.v.load(address, mask)
        if place == ("d_new", 0):
            received = self.b.mul(self.step.t, self.a.integer("output_gradient_step"))
            received = self.b.add(received, self.b.mul(row, self.a.integer("output_gradient_row")))
            place_of = self.v.stored_address(self.a.pointer("output_gradient"), self.b.add(received, unit))
            value = self.b.fadd(value, self.v.load_stored(place_of, mask))
        return value

    def store(self, value: Value, place: Place, row: Value, unit: Value, mask: Value | None) -> None:
        address = self.address(place, row, unit)
        if place[0] == "sum":
            value = self.b.fadd(value, self.v.load(address, mask))
        if self.is_stored(place):
            self.v.store_stored(value, address, mask)
        else:
            self.v.store(value, address, mask)
