"""A drop-in for torch.nn.GRU."""

import torch

from ricorso.layers.recurrent import Recurrent


class GRU(Recurrent):
    """torch.nn.GRU with the same arguments, call, results and state_dict, through Ricorso's kernels.

    Integer input (time, batch) is taken as token ids, input_size being the number of symbols.

    >>> import torch
    >>> output, h = GRU(3, 5)(torch.zeros(7, 2, 3))
    >>> tuple(output.shape), tuple(h.shape)
    ((7, 2, 5), (1, 2, 5))
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
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            "gru",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
            init="torch",
        )
