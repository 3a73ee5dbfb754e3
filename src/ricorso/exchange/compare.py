"""How far apart two runs are."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ricorso.exchange.run import Results

# Relative to the largest value of a tensor. Two orders of summation differ by some units in the last place, and a long
# sequence carries that on.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
# A gradient that is zero but for rounding is measured against the largest of all.
SMALL_GRADIENT = 1e-2


@dataclass(frozen=True)
class Difference:
    """How much one thing differs, relative to its largest value; `why` where that cannot be said in numbers."""

    name: str
    value: float
    tolerance: float
    why: str = ""
    is_gradient: bool = False

    @property
    def ok(self) -> bool:
        return self.value <= self.tolerance

    def __str__(self) -> str:
        if self.why:
            return f"{self.name} {self.why}"
        return f"{self.name} differs by {self.value:.1e} of its largest value (allowed: {self.tolerance:.0e})"


def differences(found: Results, wanted: Results, tolerance: float | None = None) -> list[Difference]:
    """Of every output and gradient. tolerance: instead of those of the element types."""
    made = list(_of_outputs(found.outputs, wanted.outputs, tolerance))
    largest = max((_largest(gradient) for gradient in wanted.gradients.values() if gradient is not None), default=0.0)
    for name, theirs in wanted.gradients.items():
        ours = found.gradients.get(name)
        title = f"the gradient of {name}"
        if ours is None and theirs is None:
            continue
        if ours is None or theirs is None:
            there = torch.zeros_like(ours if ours is not None else theirs)  # type: ignore[arg-type]
            ours, theirs = (there if g is None else g for g in (ours, theirs))
        made.append(replace(_apart(title, ours, theirs, tolerance, SMALL_GRADIENT * largest), is_gradient=True))
    return made


def worst(made: list[Difference]) -> Difference | None:
    """The one that is furthest beyond what is allowed."""
    return max(made, key=lambda d: d.value / d.tolerance if d.tolerance else d.value, default=None)


def _of_outputs(
    found: Mapping[str, object], wanted: Mapping[str, object], tolerance: float | None
) -> Iterator[Difference]:
    for name in wanted.keys() ^ found.keys():
        yield Difference(name, math.inf, 0.0, "is there in one of the two only")
    for name, theirs in wanted.items():
        ours = found.get(name)
        if isinstance(theirs, Tensor) and isinstance(ours, Tensor):
            yield _apart(name, ours, theirs, tolerance, 0.0)
        elif isinstance(theirs, float) and isinstance(ours, float):
            yield _apart(name, torch.tensor(ours), torch.tensor(theirs), tolerance, 0.0)
        elif isinstance(theirs, int | str | bool) and name in found and ours != theirs:
            yield Difference(name, math.inf, 0.0, f"is {ours!r} and was {theirs!r}")


def _apart(name: str, ours: Tensor, theirs: Tensor, tolerance: float | None, least: float) -> Difference:
    if ours.shape != theirs.shape:
        return Difference(name, math.inf, 0.0, f"has shape {tuple(ours.shape)} and had {tuple(theirs.shape)}")
    if ours.dtype != theirs.dtype:
        return Difference(name, math.inf, 0.0, f"is {ours.dtype} and was {theirs.dtype}")
    if not theirs.dtype.is_floating_point:
        changed = int((ours != theirs).sum())
        return Difference(name, math.inf if changed else 0.0, 0.0, f"has {changed} other elements" if changed else "")
    allowed = TOLERANCES.get(theirs.dtype, 1e-4) if tolerance is None else tolerance
    a, b = ours.double(), theirs.double()
    gap = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs())
    scale = max(_largest(theirs), least, 1e-30)
    value = float(gap.max()) / scale if gap.numel() else 0.0
    return Difference(name, math.inf if math.isnan(value) else value, allowed)


def _largest(tensor: Tensor) -> float:
    """The largest finite absolute value."""
    finite = tensor.detach().double().abs()
    finite = finite[finite.isfinite()]
    return float(finite.max()) if finite.numel() else 0.0
