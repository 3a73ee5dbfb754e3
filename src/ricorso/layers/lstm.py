"""A drop-in for torch.nn.LSTM."""

import torch

from ricorso.layers.recurrent import Recurrent


class LSTM(Recurrent):
    """torch.nn.LSTM with the same arguments, call, results and state_dict, through Ricorso's kernels.

    Integer input (time, batch) is taken as token ids, input_size being the number of symbols.

    >>> import torch
    >>> output, (h, c) = LSTM(3, 5, num_layers=2)(torch.zeros(7, 2, 3))
    >>> tuple(output.shape), tuple(c.shape)
    ((7, 2, 5), (2, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            "lstm", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device,
            dtype, init="torch",
        )  # fmt: skip
