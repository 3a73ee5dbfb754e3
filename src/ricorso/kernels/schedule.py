"""A program laid out over the units: passes over tiles with products, passes over rows with means.

Within a pass everything is elementwise. A product needs its whole vector, and a mean all units of a row, so both can
only use what earlier passes (for a mean: earlier sweeps over the row) have left in memory.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ricorso.kernels.program import Instruction, Program

MATRICES = ("product", "transposed")
Place = tuple[str, int]


@dataclass(frozen=True)
class Group:
    """Products of one vector with several matrices: (matrix, transposed) for each chain of sums it adds to.

    members: (number of the instruction, number of its chain).
    """

    source: int
    transposed: bool
    members: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Sweep:
    """Instructions done for each block of units in turn, what is stored, and the means that it adds up.

    stores: (value, place); means: (number of the mean, value).
    """

    instructions: tuple[int, ...]
    means: tuple[tuple[int, int], ...]
    stores: tuple[tuple[int, Place], ...]


@dataclass(frozen=True)
class Pass:
    """Either products in groups and one sweep of what follows from them, or sweeps alone."""

    groups: tuple[Group, ...]
    chains: int
    sweeps: tuple[Sweep, ...]


@dataclass(frozen=True)
class Schedule:
    """The passes of a program.

    inputs: where the program's inputs are. places: where values are once a pass or sweep is done, an input that is
    overwritten included; temporaries: how many values need
    memory of their own; sources: temporaries that products read.
    """

    program: Program
    passes: tuple[Pass, ...]
    inputs: Mapping[int, Place]
    places: Mapping[int, Place]
    temporaries: int
    sources: frozenset[int]

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups in the order in which their matrices are packed."""
        return tuple(group for part in self.passes for group in part.groups)

    @property
    def has_means(self) -> bool:
        return any(sweep.means for part in self.passes for sweep in part.sweeps)


def schedule(program: Program, place: Callable[[str], Place], aliases: Mapping[Place, Place]) -> Schedule:
    """Lay a program out.

    place: where an input or an output of that name is in memory. aliases: for outputs that are written over an
    input, the place of that input.
    """
    return _Scheduling(program, place, aliases).run()


