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
    """The first rows of this step and of the one before in a sequence buffer, and how many rows there are.

    continuing: the rows below this number go on from the step before, the others start.
    """

    t: Value
    row: Value
    row_before: Value
    active: Value
    continuing: Value


class Frame:
    """Loads and stores places for a row and a block of units."""

    def __init__(self, b: ir.IRBuilder, a: Arguments, shape: Shape, direction: Direction, thread: Value) -> None:
        self.b, self.a, self.shape, self.direction = b, a, shape, direction
        self.v: Vectors = shape.vectors(b)
        self.thread = thread
        self.steps, self.batch = a.integer("steps"), a.integer("batch")
        self.before = b.mul(self.batch, I64(shape.hidden))
        self.rows = a.integer("rows")
        self.after = b.mul(self.rows, I64(shape.hidden))
        self.has_places = b.icmp_signed("!=", a.integer("places"), I64(0))
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
        row, active = self._extent(t)
        row_before, active_before = self._extent(b.select(start, t, earlier))
        self.step = Step(t, row, row_before, active, b.select(start, I64(0), active_before))
        self._keys = {}
        for n in range(len(self.shape.cell.noises)):
            for kind in ("noise", "static noise"):
                if (kind, n) in self.direction.schedule.inputs.values():
                    self._keys[kind, n] = emit_step_key(b, a, n, None if kind == "static noise" else t)

    def _extent(self, t: Value) -> tuple[Value, Value]:
        """The first row of a step in a sequence buffer, and how many it has."""
        b = self.b
        begin, end = (
            b.load(b.gep(self.a.pointer("offsets"), [b.add(t, I64(n))], source_etype=I64), typ=I64) for n in (0, 1)
        )
        return begin, b.sub(end, begin)

    def _place(self, at: Value) -> Value:
        """The row of the outputs for row `at` of other sequence buffers."""
        b, a = self.b, self.a
        # without places there is nothing to read there, but any readable address will do
        known = b.select(self.has_places, b.gep(a.pointer("places"), [at], source_etype=I64), a.base)
        return b.select(self.has_places, b.load(known, typ=I64), at)

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
        elif kind == "old":
            goes_on = b.icmp_signed("<", row, self.step.continuing)
            at_before, at_start = b.add(self.step.row_before, row), b.mul(row, I64(hidden))
            if n == 0:
                base = b.select(goes_on, a.pointer("output"), a.pointer("initial"))
                index = b.select(
                    goes_on, b.mul(self._place(b.select(goes_on, at_before, at)), a.integer("output_stride")), at_start
                )
            else:
                base = b.select(goes_on, a.pointer("others"), a.pointer("initial_others"))
                distance = b.mul(b.select(goes_on, self.after, self.before), I64(n - 1))
                index = b.add(distance, b.select(goes_on, b.mul(at_before, I64(hidden)), at_start))
        elif kind == "new" and n == 0:
            base, index = a.pointer("output"), b.mul(self._place(at), a.integer("output_stride"))
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
            at = self.b.add(self.b.mul(I64(n), self.rows), self.b.add(self.step.row, row))
            return self.v.broadcast(self.v.address(self.a.pointer("signals"), at))
        address = self.address(place, row, unit)
        value = self.v.load_stored(address, mask) if self.is_stored(place) else self.v.load(address, mask)
        if place == ("d_new", 0):
            received = unit
            place_of_row = self._place(self.b.add(self.step.row, row))
            for position, stride in ((self.step.t, "step"), (row, "sequence"), (place_of_row, "place")):
                received = self.b.add(received, self.b.mul(position, self.a.integer(f"output_gradient_{stride}")))
            place_of = self.v.stored_address(self.a.pointer("output_gradient"), received)
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
