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
    """What one layer did.

    cell: as kernels take it. projected: the input parts of its gates, (time, batch, input gates * hidden_size).
    start: the states before the first step; states: those after each step, tensors of the graph that leads to them.
    """

    cell: Cell
    call: Call
    projected: Tensor
    start: tuple[Tensor, ...]
    states: list[tuple[Tensor, ...]]

    def after(self, state: int) -> Tensor:
        """One state after all steps, (time, batch, hidden_size), outside the graph."""
        return torch.stack([step[state].detach() for step in self.states])

    def before(self, state: int) -> Tensor:
        """One state before all steps."""
        return torch.cat([self.start[state].detach()[None], self.after(state)[:-1]])

    def steps(self) -> Step:
        """All steps side by side: `steps().tensor(expression)` is the value of an expression at each of them."""
        cell = self.cell
        known = {state.name: self.before(n) for n, state in enumerate(cell.states)}
        known |= {state.new.name: self.after(n) for n, state in enumerate(cell.states)}
        parts = self.projected.detach().chunk(len(cell.input_gates), -1)
        for gate, x in zip(cell.input_gates, parts, strict=True):
            known[gate.x.name if gate.has_product else gate.name] = x
        if self.call.parameters is not None:
            known |= {p.name: value for p, value in zip(cell.parameters, self.call.parameters, strict=True)}
        known |= {signal.name: torch.ones_like(parts[0][..., :1]) for signal in cell.signals}
        return Step(cell, known, self.call.weight_hh, self.call.bias_hh)


class Traced(nn.Module):
    """A stack of recurrent layers that remembers its last call: `entry` and, for each layer, a LayerTrace in `layers`.

    It is called as the `Recurrent` is that it wraps. entry: the vector that each symbol brings in, (time, batch, size):
    its embedding, or its column of the first matrix; the graph begins there. last_only: return the output of the last
    step alone, which spares the model above it the others.
    Raises UsageError for a layer in two directions or with projections.
    """

    def __init__(self, layer: Recurrent, last_only: bool = False) -> None:
        super().__init__()
        if layer.bidirectional or layer.proj_size:
            raise UsageError("Only layers of one direction, without projection, can be looked into.")
        self.layer, self.last_only = layer, last_only
        self.variant = variants(layer.cell, layer.zoneout, layer.recurrent_dropout).evaluation
        self.layers: list[LayerTrace] = []
        self.entry = torch.empty(0)

    def forward(self, x: Tensor, hx: States = None) -> tuple[Tensor, States]:
        self.layers = []
        tokens, weight = not x.is_floating_point(), self._weight("weight_ih", 0)
        assert weight is not None
        self.entry = (weight.T[x] if tokens else x).detach().requires_grad_()
        x = self.entry
        for number in range(self.layer.num_layers):
            weight = self._weight("weight_ih", number)
            assert weight is not None
            x = self._run(number, x if tokens and number == 0 else x @ weight.T, hx)
        finals = [
            torch.stack([trace.states[-1][n] for trace in self.layers]) for n in range(len(self.layer.cell.states))
        ]
        return x[-1:] if self.last_only else x, finals[0] if len(finals) == 1 else tuple(finals)

    def _run(self, number: int, projected: Tensor, hx: States) -> Tensor:
        cell, bias = self.variant.kernel, self._weight("bias_ih", number)
        projected = projected if bias is None else projected + bias
        start = self._start(number, hx, projected)
        weight_hh, bias_hh = (self._weight(name, number) for name in ("weight_hh", "bias_hh"))
        parameters = self._parameters_of(number)
        call = Call(projected, None, weight_hh, None, bias_hh, parameters, None, torch.stack(start))
        signals = projected.new_ones(len(cell.signals), *projected.shape[:2])
        old, states = start, []
        for t in range(len(projected)):
            new = one_step(cell, call, projected[t], signals[:, t], t, old)
            # what the next step and the layer above are handed, apart from what this step itself still did with it
            old = tuple(s.view_as(s) if s.requires_grad else s.clone().requires_grad_() for s in new)
            states.append(old)
        self.layers.append(LayerTrace(cell, call, projected, start, states))
        return torch.stack([step[0] for step in states])

    def _start(self, number: int, hx: States, like: Tensor) -> tuple[Tensor, ...]:
        layer, shape = self.layer, (like.shape[1], self.layer.hidden_size)
        if hx is not None:
            return tuple(state[number].detach().to(like.dtype) for state in ((hx,) if isinstance(hx, Tensor) else hx))
        if layer.learned_start:
            names = [f"start_{state.name}_l{number}" for state in layer.cell.states]
            return tuple(getattr(layer, name).detach().expand(shape) for name in names)
        return tuple(like.new_zeros(shape) for _ in layer.cell.states)

    def _weight(self, name: str, number: int) -> Tensor | None:
        found: Tensor | None = getattr(self.layer, f"{name}_l{number}", None)
        return None if found is None else found.detach()

    def _parameters_of(self, number: int) -> Tensor | None:
        if not self.variant.kernel.parameters:
            return None
        layer = self.layer
        known = rates(layer.cell, layer.zoneout, layer.recurrent_dropout)
        like = next(layer.parameters()).detach().new_zeros(layer.hidden_size)
        return self.variant.parameters(lambda name: getattr(layer, f"{name}_l{number}").detach(), known, like)


def traced(model: nn.Module, last_only: bool = False) -> tuple[nn.Module, Traced]:
    """A copy of a model in float64 whose layer `recurrent` is traced, and that layer.

    In float64 a gradient that vanishes can be followed down to 1e-300.
    """
    copied = deepcopy(model).double().requires_grad_(False).eval()
    copied.recurrent = Traced(copied.recurrent, last_only)  # type: ignore[arg-type]
    return copied, copied.recurrent
