"""Any cell as one would write it in torch by hand: a loop over time, the products of all gates in one."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear, softplus

from ricorso.engine.naive import FUNCTIONS
from ricorso.equations import Cell
from ricorso.equations.symbols import Scalar
from ricorso.errors import UsageError
from ricorso.kernels.program import Instruction, forward_program
from ricorso.layers import Recurrent

EPSILON = 1e-5
Value = Any  # a tensor, or a number as a constant
OPERATIONS: dict[str, Callable[..., Value]] = {
    **FUNCTIONS,
    "copy": lambda x: x,
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "sqrt": torch.sqrt,
    "softplus": softplus,
    "maximum": lambda a, b: torch.maximum(*_tensors(a, b)),
    "where": lambda condition, a, b: torch.where(condition > 0, *_tensors(a, b)),
    "mean": lambda x: x.mean(-1, keepdim=True),
    # not in programs: what `_with_layer_norm` puts in their place
    "layer_norm": lambda x, scale=None: layer_norm(x, x.shape[-1:], scale, eps=EPSILON),
}


def _tensors(a: Value, b: Value) -> tuple[Tensor, Tensor]:
    like: Tensor = a if isinstance(a, Tensor) else b
    return tuple(value if isinstance(value, Tensor) else like.new_tensor(value) for value in (a, b))  # type: ignore[return-value]


class TorchLoop:
    """The first layer of a `Recurrent` as a loop over time, called as the layer is.

    The input's product is one before the loop, values that several equations use are computed once, gates that
    multiply the same vector share a product, and normalisation is torch's layer_norm.
    Raises UsageError for a cell with random numbers.

    >>> layer = Recurrent("mgu", 3, 4)
    >>> x = torch.ones(5, 2, 3)
    >>> bool(torch.allclose(TorchLoop(layer)(x)[0], layer(x)[0], atol=1e-6))
    True
    """

    def __init__(self, layer: Recurrent) -> None:
        cell = layer.cell
        if cell.noises:
            raise UsageError(f"'{cell.name}' draws random numbers, so two ways of running it cannot be compared.")
        self.layer, self.cell = layer, cell
        program = forward_program(cell)
        new = dict(program.outputs)
        self.new = [new[f"new_{state.name}"] for state in cell.states]
        scales = {p.name for p in cell.parameters if not isinstance(p, Scalar)}
        self.instructions = _needed(_with_layer_norm(program.instructions, scales), self.new)
        # gates that multiply the same value, by the number of that value
        wanted = {(i.arguments[0], i.name) for _, i in self.instructions if i.operation == "product"}
        self.shared = {
            source: [gate.name for gate in cell.product_gates if (source, gate.name) in wanted]
            for source in sorted({source for source, _ in wanted})
        }
        self.states = {state.name: n for n, state in enumerate(cell.states)}

    def __call__(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Outputs (time, batch, hidden_size) and final states, each (1, batch, hidden_size), from zero states."""
        weights: dict[str, Tensor] = dict(self.layer.named_parameters())
        known, parts = self._constants(weights), self._inputs(weights, x)
        products = {source: self._product(weights, names) for source, names in self.shared.items()}
        states: list[Tensor] = [x.new_zeros(x.shape[1], self.layer.hidden_size) for _ in self.cell.states]
        outputs = []
        for part in zip(*parts.values(), strict=True):
            states = self._step(known | dict(zip(parts, part, strict=True)), states, products)
            outputs.append(states[0])
        return torch.stack(outputs), [state.unsqueeze(0) for state in states]

    def _step(
        self, known: dict[str, Value], states: Sequence[Tensor], products: dict[int, Callable[[Tensor], list[Tensor]]]
    ) -> list[Tensor]:
        values: dict[int, Value] = {}
        multiplied: dict[tuple[int, str], Tensor] = {}
        for number, instruction in self.instructions:
            operation, arguments = instruction.operation, instruction.arguments
            if operation == "input":
                state = self.states.get(instruction.name)
                values[number] = known[instruction.name] if state is None else states[state]
            elif operation == "constant":
                values[number] = instruction.value
            elif operation == "product":
                source = arguments[0]
                if (source, instruction.name) not in multiplied:
                    found = products[source](values[source])
                    multiplied |= {(source, name): u for name, u in zip(self.shared[source], found, strict=True)}
                total = multiplied[source, instruction.name]
                values[number] = total + values[arguments[1]] if len(arguments) > 1 else total
            else:
                values[number] = OPERATIONS[operation](*(values[argument] for argument in arguments))
        return [values[number] for number in self.new]

    def _product(self, weights: dict[str, Tensor], names: list[str]) -> Callable[[Tensor], list[Tensor]]:
        """The recurrent products of some gates with one vector."""
        rows = self._rows(weights["weight_hh_l0"], [gate.name for gate in self.cell.product_gates], names)
        heads, hidden = self.layer.heads, self.layer.hidden_size
        if heads == 1:
            matrix = rows.T
            return lambda vector: list((vector @ matrix).chunk(len(names), -1))
        blocks = rows.view(len(names), heads, hidden // heads, hidden // heads)

        def in_blocks(vector: Tensor) -> list[Tensor]:
            found = torch.einsum("bhk,ghuk->gbhu", vector.view(len(vector), heads, -1), blocks)
            return list(found.flatten(2).unbind(0))

        return in_blocks

    @staticmethod
    def _rows(stacked: Tensor, order: list[str], names: list[str]) -> Tensor:
        if order == names:
            return stacked
        parts = dict(zip(order, stacked.chunk(len(order)), strict=True))
        return torch.cat([parts[name] for name in names])

    def _inputs(self, weights: dict[str, Tensor], x: Tensor) -> dict[str, Sequence[Tensor]]:
        """The input's part of each gate at every step, with the biases that can be added beforehand."""
        cell = self.cell
        if not cell.input_gates:
            raise UsageError(f"No gate of '{cell.name}' sees the input.")
        bias = weights.get("bias_ih_l0")
        if bias is not None and cell.joined_biases:
            parts = list(bias.chunk(len(cell.input_gates)))
            others = weights["bias_hh_l0"].chunk(len(cell.product_gates))
            for own, other in cell.joined_biases:
                parts[own] = parts[own] + others[other]
            bias = torch.cat(parts)
        projected = linear(x, weights["weight_ih_l0"], bias).chunk(len(cell.input_gates), -1)
        names = [gate.x.name if gate.has_product else gate.name for gate in cell.input_gates]
        return {name: part.unbind(0) for name, part in zip(names, projected, strict=True)}

    def _constants(self, weights: dict[str, Tensor]) -> dict[str, Value]:
        """What all steps share: parameters, biases that stay apart, rates, and signals, which are 1."""
        cell: Cell = self.cell
        known: dict[str, Value] = {p.name: weights[f"{p.name}_l0"] for p in cell.parameters}
        one = weights["weight_ih_l0"].new_ones(())
        known |= {signal.name: one for signal in cell.signals}
        known |= {rate.name: value * one for rate, value in cell.defaults.items()}
        if "bias_hh_l0" in weights:
            parts = weights["bias_hh_l0"].chunk(len(cell.product_gates))
            known |= {f"bias_{gate.name}": part for gate, part in zip(cell.product_gates, parts, strict=True)}
        return known


def _needed(instructions: Sequence[Instruction], outputs: Sequence[int]) -> list[tuple[int, Instruction]]:
    """The instructions that some outputs depend on, with their numbers, in order."""
    wanted = set(outputs)
    for number in reversed(range(len(instructions))):
        if number in wanted:
            wanted |= set(instructions[number].arguments)
    return [(number, instruction) for number, instruction in enumerate(instructions) if number in wanted]


def _with_layer_norm(instructions: Sequence[Instruction], scales: Collection[str]) -> list[Instruction]:
    """The same values, those divided by their deviation over the units by one call of torch's layer_norm."""
    return [_normalised(instruction, instructions, scales) or instruction for instruction in instructions]


def _normalised(instruction: Instruction, others: Sequence[Instruction], scales: Collection[str]) -> Instruction | None:
    """For (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon), also times a parameter of `scales`; else None."""

    def parts(number: int, operation: str) -> tuple[int, ...]:
        return others[number].arguments if others[number].operation == operation else ()

    if instruction.operation != "divide":
        return None
    above, below = instruction.arguments
    total = parts(below, "sqrt")
    terms = sorted(parts(total[0], "add") if total else (), key=lambda n: others[n].operation != "mean")
    squares = parts(parts(terms[0], "mean")[0], "multiply") if terms and parts(terms[0], "mean") else ()
    if not squares or squares[0] != squares[1] or others[terms[1]] != Instruction("constant", value=EPSILON):
        return None
    centred = parts(squares[0], "subtract")
    if not centred or parts(centred[1], "mean") != (centred[0],):
        return None
    if above == squares[0]:
        return Instruction("layer_norm", (centred[0],))
    scale = [factor for factor in parts(above, "multiply") if factor != squares[0]]
    if len(scale) == 1 and len(parts(above, "multiply")) == 2 and others[scale[0]].name in scales:
        return Instruction("layer_norm", (centred[0], scale[0]))
    return None
