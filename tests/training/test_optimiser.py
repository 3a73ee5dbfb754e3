import pytest
import torch
from torch import nn

from ricorso.training.optimiser import adamw, clip, gradient_norm, set_learning_rate


def test_matrices_decay_and_vectors_do_not() -> None:
    model = nn.Linear(3, 2)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = adamw(model, weight_decay=0.5)
    set_learning_rate(optimiser, 0.1)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimiser.step()
    torch.testing.assert_close(model.weight, before["weight"] * 0.95)
    torch.testing.assert_close(model.bias, before["bias"])


def test_clipping_scales_all_gradients_to_the_limit() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 1))
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])
    norm = float(gradient_norm([a, b]))
    assert norm == 5.0
    clip([a, b], norm, 10.0)
    clip([a, b], norm, 0.0)
    assert float(gradient_norm([a, b])) == 5.0
    clip([a, b], norm, 1.0)
    torch.testing.assert_close(a.grad, torch.tensor([0.6, 0.0]))
    torch.testing.assert_close(b.grad, torch.tensor([[0.8]]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_single_bad_gradient_shows_in_the_norm(bad: float) -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))
    a.grad, b.grad = torch.zeros(2), torch.tensor([0.0, bad, 0.0])
    assert not torch.isfinite(gradient_norm([a, b]))
