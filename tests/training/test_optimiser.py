import pytest
import torch
from torch import nn

from ricorso.training.optimiser import add_l2, clip, clip_values, gradient_norm, optimiser, set_learning_rate


@pytest.mark.parametrize(("kind", "kept"), [("adamw", 0.95), ("sgd", 0.95), ("adam", 1.0)])
def test_matrices_decay_and_vectors_do_not(kind: str, kept: float) -> None:
    model = nn.Linear(3, 2)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    made = optimiser(model, kind, weight_decay=0.5)
    set_learning_rate(made, 0.1)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    made.step()
    torch.testing.assert_close(model.weight, before["weight"] * kept)
    torch.testing.assert_close(model.bias, before["bias"])


def test_sgd_has_momentum() -> None:
    model = nn.Linear(1, 1, bias=False)
    made = optimiser(model, "sgd", momentum=0.5)
    set_learning_rate(made, 1.0)
    before = float(model.weight.detach())
    for _ in range(2):
        model.weight.grad = torch.ones(1, 1)
        made.step()
    assert float(model.weight.detach()) == pytest.approx(before - 1 - 1.5)


def test_l2_pulls_matrices_and_values_are_clipped_after_it() -> None:
    model = nn.Linear(2, 1)
    parameters = list(model.parameters())
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[10.0, -1.0]]))
    model.weight.grad, model.bias.grad = torch.zeros(1, 2), torch.tensor([-7.0])
    add_l2(parameters, 0.5)
    assert model.weight.grad.tolist() == [[5.0, -0.5]]
    clip_values(parameters, 2.0)
    assert model.weight.grad.tolist() == [[2.0, -0.5]]
    assert model.bias.grad.tolist() == [-2.0]


def test_clipping_scales_all_gradients_to_the_limit() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 1))
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])
    norm = float(gradient_norm([a, b]))
    assert norm == 5.0
    assert not clip([a, b], norm, 10.0)
    assert not clip([a, b], norm, 0.0)
    assert float(gradient_norm([a, b])) == 5.0
    assert clip([a, b], norm, 1.0)
    torch.testing.assert_close(a.grad, torch.tensor([0.6, 0.0]))
    torch.testing.assert_close(b.grad, torch.tensor([[0.8]]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_single_bad_gradient_shows_in_the_norm(bad: float) -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))
    a.grad, b.grad = torch.zeros(2), torch.tensor([0.0, bad, 0.0])
    assert not torch.isfinite(gradient_norm([a, b]))
