"""How the weights of a cell lie in another library: the order of its gates there, and what it is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.cells import CATALOGUE, get_cell
from ricorso.equations.cell import Cell
from ricorso.errors import UsageError


@dataclass(frozen=True)
class Form:
    """A cell elsewhere.

    kind: the name of the layer or operator. gates: Ricorso's names in the order of the other side.
    options: the settings that make it this cell. peepholes: the gates that have one, in the order of the other side.
    """

    kind: str
    gates: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    peepholes: tuple[str, ...] = ()

    def fits(self, cell: Cell) -> bool:
        """Whether a cell has these gates and peepholes, whatever its equations do with them."""
        return (
            sorted(self.gates) == sorted(gate.name for gate in cell.gates)
            and cell.input_gates == cell.product_gates == cell.gates
            and sorted(f"w_{gate}" for gate in self.peepholes) == sorted(p.name for p in cell.parameters)
            and not cell.signals
            and not cell.rates
        )


def same_equations(one: Cell, other: Cell) -> bool:
    """Whether two cells compute the same; their own names, starting values and the order of gates may differ."""
    return one is other or all(
        getattr(one, name) == getattr(other, name) for name in ("states", "product_of", "update")
    )


def form_of(cell: Cell, forms: Mapping[str, Form]) -> Form | None:
    """The form of a cell with the equations of a listed one."""
    return next((form for name, form in forms.items() if same_equations(cell, CATALOGUE[name])), None)


def chosen_cell(given: str | Cell | None, found: str | None, lacks: str) -> Cell:
    """The cell that weights are for.

    given: what the user says; found: what the other side says where the catalogue has it; lacks: the message where it
    has not. Raises UsageError when nothing is said or the two differ.
    """
    if given is None:
        if found is None:
            raise UsageError(lacks)
        return get_cell(found)
    cell = get_cell(given)
    if found is not None and not same_equations(cell, CATALOGUE[found]):
        raise UsageError(f"cell is '{cell.name}', and these are the weights of '{found}'. Leave `cell` out.")
    return cell


def lacking(what: str, kind: str, activations: Sequence[str], gates: Sequence[str]) -> str:
    """The message for activations that no cell of the catalogue has."""
    if len(gates) == 1:
        names = ", ".join(name for name in CATALOGUE if name.startswith("elman_"))
        return (
            f"{what} is a {kind} with {activations[0]}. That needs an Elman cell with this activation, "
            f"and the catalogue has {names}. Make one with ricorso.cells.elman and give it as `cell`."
        )
    return (
        f"{what} is a {kind} with {', '.join(activations)}; the catalogue has it with sigmoid for its gates and tanh "
        f"for the rest only. Write its equations with these activations, as a Cell with the gates {' '.join(gates)}, "
        f"and give that as `cell`."
    )


def reordered(rows: NDArray[Any], order: Sequence[str], wanted: Sequence[str]) -> NDArray[Any]:
    """A copy of blocks of rows, one for each name in `order`, in the order of `wanted`.

    >>> reordered(np.array([1, 2, 3, 4]), ("a", "b"), ("b", "a"))
    array([3, 4, 1, 2])
    """
    blocks = dict(zip(order, np.split(rows, len(order)), strict=True))
    return np.concatenate([blocks[name] for name in wanted])
