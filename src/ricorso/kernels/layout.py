"""Where the values of a step are in memory, and the passes that compute them.

Places are (kind, number). Forward: "projected" input parts, "bias" of products kept apart, "old" and "new" states,
"column"s, which hold the leaves that see the input, and "extra" columns for the other leaves; backward: "column",
"extra", "old", gradients of new ("d_new") and of old states ("d_old"), "d_column", "d_extra", "vector"s that matrices
multiplied, and "sum" for what is added up over all steps; both: "parameter", "signal", "noise" and "static noise".
Columns and extra columns are kept apart since the large products want matrices without gaps.
"""

from functools import cache

from ricorso.equations.cell import Cell
from ricorso.equations.derive import bias
from ricorso.equations.symbols import StaticNoise
from ricorso.kernels.program import backward_program, forward_program, saved_symbols
from ricorso.kernels.schedule import Place, Schedule, schedule


@cache
def forward_schedule(cell: Cell, saving: bool = True) -> Schedule:
    """One step forward; without `saving`, nothing is kept for the backward pass."""
    places = _common(cell)
    # Where there are no products, input parts lie where they are saved, and stay there.
    kind = "projected" if cell.product_gates else "column"
    for n, gate in enumerate(cell.input_gates):
        places[gate.x.name if gate.has_product else gate.name] = (kind, n)
    places |= {bias(gate).name: ("bias", n) for n, gate in enumerate(cell.product_gates)}
    places |= {f"new_{state.name}": ("new", n) for n, state in enumerate(cell.states)}
    places |= {f"saved_{leaf.name}": leaf_place(cell, n) for n, leaf in enumerate(cell.leaves)}
    aliases = {("column", n): ("projected", n) for n in range(len(cell.input_gates))}
    return schedule(forward_program(cell, saving), places.__getitem__, aliases if cell.product_gates else {})


@cache
def backward_schedule(cell: Cell) -> Schedule:
    """One step backward; gradients of leaves may be written over what was saved."""
    places = _common(cell)
    places |= {kept.name: leaf_place(cell, n) for n, kept in enumerate(saved_symbols(cell))}
    places |= {f"d_{leaf.name}": leaf_place(cell, n, "d_") for n, leaf in enumerate(cell.leaves)}
    for n, state in enumerate(cell.states):
        places |= {f"d_{state.name}_new": ("d_new", n), f"d_{state.name}": ("d_old", n)}
    places |= {f"d_{parameter.name}": ("sum", n) for n, parameter in enumerate(cell.parameters)}
    places |= {f"vector_{n}": ("vector", n) for n in range(len(cell.vectors))}
    aliases = {leaf_place(cell, n, "d_"): leaf_place(cell, n) for n in range(len(cell.leaves))}
    aliases |= {("d_old", n): ("d_new", n) for n in range(len(cell.states))}
    return schedule(backward_program(cell), places.__getitem__, aliases)


def leaf_place(cell: Cell, leaf: int, prefix: str = "") -> Place:
    """Where leaf number `leaf` is saved; with the prefix "d_", where its gradient is."""
    count = len(cell.input_gates)
    return (f"{prefix}column", leaf) if leaf < count else (f"{prefix}extra", leaf - count)


def _common(cell: Cell) -> dict[str, Place]:
    places: dict[str, Place] = {state.name: ("old", n) for n, state in enumerate(cell.states)}
    places |= {parameter.name: ("parameter", n) for n, parameter in enumerate(cell.parameters)}
    places |= {signal.name: ("signal", n) for n, signal in enumerate(cell.signals)}
    for n, noise in enumerate(cell.noises):
        places[noise.name] = ("static noise" if isinstance(noise, StaticNoise) else "noise", n)
    return places


def matrix_row(cell: Cell, name: str) -> int:
    """The number of the gate `name` among those with recurrent weights."""
    return [gate.name for gate in cell.product_gates].index(name)
