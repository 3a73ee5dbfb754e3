"""The oracle: the equations of a cell in a plain torch loop, differentiated by torch.

It shares nothing with the derivation and the kernels but the equations themselves.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import sympy as sp
import torch
from torch import Tensor

from ricorso.engine import noise
from ricorso.engine.call import Call
from ricorso.equations.cell import Cell
from ricorso.equations.symbols import BY_FUNCTION, Gate, StaticNoise
from ricorso.kernels.noise import STATIC

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "exp": torch.exp,
    "log": torch.log,
    "abs": torch.abs,
    "sine": torch.sin,
    "cosine": torch.cos,
    "step": lambda x: (x > 0).to(x.dtype),
    "maximum": torch.maximum,
    "where": lambda condition, a, b: torch.where(condition > 0, a, b),
    "mean": lambda x: x.mean(-1, keepdim=True).expand_as(x),
}
Lookup = Callable[[str], Tensor]
Tree = str | float | tuple[Any, ...]


@cache
def tree(expression: sp.Basic) -> Tree:
    """An expression in plain Python: a name, a number, or the name of an operation and its arguments."""
    if expression.is_Symbol:
        name: str = expression.name
        return name
    if expression.is_number:
        return float(expression)
    names = {sp.Add: "add", sp.Mul: "multiply", sp.Pow: "power"}
    name = names.get(type(expression)) or BY_FUNCTION[type(expression)].name
    return (name, *(tree(argument) for argument in expression.args))


def evaluate(expression: Tree, value: Lookup, like: Tensor) -> Tensor | float:
    """The value of an expression of the vocabulary; `like` has the shape of the values of functions."""
    if isinstance(expression, str):
        return value(expression)
    if isinstance(expression, float):
        return expression
    operation, *rest = expression
    arguments = [evaluate(argument, value, like) for argument in rest]
    if operation == "power":
        return arguments[0] ** arguments[1]
    if operation in ("add", "multiply"):
        total = arguments[0]
        for argument in arguments[1:]:
            total = total + argument if operation == "add" else total * argument
        return total
    tensors = [a if isinstance(a, Tensor) else torch.full_like(like, a) for a in arguments]
    return FUNCTIONS[operation](*tensors)


class Step:
    """The values of one step, or of many side by side, each computed when it is first asked for."""

    def __init__(self, cell: Cell, known: Mapping[str, Tensor], weight_hh: Tensor | None, bias_hh: Tensor | None):
        self.cell, self.known = cell, dict(known)
        self.weight_hh, self.bias_hh = weight_hh, bias_hh
        self.like = self.known[cell.states[0].name]
        self.owner = {part.name: gate for gate in cell.gates for part in (gate, gate.x, gate.u)}

    def run(self) -> tuple[Tensor, ...]:
        for state, expression in self.cell.update.items():
            self.known[state.new.name] = self.tensor(expression)
        return tuple(self.known[state.new.name] for state in self.cell.states)

    def tensor(self, expression: sp.Expr) -> Tensor:
        result = evaluate(tree(expression), self.value, self.like)
        return result.expand_as(self.like) if isinstance(result, Tensor) else torch.full_like(self.like, result)

    def value(self, name: str) -> Tensor:
        if name not in self.known:
            gate = self.owner[name]
            if name == gate.name and gate.has_input and gate.has_product:
                self.known[name] = self.value(gate.x.name) + self.value(gate.u.name)
            else:
                self.known[name] = self.product(gate)
        return self.known[name]

    def product(self, gate: Gate) -> Tensor:
        assert self.weight_hh is not None
        vector = self.tensor(self.cell.product_of.get(gate, self.cell.states[0]))
        hidden, row = vector.shape[-1], self.cell.product_gates.index(gate)
        rows = slice(row * hidden, (row + 1) * hidden)
        depth = self.weight_hh.shape[1]
        blocks = self.weight_hh[rows].view(hidden // depth, depth, depth)
        split = vector.view(*vector.shape[:-1], hidden // depth, depth)
        result = torch.einsum("...hk,huk->...hu", split, blocks).flatten(-2)
        return result if self.bias_hh is None else result + self.bias_hh[rows]


def one_step(
    cell: Cell, call: Call, projected: Tensor, signals: Tensor | None, t: int, old: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """New states from the gates' input parts (batch, input gates * hidden_size), signals and old states."""
    known: dict[str, Tensor] = {state.name: value for state, value in zip(cell.states, old, strict=True)}
    if cell.input_gates:
        for gate, x in zip(cell.input_gates, projected.chunk(len(cell.input_gates), -1), strict=True):
            known[gate.x.name if gate.has_product else gate.name] = x
    if cell.parameters:
        assert call.parameters is not None
        known |= {p.name: value for p, value in zip(cell.parameters, call.parameters, strict=True)}
    if cell.signals:
        assert signals is not None
        known |= {s.name: values.unsqueeze(-1) for s, values in zip(cell.signals, signals, strict=True)}
    for number, symbol in enumerate(cell.noises):
        step = STATIC if isinstance(symbol, StaticNoise) else call.first_step + t
        known[symbol.name] = noise.uniform(call.seed, number, step, old[0])
    return Step(cell, known, call.weight_hh, call.bias_hh).run()


def project(cell: Cell, call: Call) -> Tensor:
    """The input parts of all gates at all steps, (time, batch, input gates * hidden_size); rows in a ragged batch."""
    assert call.weight_ih is not None
    tokens = not call.inputs.is_floating_point()
    projected = call.weight_ih.T[call.inputs] if tokens else call.inputs @ call.weight_ih.T
    return projected if call.bias_ih is None else projected + call.bias_ih


def run(cell: Cell, call: Call) -> tuple[Tensor, Tensor]:
    """One layer in one direction: outputs (time, batch, hidden_size), final states (states, batch, hidden_size)."""
    projected = project(cell, call)
    states = call.initial
    outputs: list[Tensor] = []
    for t in reversed(range(call.steps)) if call.reverse else range(call.steps):
        place: int | slice = t
        count = call.batch
        if call.sizes is not None:
            begin, end = (int(o) for o in call.offsets[t : t + 2])
            place, count = slice(begin, end), end - begin
        signals = None if call.signals is None else call.signals[:, place]
        new = torch.stack(one_step(cell, call, projected[place], signals, t, states[:, :count].unbind(0)))
        outputs.append(new[0])
        states = new if count == call.batch else torch.cat([new, states[:, count:]], 1)
    if call.reverse:
        outputs.reverse()
    if not outputs:
        return projected.new_empty(*call.leading, call.initial.shape[2]), states
    return torch.stack(outputs) if call.sizes is None else torch.cat(outputs), states
