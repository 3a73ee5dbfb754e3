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
        return output, list(finals)
    # torch's kernels take no sequences without steps
    count = int(sizes[0]) if len(sizes) else 0
    if not count:
        return inputs.new_zeros(0, initial[0].shape[2] * (1 + stack.bidirectional)), list(initial)
    real = [state[:, :count] for state in initial]
    output, *finals = PEERS[cell.name](inputs, sizes, real[0] if len(real) == 1 else tuple(real), weights, *options)
    if count < initial[0].shape[1]:
        finals = [torch.cat([new, old[:, count:]], 1) for new, old in zip(finals, initial, strict=True)]
    return output, list(finals)
