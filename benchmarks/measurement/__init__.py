"""How every benchmark measures: both sides in turn in one process, medians with their spread, a JSON result."""

import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import torch

RESULTS = Path(__file__).parent.parent / "results"


@dataclass(frozen=True)
class Timing:
    """Seconds a run: median and the quartiles around it."""

    median: float
    low: float
    high: float
    runs: int

    def as_json(self) -> dict[str, float]:
        return {"median_s": self.median, "low_quartile_s": self.low, "high_quartile_s": self.high, "runs": self.runs}


def alternate(sides: Mapping[str, Callable[[], Any]], seconds: float = 2.0, least: int = 5) -> dict[str, Timing]:
    """Run all sides in turn for about `seconds`, after warming each up."""
    for run in sides.values():
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in sides}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < least:
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: timing(values) for name, values in times.items()}


def timing(values: list[float]) -> Timing:
    """The median of several runs and the quartiles around it."""
    low, _, high = statistics.quantiles(values, n=4)
    return Timing(statistics.median(values), low, high, len(values))


def product_rate(size: int = 1024) -> float:
    """Floating-point operations a second of a square float32 product: what this machine can do at best."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    sides: dict[str, Callable[[], Any]] = {"torch": lambda: a @ b}
    if torch.backends.mkldnn.is_available():
        sides["onednn"] = lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return 2 * size**3 / min(taken.low for taken in alternate(sides, seconds=3.0).values())


def geometric_mean(values: list[float]) -> float:
    return statistics.geometric_mean(values)


def largest_difference(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    """Relative to the largest element of each tensor."""
    pairs = zip(found, wanted, strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs)


def save(name: str, result: Mapping[str, Any]) -> None:
    """Write results/NAME.json with the machine, the versions and the commit."""
    RESULTS.mkdir(exist_ok=True)
    described = {
        "benchmark": name,
        "machine": {
            "processor": llvm.get_host_cpu_name(),
            "architecture": platform.machine(),
            "system": platform.system(),
            "threads": torch.get_num_threads(),
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        **result,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path.relative_to(RESULTS.parent.parent)}")


def _commit() -> str:
    try:
        command = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=RESULTS).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
