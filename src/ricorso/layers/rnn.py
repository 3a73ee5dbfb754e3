"""A drop-in for torch.nn.RNN."""

import torch

from ricorso.cells import CATALOGUE
from ricorso.errors import UsageError
from ricorso.layers.recurrent import Recurrent


class RNN(Recurrent):
    """torch.nn.RNN with the same arguments, call, results and state_dict, through Ricorso's kernels.

    nonlinearity: "tanh" or "relu" as in torch, or any other for which the catalogue has an Elman cell ("sigmoid").

    >>> import torch
    >>> output, h = RNN(3, 5, nonlinearity="relu")(torch.zeros(7, 2, 3))
    >>> tuple(output.shape), tuple(h.shape)
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        known = [name.removeprefix("elman_") for name in CATALOGUE if name.startswith("elman_")]
        if nonlinearity not in known:
            raise UsageError(f"nonlinearity is {nonlinearity!r}; it may be {', '.join(known)}.")
        self.nonlinearity = nonlinearity
        super().__init__(
            f"elman_{nonlinearity}", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
            device, dtype, init="torch",
        )  # fmt: skip
