"""What the machine is, and what it can do at best."""

import platform
from collections.abc import Callable
from functools import partial
from typing import Any

import llvmlite.binding as llvm
import torch
from torch import Tensor

from ricorso.bench.timing import alternate

PRODUCTS = ((1024, 1024, 1024), (4096, 1024, 1024))


def described() -> dict[str, Any]:
    """The machine and the versions, as every result names them."""
    return {
        "machine": {
            "processor": llvm.get_host_cpu_name(),
            "architecture": platform.machine(),
            "system": platform.system(),
            "threads": torch.get_num_threads(),
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def product_rate(seconds: float = 3.0) -> float:
    """Floating-point operations a second of large float32 products: what this machine can do at best."""
    best = 0.0
    for rows, depth, columns in PRODUCTS:
        a, b = torch.randn(rows, depth), torch.randn(columns, depth)
        sides: dict[str, Callable[[], Any]] = {"torch": partial(_product, a, b)}
        if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            sides["onednn"] = partial(_onednn_product, a, b)
        with torch.no_grad():
            times = alternate(sides, seconds / len(PRODUCTS))
        best = max(best, 2 * rows * depth * columns / min(taken.low for taken in times.values()))
    return best


def _product(a: Tensor, b: Tensor) -> Tensor:
    return a @ b.T


def _onednn_product(a: Tensor, b: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return found


def memory_rate(seconds: float = 2.0, size: int = 40_000_000) -> float:
    """Bytes a second of a sum of two float32 vectors of `size` into a third, none of which fits a cache."""
    a, b, c = (torch.ones(size) for _ in range(3))
    taken = alternate({"sum": lambda: torch.add(a, b, out=c)}, seconds)["sum"]
    return 3 * a.nbytes / taken.low
