"""Starting values: those of torch.nn, or those that a cell carries with its equations."""

import math

import sympy as sp
import torch
from torch import Tensor, nn

from ricorso.engine.naive import evaluate, tree
from ricorso.equations.cell import Cell
from ricorso.equations.symbols import HORIZON, Draw, Gate, Parameter

CHOICES = ("recommended", "torch")


@torch.no_grad()
def start_like_torch(parameters: list[Tensor], hidden_size: int) -> None:
    """Draw all parameters uniformly from +-1/sqrt(hidden_size), as torch.nn does."""
    bound = 1 / math.sqrt(hidden_size)
    for parameter in parameters:
        nn.init.uniform_(parameter, -bound, bound)


@torch.no_grad()
def start_as_recommended(cell: Cell, weights: dict[str, Tensor], hidden_size: int, horizon: float | None) -> None:
    """Start one layer in one direction.

    weights: weight_ih, weight_hh, bias_ih, bias_hh where they exist, and the cell's parameters by name. Input weights
    have variance 1 / input_size or torch's, whichever is larger; recurrent matrices are what the cell asks for, gate
    by gate and block by block; biases and parameters are what its `start` (with a horizon its `long_start`) says.
    """
    values = _values(cell, hidden_size, horizon)
    if "weight_ih" in weights:
        inputs = weights["weight_ih"].shape[1]
        bound = max(math.sqrt(3 / inputs), 1 / math.sqrt(hidden_size))
        nn.init.uniform_(weights["weight_ih"], -bound, bound)
    if "weight_hh" in weights:
        _start_recurrent(cell, weights["weight_hh"], hidden_size)
    for name in ("bias_ih", "bias_hh"):
        if name in weights:
            nn.init.zeros_(weights[name])
    for symbol, value in values.items():
        if isinstance(symbol, Gate):
            name, gates = ("bias_ih", cell.input_gates) if symbol.has_input else ("bias_hh", cell.product_gates)
            if name in weights:
                row = gates.index(symbol) * hidden_size
                weights[name][row : row + hidden_size] = value
        else:
            weights[symbol.name].copy_(value[: len(weights[symbol.name])])


def _start_recurrent(cell: Cell, weight: Tensor, hidden_size: int) -> None:
    depth = weight.shape[1]
    for row in range(0, len(weight), depth):
        block = weight[row : row + depth]
        if cell.recurrent_start == "orthogonal":
            # torch decomposes matrices in float32 and float64 only
            wide = block if block.dtype == torch.float64 else block.float()
            block.copy_(nn.init.orthogonal_(wide))
        elif cell.recurrent_start == "identity":
            nn.init.eye_(block)
        else:
            bound = 1 / math.sqrt(hidden_size)
            nn.init.uniform_(block, -bound, bound)


def _values(cell: Cell, hidden_size: int, horizon: float | None) -> dict[sp.Symbol, Tensor]:
    """The starting values that a cell asks for; parameters of which it says nothing start at zero."""
    like = torch.zeros(hidden_size, dtype=torch.float64)
    known: dict[str, Tensor] = {HORIZON.name: torch.full_like(like, horizon or 0.0)}
    chosen = cell.start if horizon is None else {**cell.start, **cell.long_start}
    for expression in chosen.values():
        for symbol in sorted(expression.free_symbols, key=str):
            if isinstance(symbol, Draw) and symbol.name not in known:
                # open at both ends, so that logarithms stay finite
                known[symbol.name] = torch.rand_like(like).clamp(1e-6, 1 - 1e-6)
    found: dict[sp.Symbol, Tensor] = {parameter: torch.zeros_like(like) for parameter in cell.parameters}
    for symbol, expression in chosen.items():
        result = evaluate(tree(expression), known.__getitem__, like)
        found[symbol] = result if isinstance(result, Tensor) else torch.full_like(like, result)
        if isinstance(symbol, Parameter):
            known[symbol.name] = found[symbol]
    return found
