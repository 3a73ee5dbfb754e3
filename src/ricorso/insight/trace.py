"""Recurrent layers run by their equations, step by step, with every state and every gate within reach.

The engine `naive` does the work, so what is seen holds for any cell, with nothing approximated.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ricorso.engine.call import Call
from ricorso.engine.naive import Step, one_step
from ricorso.equations import Cell
from ricorso.errors import UsageError
from ricorso.layers import Recurrent
from ricorso.layers.variant import rates, variants

States = Tensor | tuple[Tensor, ...] | None


@dataclass(frozen=True)
class LayerTrace:
    """What one layer did in one direction.

    cell: as kernels take it. projected: the input parts of its gates, (time, batch, input gates * hidden_size).
    start: the states before the first step; states: those after each step, in the order of time, tensors of the graph
    that leads to them. number: of the layer, from 1. reverse: whether it read from the end. inside: (time, batch),
    which steps are not behind the end of their sequence; None where all are inside.
    """

    cell: Cell
    call: Call
    projected: Tensor
    start: tuple[Tensor, ...]
    states: list[tuple[Tensor, ...]]
    number: int = 1
    reverse: bool = False
    inside: Tensor | None = None

    def after(self, state: int) -> Tensor:
        """One state after all steps, (time, batch, hidden_size), outside the graph."""
        return torch.stack([step[state].detach() for step in self.states])

    def before(self, state: int) -> Tensor:
        """One state before all steps."""
        start, after = self.start[state].detach()[None], self.after(state)
        return torch.cat([after[1:], start] if self.reverse else [start, after[:-1]])

    def steps(self) -> Step:
        """All steps side by side: `steps().tensor(expression)` is the value of an expression at each of them.

        Values are (time, batch, hidden_size), of sequences of different lengths (steps, 1, hidden_size).
        """
        cell = self.cell
        known = {state.name: self._real(self.before(n)) for n, state in enumerate(cell.states)}
        known |= {state.new.name: self._real(self.after(n)) for n, state in enumerate(cell.states)}
        parts = self._real(self.projected.detach()).chunk(len(cell.input_gates), -1)
        for gate, x in zip(cell.input_gates, parts, strict=True):
            known[gate.x.name if gate.has_product else gate.name] = x
        if self.call.parameters is not None:
            known |= {p.name: value for p, value in zip(cell.parameters, self.call.parameters, strict=True)}
        known |= {signal.name: torch.ones_like(parts[0][..., :1]) for signal in cell.signals}
        return Step(cell, known, self.call.weight_hh, self.call.bias_hh)

    def _real(self, values: Tensor) -> Tensor:
        return values if self.inside is None else values[self.inside].unsqueeze(1)


class Traced(nn.Module):
    """A stack of recurrent layers that remembers its last call: `entry`, `output` and, for each layer, a LayerTrace in
    `layers`; of a layer in both directions two, forward first.

    It is called as the `Recurrent` is that it wraps. entry: the vector that each symbol brings in, (time, batch, size):
    its embedding, or its column of the first (forward) matrix; the graph begins there. output: of the top layer at each
    step, zero behind the ends. last_only: return the output of the last
    step alone, which spares the model above it the others.
    Raises UsageError for a layer with projections.
    """

    def __init__(self, layer: Recurrent, last_only: bool = False) -> None:
        super().__init__()
        if layer.proj_size:
            raise UsageError("Layers with a projection (proj_size) cannot be looked into.")
        self.layer, self.last_only = layer, last_only
        self.variant = variants(layer.cell, layer.zoneout, layer.recurrent_dropout).evaluation
        self.directions = ("", "_reverse") if layer.bidirectional else ("",)
        self.layers: list[LayerTrace] = []
        self.entry = self.output = torch.empty(0)
        self.lengths: Tensor | None = None

    def forward(self, x: Tensor, hx: States = None, *, lengths: Tensor | None = None) -> tuple[Tensor, States]:
        self.layers = []
        tokens, weight = not x.is_floating_point(), self._weight("weight_ih", "l0")
        assert weight is not None
        self.lengths, inside = lengths, None
        if lengths is not None:
            inside = torch.arange(len(x))[:, None] < lengths
        self.entry = (weight.T[x] if tokens else x.to(weight.dtype)).detach().requires_grad_()
        read = self.entry
        for number in range(self.layer.num_layers):
            outputs = []
            for direction in self.directions:
                end = f"l{number}{direction}"
                weight = self._weight("weight_ih", end)
                assert weight is not None
                # columns of a second first matrix are other vectors than those of the first
                symbols = tokens and number == 0
                projected = (read if not direction else weight.T[x]) if symbols else read @ weight.T
                outputs.append(self._run(number, direction, projected, hx, inside))
            read = torch.cat(outputs, -1)
        self.output = read
        finals = [
            torch.stack([trace.states[0 if trace.reverse else -1][n] for trace in self.layers])
            for n in range(len(self.layer.cell.states))
        ]
        return read[-1:] if self.last_only else read, finals[0] if len(finals) == 1 else tuple(finals)

    def of(self, outputs: Tensor, reverse: bool) -> Tensor:
        """Of outputs (..., directions * hidden_size) those of one direction."""
        return outputs.chunk(len(self.directions), -1)[int(reverse)]

    def last(self, reverse: bool) -> Tensor:
        """The output of one direction where it ends, (batch, hidden_size)."""
        if reverse or self.lengths is None:
            return self.of(self.output[0 if reverse else -1], reverse)
        return self.of(self.output[self.lengths - 1, torch.arange(len(self.lengths))], reverse)

    def _run(self, number: int, direction: str, projected: Tensor, hx: States, inside: Tensor | None) -> Tensor:
        cell, end = self.variant.kernel, f"l{number}{direction}"
        bias = self._weight("bias_ih", end)
        projected = projected if bias is None else projected + bias
        start = self._start(len(self.layers), end, hx, projected)
        weight_hh, bias_hh = (self._weight(name, end) for name in ("weight_hh", "bias_hh"))
        parameters = self._parameters_of(end)
        call = Call(projected, None, weight_hh, None, bias_hh, parameters, None, torch.stack(start))
        signals = projected.new_ones(len(cell.signals), *projected.shape[:2])
        old, states = start, []
        order = range(len(projected))
        for t in reversed(order) if direction else order:
            new = one_step(cell, call, projected[t], signals[:, t], t, old)
            if inside is not None:
                # behind its end a sequence stays as it is
                new = tuple(torch.where(inside[t, :, None], one, kept) for one, kept in zip(new, old, strict=True))
            # what the next step and the layer above are handed, apart from what this step itself still did with it
            old = tuple(s.view_as(s) if s.requires_grad else s.clone().requires_grad_() for s in new)
            states.append(old)
        if direction:
            states.reverse()
        self.layers.append(LayerTrace(cell, call, projected, start, states, number + 1, bool(direction), inside))
        outputs = torch.stack([step[0] for step in states])
        return outputs if inside is None else outputs * inside.unsqueeze(-1)

    def _start(self, place: int, end: str, hx: States, like: Tensor) -> tuple[Tensor, ...]:
        layer, shape = self.layer, (like.shape[1], self.layer.hidden_size)
        if hx is not None:
            return tuple(state[place].detach().to(like.dtype) for state in ((hx,) if isinstance(hx, Tensor) else hx))
        if layer.learned_start:
            names = [f"start_{state.name}_{end}" for state in layer.cell.states]
            return tuple(getattr(layer, name).detach().expand(shape) for name in names)
        return tuple(like.new_zeros(shape) for _ in layer.cell.states)

    def _weight(self, name: str, end: str) -> Tensor | None:
        found: Tensor | None = getattr(self.layer, f"{name}_{end}", None)
        return None if found is None else found.detach()

    def _parameters_of(self, end: str) -> Tensor | None:
        if not self.variant.kernel.parameters:
            return None
        layer = self.layer
        known = rates(layer.cell, layer.zoneout, layer.recurrent_dropout)
        like = next(layer.parameters()).detach().new_zeros(layer.hidden_size)
        return self.variant.parameters(lambda name: getattr(layer, f"{name}_{end}").detach(), known, like)


def traced(model: nn.Module, last_only: bool = False) -> tuple[nn.Module, Traced]:
    """A copy of a model in float64 whose layer `recurrent` is traced, and that layer.

    In float64 a gradient that vanishes can be followed down to 1e-300.
    """
    copied = deepcopy(model).double().requires_grad_(False).eval()
    copied.recurrent = Traced(copied.recurrent, last_only)  # type: ignore[arg-type]
    return copied, copied.recurrent
