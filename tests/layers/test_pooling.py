"""Pooling over the real steps, against one sequence at a time."""

import pytest
import torch

from ricorso.errors import UsageError
from ricorso.layers import Recurrent
from ricorso.layers.pooling import Pooling

LENGTHS = torch.tensor([5, 1, 3])


@pytest.mark.parametrize("kind", ["last", "max", "mean", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(kind: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    layer = Recurrent("gru", 3, 8, bidirectional=bidirectional)
    pooling = Pooling(16 if bidirectional else 8, (kind,), bidirectional)
    inputs = torch.randn(5, 3, 3)
    outputs, _ = layer(inputs, lengths=LENGTHS)
    found = pooling(outputs, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, _ = layer(inputs[:length, row : row + 1])
        torch.testing.assert_close(found[row : row + 1], pooling(alone, torch.tensor([length])), rtol=1e-5, atol=1e-6)


def test_last_is_the_state_at_the_end_of_each_direction() -> None:
    torch.manual_seed(0)
    layer = Recurrent("gru", 3, 8, bidirectional=True)
    outputs, states = layer(torch.randn(5, 3, 3), lengths=LENGTHS)
    found = Pooling(16, ("last",), bidirectional=True)(outputs, LENGTHS)
    torch.testing.assert_close(found, torch.cat([states[0], states[1]], 1))


def test_means_and_maxima_are_those_of_the_real_steps() -> None:
    outputs = torch.tensor([[[-1.0], [-4.0]], [[-3.0], [0.0]]])
    found = Pooling(1, ("max", "mean"))(outputs, torch.tensor([2, 1]))
    assert found.tolist() == [[-1.0, -2.0], [-4.0, -4.0]]


@pytest.mark.parametrize(("kinds", "message"), [((), "At least one"), (("median",), "There is no pooling 'median'")])
def test_wrong_kinds(kinds: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Pooling(4, kinds)
