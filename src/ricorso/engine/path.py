"""Which way a layer runs on given tensors, and why."""

import os
import platform
from dataclasses import dataclass

import torch
from torch import Tensor

from ricorso.cells import CATALOGUE
from ricorso.engine import gpu
from ricorso.engine.call import DTYPES
from ricorso.engine.peer import PEERS
from ricorso.equations.cell import Cell
from ricorso.equations.linear import linear
from ricorso.errors import UsageError
from ricorso.kernels import available

NAMES = ("llvm", "torch", "triton", "scan", "naive")


@dataclass(frozen=True)
class Path:
    """How a layer runs, and why, in words.

    name: "llvm" (compiled kernels on a CPU), "triton" (kernels on a GPU), "torch" (torch's own kernel), "scan" (all
    steps at once, for cells that are linear in their state) or "naive" (the oracle).
    """

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def kernels_unavailable() -> str:
    """Empty when compiled kernels can be used here, else the reason why not."""
    return available.unavailable()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _kernels_missing() -> str:
    return available.missing()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _may_run_new_code() -> bool:
    """oneDNN makes code too: without this torch's LSTM fails on a CPU."""
    return available.may_run_new_code()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies pairs of bfloat16 numbers (AVX-512 BF16)."""
    if available.unavailable():
        return False
    from ricorso.kernels.llvm.host import host

    return host().bfloat16


def wanted_dtype(weight: Tensor) -> torch.dtype:
    """The type a layer computes in: its weights', or bfloat16 where autocast asks for it and kernels have it."""
    device = weight.device.type
    if weight.dtype != torch.float32 or not torch.is_autocast_enabled(device):
        return weight.dtype
    wanted = torch.get_autocast_dtype(device)
    if device == "cpu" and wanted == torch.bfloat16 and not multiplies_bfloat16():
        return weight.dtype
    return wanted


def choose(
    cell: Cell,
    inputs: Tensor,
    weight: Tensor,
    dtype: torch.dtype,
    head_size: int,
    projected: bool = False,
    plain: bool = True,
    ragged: bool = False,
) -> Path:
    """The fastest exact way through a stack.

    dtype: what it is computed in. head_size: rows of a block of the recurrent matrices. projected: the output is
    projected (LSTM), which only torch has. plain: torch's kernels compute the same, there being no heads and no dropped
    weights or inputs. ragged: the input is the rows of a ragged batch.
    """
    forced = os.environ.get("RICORSO_PATH", "")
    if forced not in ("", *NAMES):
        raise UsageError(f"RICORSO_PATH is '{forced}'; it may be {', '.join(NAMES)}.")
    peer = plain and cell.name in PEERS and CATALOGUE.get(cell.name) is cell and inputs.is_floating_point()
    if projected:
        return Path("torch", "projections run through torch's own LSTM")
    if forced == "naive":
        return Path("naive", "RICORSO_PATH asks for the oracle")
    if forced == "scan" and inputs.numel() and linear(cell):
        return Path("scan", "RICORSO_PATH asks for all steps at once")
    if forced == "torch" and peer:
        return Path("torch", "RICORSO_PATH asks for torch's kernel")
    compiling = torch.compiler.is_compiling()
    if peer and not compiling and torch._C._is_tracing():
        return Path("torch", "torch.jit.trace records torch's kernel")
    forward_derivatives = not compiling and torch.autograd.forward_ad._current_level >= 0
    if torch._C._functorch.maybe_current_level() is not None or forward_derivatives:
        return Path("naive", "torch.func and forward derivatives go through the oracle, which they can see into")
    if weight.is_cuda:
        return _on_gpu(cell, inputs, dtype, peer, ragged)
    reason = _unsuited(inputs, weight, dtype, ragged)
    if not reason and dtype == torch.bfloat16 and head_size % 2 and cell.product_gates:
        reason = f"bfloat16 is multiplied in pairs, and a head has {head_size} units"
    if not reason:
        if peer and forced != "llvm" and not ragged and torch_is_faster(cell, inputs, weight, dtype):
            return Path("torch", "torch's own LSTM kernel is faster at this size")
        return compiled_path(cell)
    if peer and inputs.numel() and (cell.name != "lstm" or _may_run_new_code()):
        return Path("torch", f"{reason}; torch has this cell")
    found: Path = _plain(cell, inputs, reason)
    return found


def compiled_path(cell: Cell) -> Path:
    """Through compiled kernels."""
    return Path("llvm", f"kernels compiled for {cell.name}")


def _on_gpu(cell: Cell, inputs: Tensor, dtype: torch.dtype, peer: bool, ragged: bool) -> Path:
    if peer and inputs.numel():
        return Path("torch", "cuDNN has this cell")
    reason = gpu.unavailable()
    if not reason and dtype not in gpu.DTYPES:
        reason = f"Triton kernels do not take {dtype}"
    if not reason and ragged:
        reason = "Triton kernels take sequences of one length"
    if not reason and 0 in inputs.shape[:2]:
        reason = "the input is empty"
    return _plain(cell, inputs, reason) if reason else Path("triton", f"kernels compiled for {cell.name}")


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _plain(cell: Cell, inputs: Tensor, reason: str) -> Path:
    """Through torch's own operations."""
    if inputs.numel() and linear(cell):
        return Path("scan", f"{reason}; the cell is linear in its state, all steps at once")
    return Path("naive", reason)


def _unsuited(inputs: Tensor, weight: Tensor, dtype: torch.dtype, ragged: bool) -> str:
    """Why compiled kernels cannot run on these tensors; empty when they can."""
    if weight.device.type != "cpu":
        return f"compiled kernels run on CPUs, these weights are on {weight.device.type}"
    if dtype not in DTYPES:
        return f"compiled kernels take float32, float64 and bfloat16, these weights are {dtype}"
    if 0 in inputs.shape[: 1 if ragged else 2]:
        return "the input is empty"
    reason: str = _kernels_missing()
    if not reason and dtype == torch.bfloat16 and not multiplies_bfloat16():
        return "this processor has no instructions for bfloat16"
    return reason


def torch_is_faster(cell: Cell, inputs: Tensor, weight: Tensor, dtype: torch.dtype) -> bool:
    """Whether torch's own kernel is: oneDNN's LSTM gains a few percent where every product is large.

    As measured by benchmarks/layer_speed.py --large.
    """
    if cell.name != "lstm":
        return False
    hidden = weight.shape[0] // len(cell.gates)
    return (
        dtype == torch.float32
        and hidden >= 512
        and hidden * inputs.shape[1] >= 65_536
        and platform.machine() in ("x86_64", "AMD64")
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    )


def paths(cell: Cell) -> list[Path]:
    """Every way in which a cell can run on this machine, the fastest first."""
    found = []
    reason = kernels_unavailable()
    if not reason:
        types = "float32, float64" + (", bfloat16" if multiplies_bfloat16() else "")
        found.append(Path("llvm", f"kernels compiled for this processor, {types}"))
    if cell.name in PEERS and CATALOGUE.get(cell.name) is cell:
        found.append(Path("torch", "torch's own kernel (cuDNN on a GPU)"))
    if torch.cuda.is_available() and not gpu.unavailable():
        found.append(Path("triton", "kernels compiled for the GPU"))
    if linear(cell):
        found.append(Path("scan", "linear in its state: all steps at once through torch, on any device"))
    found.append(Path("naive", reason or "the equations as a torch loop, on any device and for any derivative"))
    return found
