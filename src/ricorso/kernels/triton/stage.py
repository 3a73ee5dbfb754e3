"""A schedule as stages: products, which the caller does, then one kernel over all units of all rows.

A kernel is data: tuples of words of the closed vocabulary and numbers, which `kernel.py` unrolls when it is compiled.
Passes without products are joined to the stage before them, since a kernel may hold whole rows in registers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from ricorso.equations.cell import Cell
from ricorso.kernels.layout import backward_schedule, forward_schedule, matrix_row
from ricorso.kernels.schedule import Pass, Place, Schedule

Load = tuple[str, int, int, int]
# A value in the making: what was loaded, or the number of a piece of work.
Reference = int | Load
Work = tuple[str, int, int, int, float]
Store = tuple[int, str, int]
# The slot of products that go into the gradient of the first state.
INTO_STATE = -1
# Places whose values are the same at all steps.
LASTING = ("bias", "parameter", "static noise")


@dataclass(frozen=True)
class Product:
    """The vector at `source` times `count` recurrent matrices from number `matrix` on.

    The results lie side by side from `slot` on, or go INTO_STATE. Transposed, the `count` vectors from `source` on are
    multiplied with one matrix each and their sum goes into the one slot. `add`: onto what is there.
    """

    source: Place
    matrix: int
    count: int
    transposed: bool
    slot: int
    add: bool = False


@dataclass(frozen=True)
class Stage:
    """Values are numbered in the order lasting, states where the time loop is inside, loads, work.

    lasting, loads: (kind, number, width, member), the last two for products: `width` of them lie side by side.
    work: (operation, arguments, constant). stores: (value, kind, number). sums: (value, number) to be added up over
    rows and steps. carried: for each state the value that the next step starts from, where the time loop is inside.
    """

    products: tuple[Product, ...]
    lasting: tuple[Load, ...]
    loads: tuple[Load, ...]
    work: tuple[Work, ...]
    stores: tuple[Store, ...]
    sums: tuple[tuple[int, int], ...]
    carried: tuple[int, ...]

    @property
    def whole_rows(self) -> bool:
        """Whether one program of the kernel must hold all units of a row."""
        return any(operation == "mean" for operation, *_ in self.work)

    @property
    def idle(self) -> bool:
        """Whether there is nothing for a kernel to do."""
        return not (self.stores or self.sums or self.carried)

    @property
    def program(self) -> tuple[tuple[object, ...], ...]:
        """What the kernel is compiled from."""
        return self.lasting, self.loads, self.work, self.stores, self.sums, self.carried


@dataclass(frozen=True)
class Stages:
    """The stages of a step; temporaries, slots: how many vectors they keep between kernels, and of products.

    inside: the only stage is a kernel with the time loop inside. gathered: the gradient of the output is to be added
    to that of the first state before the first stage, not in it, since a matrix multiplies their sum.
    """

    stages: tuple[Stage, ...]
    temporaries: int
    slots: int
    inside: bool
    gathered: bool

    @property
    def sources(self) -> frozenset[Place]:
        """Where the vectors lie that products multiply."""
        return frozenset(product.source for stage in self.stages for product in stage.products)


@cache
def forward_stages(cell: Cell) -> Stages:
    """One step forward."""
    return stages(forward_schedule(cell), _rows(cell), False)


@cache
def backward_stages(cell: Cell) -> Stages:
    """One step backward."""
    return stages(backward_schedule(cell), _rows(cell), True)


def _rows(cell: Cell) -> dict[str, int]:
    return {gate.name: matrix_row(cell, gate.name) for gate in cell.product_gates}


def stages(schedule: Schedule, rows: Mapping[str, int], backward: bool) -> Stages:
    """Lay a schedule out for a GPU; rows: the number of each recurrent matrix by the name of its gate."""
    return _Staging(schedule, rows, backward).run()


class _Staging:
    def __init__(self, schedule: Schedule, rows: Mapping[str, int], backward: bool) -> None:
        self.schedule, self.rows, self.backward = schedule, rows, backward
        self.instructions, self.inputs = schedule.program.instructions, schedule.inputs
        self.states = len({place for _, place in self._outputs() if place[0] == ("d_old" if backward else "new")})
        self.gathered = any(self.inputs.get(group.source) == ("d_new", 0) for group in schedule.groups)
        self.inside = False
        self.slots = 0
        self.users: dict[int, int] = {}
        for instruction in self.instructions:
            for argument in instruction.arguments:
                self.users[argument] = self.users.get(argument, 0) + 1
        for _, value in schedule.program.outputs:
            self.users[value] = self.users.get(value, 0) + 1

    def run(self) -> Stages:
        parts = self._parts()
        self.inside = len(parts) == 1 and not self.schedule.groups
        moved: set[int] = set()
        found = []
        for part in parts:
            found.append(_Body(self, part, moved).stage())
            moved |= {value for sweep in _sweeps(part) for value, place in sweep if place[0] == "temporary"}
        found = _without_idle_stores(found)
        return Stages(
            tuple(_into_state(found) if self.backward else found),
            self.schedule.temporaries,
            self.slots,
            self.inside,
            self.gathered,
        )

    def _outputs(self) -> Iterator[tuple[int, Place]]:
        for one in self.schedule.passes:
            for sweep in one.sweeps:
                yield from sweep.stores

    def _parts(self) -> list[list[Pass]]:
        parts: list[list[Pass]] = []
        for one in self.schedule.passes:
            if one.groups or not parts:
                parts.append([])
            parts[-1].append(one)
        return parts

    def where(self, value: int, moved: set[int]) -> Place:
        """An input lies where it was given until it is moved aside; anything else where the schedule put it."""
        return self.inputs[value] if value in self.inputs and value not in moved else self.schedule.places[value]


class _Body:
    """One stage in the making."""

    def __init__(self, staging: _Staging, passes: list[Pass], moved: set[int]) -> None:
        self.staging, self.passes, self.moved = staging, passes, moved
        self.instructions = staging.instructions
        self.products: list[Product] = []
        self.lasting: list[Load] = []
        self.loads: list[Load] = []
        self.work: list[tuple[str, tuple[Reference, ...], float]] = []
        self.own: set[int] = set()
        self.known: dict[int, Reference] = {}
        self.raw: dict[int, Load] = {}
        self.absorbed: dict[int, int] = {}

    def stage(self) -> Stage:
        for part in self.passes:
            self._multiply(part)
            for group in part.groups:
                for number, _ in group.members:
                    if number in self.raw:
                        self._finish_product(number)
        for part in self.passes:
            for sweep in part.sweeps:
                self.own |= {*sweep.instructions, *(mean for mean, _ in sweep.means)}
        stores = [store for part in self.passes for sweep in part.sweeps for store in sweep.stores]
        return self._numbered([(self._value(value), place) for value, place in stores])

    def _multiply(self, part: Pass) -> None:
        """What the caller multiplies for a pass, and in which slots the kernel finds it."""
        members = [number for group in part.groups for number, _ in group.members]
        inside = set(members)
        chains = {number: self._chain(number, inside) for number in members}
        absorbed = {number for chain in chains.values() for number in chain[1:]}
        for group in part.groups:
            alone = [n for n, _ in group.members if n not in absorbed and len(chains[n]) == 1]
            if not group.transposed:
                for run in self._runs(alone):
                    slot = self._slots(len(run))
                    source = self._source(run[0])
                    self.products.append(Product(source, self._row(run[0]), len(run), False, slot))
                    for member, number in enumerate(run):
                        self.raw[number] = ("product", slot, len(run), member)
        for number in members:
            if number not in absorbed and number not in self.raw:
                self._add_up(number, chains[number])

    def _chain(self, number: int, inside: set[int]) -> list[int]:
        """The products that a sum of products adds up, the last one first."""
        chain = [number]
        while (start := self.instructions[chain[-1]].arguments[1:]) and start[0] in inside:
            if self.staging.users[start[0]] > 1:
                break
            chain.append(start[0])
        return chain

    def _add_up(self, number: int, chain: list[int]) -> None:
        slot = self._slots(1)
        terms = sorted((self._source(n), self._row(n), n) for n in chain)
        runs: list[list[tuple[Place, int, int]]] = []
        for term in terms:
            if runs and self._follows(runs[-1][-1], term):
                runs[-1].append(term)
            else:
                runs.append([term])
        for position, run in enumerate(runs):
            source, row, n = run[0]
            transposed = self.instructions[n].operation == "transposed"
            self.products.append(Product(source, row, len(run), transposed, slot, position > 0))
        self.raw[number] = ("product", slot, 1, 0)
        self.absorbed[number] = chain[-1]

    def _follows(self, before: tuple[Place, int, int], term: tuple[Place, int, int]) -> bool:
        """Whether two transposed products can be one: gradients and matrices both lie side by side."""
        (kind, number), row, n = before
        both = all(self.instructions[m].operation == "transposed" for m in (n, term[2]))
        return both and kind in ("d_column", "d_extra") and term[:2] == ((kind, number + 1), row + 1)

    def _finish_product(self, number: int) -> None:
        """A product's value is what was multiplied on top of what its sum starts from."""
        start = self.instructions[self.absorbed.get(number, number)].arguments[1:]
        product = self._load(self.raw[number])
        self.known[number] = self._do("add", (product, self._value(start[0]))) if start else product

    def _value(self, number: int) -> Reference:
        if number not in self.known:
            instruction = self.instructions[number]
            if instruction.operation == "copy" and self._copied(number) != number:
                return self._value(self._copied(number))
            if number in self.own or instruction.operation == "constant":
                arguments = tuple(self._value(a) for a in instruction.arguments)
                self.known[number] = self._do(instruction.operation, arguments, instruction.value)
            else:
                self.known[number] = self._from_place(self.staging.where(number, self.moved))
        return self.known[number]

    def _from_place(self, place: Place) -> Reference:
        kind, number = place
        inside = self.staging.inside and kind == ("d_new" if self.staging.backward else "old")
        loaded = ("carried", number, 0, 0) if inside else self._load((kind, number, 0, 0))
        if place == ("d_new", 0) and not self.staging.gathered:
            return self._do("add", (loaded, self._load(("d_output", 0, 0, 0))))
        return loaded

    def _load(self, load: Load) -> Reference:
        listed = self.lasting if load[0] in LASTING else self.loads
        if load not in listed:
            listed.append(load)
        return load

    def _do(self, operation: str, arguments: tuple[Reference, ...], constant: float = 0.0) -> Reference:
        self.work.append((operation, arguments, constant))
        return len(self.work) - 1

    def _numbered(self, stores: list[tuple[Reference, Place]]) -> Stage:
        states = [("carried", n, 0, 0) for n in range(self.staging.states)] if self.staging.inside else []
        loaded = [*self.lasting, *states, *self.loads]
        position = {load: n for n, load in enumerate(loaded)}

        def number(reference: Reference) -> int:
            return len(loaded) + reference if isinstance(reference, int) else position[reference]

        work = []
        for operation, arguments, constant in self.work:
            first, second, third = (*(number(a) for a in arguments), 0, 0, 0)[:3]
            work.append((operation, first, second, third, constant))
        numbered = [(number(reference), *place) for reference, place in stores]
        carried: tuple[int, ...] = ()
        if self.staging.inside:
            end = "d_old" if self.staging.backward else "new"
            carried = tuple(v for _, v in sorted((n, value) for value, kind, n in numbered if kind == end))
            numbered = [store for store in numbered if store[1] != "d_old"]
        return Stage(
            tuple(self.products),
            tuple(self.lasting),
            tuple(self.loads),
            tuple(work),
            tuple(store for store in numbered if store[1] != "sum"),
            tuple((value, n) for value, kind, n in numbered if kind == "sum"),
            carried,
        )

    def _runs(self, numbers: list[int]) -> list[list[int]]:
        """Split into runs of matrices that follow one another."""
        ordered = sorted(numbers, key=self._row)
        runs = [ordered[:1]] if ordered else []
        for before, number in pairwise(ordered):
            if self._row(number) == self._row(before) + 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        return runs

    def _row(self, number: int) -> int:
        return self.staging.rows[self.instructions[number].name]

    def _source(self, number: int) -> Place:
        return self.staging.where(self._copied(self.instructions[number].arguments[0]), self.moved)

    def _copied(self, number: int) -> int:
        """What a value is a copy of; kernels for GPUs can do without copies of what is at hand."""
        instruction = self.instructions[number]
        if instruction.operation == "copy":
            original = instruction.arguments[0]
            if original in self.own or original in self.staging.schedule.places:
                return original
        return number

    def _slots(self, count: int) -> int:
        self.staging.slots += count
        return self.staging.slots - count


