"""A layer that reads its input from the end."""

from torch import Tensor, nn

from ricorso.errors import UsageError
from ricorso.layers.batch import States
from ricorso.layers.recurrent import Recurrent


class Reversed(nn.Module):
    """A recurrent layer that reads its input from the last step to the first.

    time_order: output step t belongs to input step t (ONNX: direction "reverse"); otherwise outputs stay in the order
    in which they were computed, the last step's first (Keras: go_backwards).

    Call: `output, states = reversed_layer(input, hx=None)`, with the shapes that the layer inside takes and returns.
    Raises UsageError for anything but a tensor: sequences of unequal length end at different steps.

    >>> import torch
    >>> inside = Recurrent("gru", 3, 5)
    >>> x = torch.randn(7, 2, 3)
    >>> torch.equal(Reversed(inside)(x)[0].flip(0), inside(x.flip(0))[0])
    True
    """

    def __init__(self, layer: Recurrent, time_order: bool = True) -> None:
        super().__init__()
        self.layer, self.time_order = layer, time_order

    def extra_repr(self) -> str:
        return f"time_order={self.time_order}"

    def forward(self, input: Tensor, hx: States | None = None) -> tuple[Tensor, States]:
        if not isinstance(input, Tensor):
            raise UsageError(f"A reversed layer takes a tensor, not a {type(input).__name__}; pad the sequences.")
        batched = input.dim() == (3 if input.is_floating_point() else 2)
        time = 1 if batched and self.layer.batch_first else 0
        output, states = self.layer(input.flip(time), hx)
        return (output.flip(time) if self.time_order else output), states
