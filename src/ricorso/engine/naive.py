"""The oracle: the equations of a cell in a plain torch loop, differentiated by torch.

It shares nothing with the derivation and the kernels but the equations themselves.
"""

from collections.abc import Callable, Mapping

import sympy as sp
import torch
from torch import Tensor

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import BY_FUNCTION

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "exp": torch.exp,
    "log": torch.log,
    "abs": torch.abs,
    "step": lambda x: (x > 0).to(x.dtype),
    "maximum": torch.maximum,
    "where": lambda condition, a, b: torch.where(condition > 0, a, b),
}


def evaluate(expression: sp.Basic, values: Mapping[sp.Basic, Tensor]) -> Tensor | float:
    """The value of an expression of the vocabulary."""
    if expression.is_Symbol:
        return values[expression]
    if expression.is_number:
        return float(expression)
    arguments = [evaluate(argument, values) for argument in expression.args]
    if expression.is_Pow:
        return arguments[0] ** arguments[1]
    if expression.is_Add or expression.is_Mul:
        total = arguments[0]
        for argument in arguments[1:]:
            total = total + argument if expression.is_Add else total * argument
        return total
    like = next(value for value in values.values())
    tensors = [a if isinstance(a, Tensor) else torch.full_like(like, a) for a in arguments]
    return FUNCTIONS[BY_FUNCTION[type(expression)].name](*tensors)


def one_step(cell: Cell, inputs: Tensor, recurrent: Tensor, old: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """New states from the gates' input and recurrent parts, each (batch, gates * hidden_size)."""
    values: dict[sp.Basic, Tensor] = dict(zip(cell.states, old, strict=True))
    count = len(cell.gates)
    for gate, x, u in zip(cell.gates, inputs.chunk(count, -1), recurrent.chunk(count, -1), strict=True):
        values |= {gate: x + u, gate.x: x, gate.u: u}
    for state, expression in cell.equations:
        result = evaluate(expression, values)
        values[state.new] = result if isinstance(result, Tensor) else torch.full_like(old[0], result)
    return tuple(values[state.new] for state in cell.states)


def run(
    cell: Cell,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    initial: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """One layer in one direction.

    inputs: (time, batch, input_size), or (time, batch) token ids; initial: (states, batch, hidden_size).
    Returns the outputs (time, batch, hidden_size) and the final states (states, batch, hidden_size).
    """
    projected = inputs @ weight_ih.T if inputs.is_floating_point() else weight_ih.T[inputs]
    if bias_ih is not None:
        projected = projected + bias_ih
    old = tuple(initial.unbind(0))
    outputs = []
    for x in projected.flip(0) if reverse else projected:
        u = old[0] @ weight_hh.T
        old = one_step(cell, x, u if bias_hh is None else u + bias_hh, old)
        outputs.append(old[0])
    output = torch.stack(outputs) if outputs else projected.new_empty(0, *initial.shape[1:])
    return output.flip(0) if reverse else output, torch.stack(old)