def _sweeps(part: list[Pass]) -> list[tuple[tuple[int, Place], ...]]:
    return [sweep.stores for one in part for sweep in one.sweeps]


def _without_idle_stores(found: list[Stage]) -> list[Stage]:
    """Without what is put aside for a later sweep that turned out to be in the same kernel."""
    read = {load[:2] for stage in found for load in stage.loads}
    read |= {product.source for stage in found for product in stage.products}
    return [
        replace(stage, stores=tuple(s for s in stage.stores if s[1] != "temporary" or s[1:] in read)) for stage in found
    ]


def _into_state(found: list[Stage]) -> list[Stage]:
    """Most backward steps end with products that are added up to the gradient of the first state and nothing else;
    then they are added where it lies, and need no kernel."""
    *earlier, last = found
    slots = {product.slot for product in last.products}
    starts = [load[:2] for load in last.loads if load[0] != "product"]
    simple = len(slots) == 1 and len(last.loads) == len(starts) + 1 and len(last.work) == len(starts) <= 1
    if not simple or last.sums or [store[1:] for store in last.stores] != [("d_old", 0)]:
        return found
    if starts:
        (start,) = starts
        uses = [load[:2] for stage in earlier for load in stage.loads]
        uses += [product.source for stage in earlier for product in stage.products]
        writers = [n for n, stage in enumerate(earlier) if start in [store[1:] for store in stage.stores]]
        if start[0] != "temporary" or start in uses or len(writers) != 1:
            return found
        after = earlier[writers[0] + 1 :]
        read = {load[:2] for stage in after for load in stage.loads} | {p.source for s in found for p in s.products}
        if read & {("d_new", 0), ("d_old", 0)}:
            return found
        writer = earlier[writers[0]]
        stores = tuple((s[0], "d_old", 0) if s[1:] == start else s for s in writer.stores)
        earlier[writers[0]] = replace(writer, stores=stores)
    products = tuple(replace(p, slot=INTO_STATE, add=p.add or bool(starts)) for p in last.products)
    return [*earlier, Stage(products, (), (), (), (), (), ())]