class _Scheduling:
    """Levels: -1 is the pass over rows before the first products, then 0 products, 1 rows, 2 products, and so on."""

    def __init__(self, program: Program, place: Callable[[str], Place], aliases: Mapping[Place, Place]) -> None:
        self.program, self.instructions = program, program.instructions
        self.inputs = {n: place(i.name) for n, i in enumerate(self.instructions) if i.operation == "input"}
        self.outputs = [(value, place(name)) for name, value in program.outputs]
        self.aliases = aliases
        self.level: list[int] = []
        self.sweep: list[int] = []

    def run(self) -> Schedule:
        for instruction in self.instructions:
            self.level.append(self._level(instruction))
        self._move_late()
        for number in range(len(self.instructions)):
            self.sweep.append(self._sweep(number))
        self._sweep_late()
        return self._lay_out()

    def _level(self, instruction: Instruction) -> int:
        levels = [self.level[a] for a in instruction.arguments]
        highest = max(levels, default=-1)
        if instruction.operation in MATRICES:
            after = _next_even(levels[0])
            if len(levels) == 1:
                return after
            start = self.instructions[instruction.arguments[1]].operation in MATRICES
            return max(after, levels[1] if start else _next_even(levels[1]))
        if instruction.operation == "mean":
            return highest + 1 if highest % 2 == 0 else highest
        return highest

    def _fixed(self, number: int) -> bool:
        return self.instructions[number].operation in (*MATRICES, "mean")

    def _move_late(self) -> None:
        """What only a later pass needs is computed there, so that it need not be stored."""
        latest: dict[int, int] = {}

        def limit(value: int, level: int) -> None:
            latest[value] = min(latest.get(value, level), level)

        earliest = self._earliest()
        for value, _ in self.outputs:
            limit(value, max(self.level[value], earliest))
        for number in reversed(range(len(self.instructions))):
            instruction = self.instructions[number]
            if instruction.operation == "mean":
                # a row's means belong to a pass over rows, the odd levels
                late = latest[number] if latest[number] % 2 else latest[number] - 1
                self.level[number] = max(self.level[number], late)
            elif instruction.operation not in MATRICES and number in latest:
                self.level[number] = max(self.level[number], latest[number])
            for argument in instruction.arguments:
                limit(argument, self.level[argument] if instruction.operation in MATRICES else self.level[number])

    def _earliest(self) -> int:
        """The first pass that something forces: -1 when rows must be gone over before the first product."""
        forced = [self.level[n] for n in range(len(self.instructions)) if self._fixed(n)]
        for instruction in self.instructions:
            if instruction.operation in MATRICES:
                forced += [self.level[argument] for argument in instruction.arguments if self._busy(argument)]
        return min(forced, default=-1)

    def _sweep(self, number: int) -> int:
        """Which sweep of its pass a value belongs to, as early as can be."""
        instruction = self.instructions[number]
        result = 0
        for argument in instruction.arguments:
            if self.level[argument] == self.level[number]:
                after_mean = self.instructions[argument].operation == "mean"
                result = max(result, self.sweep[argument] + (1 if after_mean else 0))
        return result

    def _sweep_late(self) -> None:
        latest: dict[int, int] = {}
        stored = {value for value, _ in self.outputs}
        for number in reversed(range(len(self.instructions))):
            instruction = self.instructions[number]
            if instruction.operation != "mean" and number in latest and number not in stored:
                self.sweep[number] = max(self.sweep[number], latest[number])
            for argument in instruction.arguments:
                if self.level[argument] == self.level[number]:
                    latest[argument] = min(latest.get(argument, self.sweep[number]), self.sweep[number])

    def _lay_out(self) -> Schedule:
        count = len(self.instructions)
        at = [(self.level[n], self.sweep[n]) for n in range(count)]
        memory = {"input", "constant"}
        written: dict[Place, tuple[int, int]] = {}
        home: dict[int, Place] = dict(self.inputs)
        stores: dict[tuple[int, int], list[tuple[int, Place]]] = {}
        first = min((position for n, position in enumerate(at) if self.instructions[n].operation not in memory),
                    default=(-1, 0))  # fmt: skip
        for value, place in self.outputs:
            when = max(at[value], first)
            if self.inputs.get(value) == place:
                continue
            stores.setdefault(when, []).append((value, place))
            written[self.aliases.get(place, place)] = when
            if value not in self.inputs and place[0] != "sum":
                home.setdefault(value, place)
        needed: dict[int, list[tuple[int, int]]] = {}
        sources = set()
        for number, instruction in enumerate(self.instructions):
            for position, argument in enumerate(instruction.arguments):
                if instruction.operation in MATRICES and position == 0:
                    sources.add(argument)
                needed.setdefault(argument, []).append(at[number])
        for value, _ in self.outputs:
            needed.setdefault(value, []).append(max(at[value], first))
        temporaries = 0
        for value, uses in sorted(needed.items()):
            operation = self.instructions[value].operation
            if operation == "constant":
                continue
            if operation == "input":
                lost = written.get(self.inputs[value])
                if lost is None or all(use <= lost for use in uses):
                    continue
                begin = lost
            else:
                later = [use for use in uses if use != at[value]]
                if operation == "mean":
                    later = [use for use in uses if use[0] != at[value][0]]
                if value in home or not (later or value in sources):
                    continue
                begin = at[value]
                if operation == "mean":
                    begin = (at[value][0], at[value][1] + 1)
            home[value] = ("temporary", temporaries)
            stores.setdefault(begin, []).append((value, home[value]))
            temporaries += 1
        passes = []
        for level in sorted({position[0] for position in (*stores, *(at[n] for n in range(count) if self._busy(n)))}):
            passes.append(self._pass(level, at, stores))
        return Schedule(
            self.program,
            tuple(passes),
            self.inputs,
            home,
            temporaries,
            frozenset(home[s][1] for s in sources if home[s][0] == "temporary"),
        )

    def _busy(self, number: int) -> bool:
        return self.instructions[number].operation not in ("input", "constant")

    def _pass(
        self, level: int, at: list[tuple[int, int]], stores: Mapping[tuple[int, int], list[tuple[int, Place]]]
    ) -> Pass:
        own = [n for n in range(len(at)) if at[n][0] == level and self._busy(n)]
        matrices = [n for n in own if self.instructions[n].operation in MATRICES]
        groups, chains = self._groups(matrices)
        last = max([at[n][1] for n in own] + [position[1] for position in stores if position[0] == level])
        sweeps = []
        for index in range(last + 1):
            inside = [n for n in own if at[n][1] == index]
            sweeps.append(
                Sweep(
                    tuple(n for n in inside if not self._fixed(n)),
                    tuple((n, self.instructions[n].arguments[0]) for n in inside
                          if self.instructions[n].operation == "mean"),
                    tuple(stores.get((level, index), ())),
                )
            )  # fmt: skip
        return Pass(groups, chains, tuple(sweeps))

    def _groups(self, matrices: list[int]) -> tuple[tuple[Group, ...], int]:
        chain: dict[int, int] = {}
        uses = Counter(argument for instruction in self.instructions for argument in instruction.arguments)
        groups: list[Group] = []
        waiting = list(matrices)

        def ready(number: int) -> bool:
            start = self.instructions[number].arguments[1:]
            return all(s not in waiting for s in start)

        while waiting:
            lead = next(n for n in waiting if ready(n))
            kind, source = self.instructions[lead].operation, self.instructions[lead].arguments[0]
            members = [
                n
                for n in waiting
                if ready(n) and self.instructions[n].operation == kind and self.instructions[n].arguments[0] == source
            ]
            for number in members:
                start = self.instructions[number].arguments[1:]
                # a sum that is also used by itself must not be added to
                continued = chain.get(start[0]) if start and uses[start[0]] == 1 else None
                chain[number] = len(set(chain.values())) if continued is None else continued
            groups.append(Group(source, kind == "transposed", tuple((n, chain[n]) for n in members)))
            waiting = [n for n in waiting if n not in members]
        return tuple(groups), len(set(chain.values()))


def _next_even(level: int) -> int:
    return level + 2 if level % 2 == 0 else level + 1
