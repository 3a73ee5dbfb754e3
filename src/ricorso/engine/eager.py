"""Calls that nobody looks into: no compiler, no transformation of torch.func, no autocast, no choice of the user's."""

import os

import torch
from torch import Tensor


def eager(x: Tensor) -> bool:
    """Whether what is done with x may go past torch's dispatcher, through compiled kernels."""
    return (
        not torch.compiler.is_compiling()
        and type(x) in (Tensor, torch.nn.Parameter)
        and x.is_cpu
        and ("RICORSO_PATH" not in os.environ or os.environ["RICORSO_PATH"] in ("", "llvm"))
        and torch._C._functorch.maybe_current_level() is None
        and torch.autograd.forward_ad._current_level < 0
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._is_tracing()
    )
