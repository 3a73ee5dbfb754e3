"""A reversed layer reads from the end, whatever the shape of its input."""

import pytest
import torch

from ricorso.errors import ShapeError, UsageError
from ricorso.layers import GRU
from ricorso.weights import Reversed


def halves(time_order, **options):
    """The other direction of a bidirectional layer, as a layer of its own."""
    both = GRU(5, 8, bidirectional=True, **options)
    one = GRU(5, 8, **options)
    one.load_state_dict({name: both.state_dict()[f"{name}_reverse"] for name in one.state_dict()})
    return both, Reversed(one, time_order)


@pytest.mark.parametrize("time_order", [True, False])
@pytest.mark.parametrize(
    ("batch_first", "x"),
    [
        (False, torch.randn(7, 3, 5)),
        (True, torch.randn(3, 7, 5)),
        (True, torch.randn(7, 5)),
        (False, torch.randint(5, (7, 3))),
        (True, torch.randint(5, (3, 7))),
        (True, torch.randint(5, (7,))),
    ],
)
def test_equals_the_other_direction(batch_first, x, time_order):
    both, layer = halves(time_order, batch_first=batch_first)
    batched = x.dim() == (3 if x.is_floating_point() else 2)
    hx = torch.randn(2, 3, 8) if batched else torch.randn(2, 8)
    (wanted, finals), (output, last) = both(x, hx), layer(x, hx[1:])
    wanted = wanted[..., 8:]
    if not time_order:
        wanted = wanted.flip(1 if batched and batch_first else 0)
    assert (output - wanted).abs().max() < 1e-6
    assert (last - finals[1:]).abs().max() < 1e-6


def test_wrong_inputs():
    layer = Reversed(GRU(5, 8))
    packed = torch.nn.utils.rnn.pack_sequence([torch.zeros(3, 5), torch.zeros(2, 5)])
    with pytest.raises(UsageError, match="takes a tensor, not a PackedSequence"):
        layer(packed)
    with pytest.raises(ShapeError, match="has 4 features"):
        layer(torch.zeros(7, 3, 4))
