"""The forms of a cell that one layer runs: with regularisers in training, with their expectation out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ricorso.engine.naive import evaluate, tree
from ricorso.engine.operator import register
from ricorso.engine.path import compiled_path
from ricorso.equations.cell import Cell
from ricorso.equations.transform import (
    RECURRENT_DROPOUT,
    ZONEOUT_OUTPUT,
    ZONEOUT_STATES,
    folded,
    recurrent_dropout,
    zoneout,
)


class Variant:
    """A cell as a layer runs it: `kernel` has what depends on parameters alone computed beforehand.

    path: that through compiled kernels.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.kernel, expressions = folded(cell)
        self.key = register(self.kernel)
        self.path = compiled_path(cell)
        self._trees = tuple(tree(expression) for expression in expressions)
        self._parameters = tuple(parameter.name for parameter in cell.parameters)
        self._rates = tuple(rate.name for rate in cell.rates)

    def parameters(self, value: Callable[[str], Tensor], rates: Mapping[str, float], like: Tensor) -> Tensor:
        """What the kernel's parameters are, (parameters, hidden_size), from the trained values and the rates.

        like: a tensor of (hidden_size), for type and device.
        """
        known = {name: value(name).expand_as(like) for name in self._parameters}
        known |= {name: torch.full_like(like, rates[name]) for name in self._rates}
        found = [evaluate(expression, known.__getitem__, like) for expression in self._trees]
        return torch.stack([f if isinstance(f, Tensor) else torch.full_like(like, f) for f in found])


@dataclass(frozen=True, eq=False)
class Variants:
    """The cell in training and out of it."""

    training: Variant
    evaluation: Variant

    def of(self, training: bool) -> Variant:
        return self.training if training else self.evaluation


def variants(cell: Cell, zoneout_rates: tuple[float, float], recurrent_dropout_rate: float) -> Variants:
    """What regularisers make of a cell; those with a rate of zero leave no trace."""
    training = evaluation = cell
    if any(zoneout_rates):
        training, evaluation = zoneout(cell), zoneout(cell, training=False)
    if recurrent_dropout_rate and cell.product_gates:
        training = recurrent_dropout(training)
    in_training = Variant(training)
    return Variants(in_training, in_training if evaluation is training else Variant(evaluation))


def rates(cell: Cell, zoneout_rates: tuple[float, float], recurrent_dropout_rate: float) -> dict[str, float]:
    """The rates of a cell and of its regularisers by name."""
    found = {rate.name: float(value) for rate, value in cell.defaults.items()}
    return found | {
        ZONEOUT_OUTPUT.name: zoneout_rates[0],
        ZONEOUT_STATES.name: zoneout_rates[1],
        RECURRENT_DROPOUT.name: recurrent_dropout_rate,
    }
