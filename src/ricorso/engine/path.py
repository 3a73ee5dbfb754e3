"""Which way a layer runs on given tensors, and why."""

import os
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ricorso.engine.fast import DTYPES
from ricorso.equations.cell import Cell


@dataclass(frozen=True)
class Path:
    """name: "llvm" (compiled kernels), "torch" (torch's own kernel) or "naive" (the oracle); why: in words."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@cache
def kernels_available() -> str:
    """Empty when compiled kernels can be used here, else the reason why not."""
    try:
        from ricorso.kernels.llvm.host import host

        host()
    except (ImportError, OSError, RuntimeError) as error:
        return f"llvmlite cannot be used here ({error})"
    return ""


def choose(cell: Cell, inputs: Tensor, weight_hh: Tensor, peer: bool) -> Path:
    """The fastest exact way. `peer`: torch has this layer, with these weights, as a kernel of its own."""
    forced = os.environ.get("RICORSO_PATH", "")
    if forced == "naive":
        return Path("naive", "RICORSO_PATH asks for the oracle")
    if weight_hh.device.type != "cpu":
        if peer:
            return Path("torch", f"torch's own kernel on {weight_hh.device.type}")
        return Path("naive", f"compiled kernels run on CPUs, these weights are on {weight_hh.device.type}")
    if weight_hh.dtype not in DTYPES:
        if peer:
            return Path("torch", f"torch's own kernel for {weight_hh.dtype}")
        return Path("naive", f"compiled kernels take float32 and float64, these weights are {weight_hh.dtype}")
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return Path("naive", "the input is empty")
    if torch._C._functorch.maybe_current_level() is not None:
        return Path("naive", "torch.func transforms go through the oracle")
    reason = kernels_available()
    if reason:
        return Path("torch" if peer else "naive", reason)
    if peer and forced != "llvm" and _torch_is_faster(cell, inputs, weight_hh):
        return Path("torch", "torch's own LSTM kernel is faster at this size")
    return Path("llvm", f"kernels compiled for {cell.name}, {weight_hh.shape[1]} units")


def _torch_is_faster(cell: Cell, inputs: Tensor, weight_hh: Tensor) -> bool:
    return False
