"""Which way a layer runs on given tensors, and why."""

import os
import platform
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ricorso.cells import get_cell
from ricorso.engine.fast import DTYPES
from ricorso.engine.peer import PEERS
from ricorso.equations.cell import Cell
from ricorso.errors import UsageError


@dataclass(frozen=True)
class Path:
    """name: "llvm" (compiled kernels), "torch" (torch's own kernel) or "naive" (the oracle); why: in words."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def kernels_unavailable() -> str:
    """Empty when compiled kernels can be used here, else the reason why not."""
    return _probe()


@cache
def _probe() -> str:
    try:
        from ricorso.kernels.llvm.host import host

        host()
    except (ImportError, OSError, RuntimeError) as error:
        return f"llvmlite cannot be used here ({error})"
    return ""


def choose(cell: Cell, inputs: Tensor, weight_hh: Tensor, projected: bool = False) -> Path:
    """The fastest exact way through a stack. `projected`: the output is projected (LSTM), which only torch has."""
    forced = os.environ.get("RICORSO_PATH", "")
    if forced not in ("", "naive", "llvm", "torch"):
        raise UsageError(f"RICORSO_PATH is '{forced}'; it may be naive, llvm or torch.")
    peer = cell.name in PEERS and get_cell(cell.name) is cell and inputs.is_floating_point()
    if projected:
        return Path("torch", "projections run through torch's own LSTM")
    if forced == "naive":
        return Path("naive", "RICORSO_PATH asks for the oracle")
    if forced == "torch" and peer:
        return Path("torch", "RICORSO_PATH asks for torch's kernel")
    if torch._C._functorch.maybe_current_level() is not None:
        return Path("naive", "torch.func transforms go through the oracle, which they can see into")
    reason = _unsuited(inputs, weight_hh)
    if not reason:
        if peer and forced != "llvm" and _torch_is_faster(cell, inputs, weight_hh):
            return Path("torch", "torch's own LSTM kernel is faster at this size")
        return Path("llvm", f"kernels compiled for {cell.name}, {weight_hh.shape[1]} units")
    if peer and inputs.numel():
        return Path("torch", f"{reason}; torch has this cell")
    return Path("naive", reason)


def _unsuited(inputs: Tensor, weight_hh: Tensor) -> str:
    """Why compiled kernels cannot run on these tensors; empty when they can."""
    if weight_hh.device.type != "cpu":
        return f"compiled kernels run on CPUs, these weights are on {weight_hh.device.type}"
    if weight_hh.dtype not in DTYPES:
        return f"compiled kernels take float32 and float64, these weights are {weight_hh.dtype}"
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return "the input is empty"
    reason: str = kernels_unavailable()
    return reason


def _torch_is_faster(cell: Cell, inputs: Tensor, weight_hh: Tensor) -> bool:
    """oneDNN's LSTM gains a few percent where every product is large (benchmarks/layer_speed.py --large)."""
    return (
        cell.name == "lstm"
        and weight_hh.dtype == torch.float32
        and weight_hh.shape[1] >= 512
        and weight_hh.shape[1] * inputs.shape[1] >= 65_536
        and platform.machine() in ("x86_64", "AMD64")
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    )
