"""Optimisers in one fused pass, decay on matrices only, and what is done to gradients before a step."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

OPTIMISERS = ("adamw", "adam", "sgd")
_BETAS = (0.9, 0.99)


def optimiser(model: nn.Module, kind: str, weight_decay: float = 0.0, momentum: float = 0.0) -> torch.optim.Optimizer:
    """One of `OPTIMISERS` over a model; biases and other vectors do not decay. The rate is set before each step.

    The decay is apart from the gradient for adamw (arXiv:1711.05101) and sgd; adam has none.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=momentum, fused=True)
    if kind == "adam":
        return torch.optim.Adam([group | {"weight_decay": 0.0} for group in groups], lr=0.0, betas=_BETAS, fused=True)
    return torch.optim.AdamW(groups, lr=0.0, betas=_BETAS, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = value


def gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradients that are there."""
    return [p.grad for p in parameters if p.grad is not None]


def gradient_norm(parameters: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm over all gradients, a scalar; not finite when any gradient is not."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients(parameters))))
    return norm


def add_l2(parameters: Sequence[Tensor], weight: float) -> None:
    """Add the gradient of `weight` times half the squared matrices."""
    matrices = [p for p in parameters if p.grad is not None and p.ndim >= 2]
    if weight and matrices:
        torch._foreach_add_(gradients(matrices), [p.detach() for p in matrices], alpha=weight)


def clip(parameters: Sequence[Tensor], norm: float, limit: float) -> bool:
    """Scale the gradients, whose norm is given, down to the norm `limit`; 0 leaves them as they are.

    Whether they were too large.
    """
    if not 0 < limit < norm:
        return False
    torch._foreach_mul_(gradients(parameters), limit / norm)
    return True


def clip_values(parameters: Sequence[Tensor], limit: float) -> None:
    """Bring each entry of the gradients to within `limit` of zero; 0 leaves them as they are."""
    if limit:
        found = gradients(parameters)
        torch._foreach_clamp_min_(found, -limit)
        torch._foreach_clamp_max_(found, limit)
