"""AdamW in one fused pass, decay on matrices only, and the gradient's norm."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def adamw(model: nn.Module, weight_decay: float, betas: tuple[float, float] = (0.9, 0.99)) -> torch.optim.AdamW:
    """AdamW over a model; biases and other vectors do not decay. The learning rate is set before each step."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0, betas=betas, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = value


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """The Euclidean norm over all gradients, a scalar; not finite when any gradient is not."""
    return nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def clip(parameters: Iterable[Tensor], norm: float, limit: float) -> None:
    """Scale the gradients, whose norm is given, down to the norm `limit`; 0 leaves them as they are."""
    if 0 < limit < norm:
        torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], limit / norm)
