"""torch's own kernels, for the cells it has."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ricorso.equations.cell import Cell

PEERS: dict[str, Callable[..., Any]] = {
    "lstm": torch._VF.lstm,
    "gru": torch._VF.gru,
    "elman_tanh": torch._VF.rnn_tanh,
    "elman_relu": torch._VF.rnn_relu,
}


class Stack(Protocol):
    """What torch's kernels want to know of a layer."""

    bias: bool
    num_layers: int
    dropout: float
    training: bool
    bidirectional: bool


def run(
    cell: Cell,
    inputs: Tensor,
    initial: Sequence[Tensor] | Tensor,
    weights: list[Tensor],
    stack: Stack,
    sizes: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """A whole stack on time-major input, or on the rows of a ragged batch: outputs and final states."""
    states = initial[0] if len(cell.states) == 1 else tuple(initial)
    options = (stack.bias, stack.num_layers, stack.dropout, stack.training, stack.bidirectional)
    if sizes is None:
        output, *finals = PEERS[cell.name](inputs, states, weights, *options, False)
    else:
        output, *finals = PEERS[cell.name](inputs, sizes, states, weights, *options)
    return output, list(finals)
