"""Bringing windows of series of any size to one scale, and forecasts back."""

from dataclasses import dataclass

import torch
from torch import Tensor

METHODS = ("mean", "standard", "robust", "none")
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Scale:
    """What was taken from each window and what it was divided by, (windows, 1) each; log: of its logarithm."""

    centre: Tensor
    size: Tensor
    log: bool

    def apply(self, values: Tensor) -> Tensor:
        """Values (windows, steps) on the scale; missing ones stay missing."""
        return ((values.log() if self.log else values) - self.centre) / self.size

    def undo(self, values: Tensor) -> Tensor:
        """Values (windows, steps, ...) back in their own units."""
        shape = (len(self.centre), *(1,) * (values.dim() - 1))
        found = values * self.size.view(shape) + self.centre.view(shape)
        return found.exp() if self.log else found


def scale_of(past: Tensor, method: str, difference: bool, log: bool) -> Scale:
    """The scale of windows (windows, steps) with NaN where missing.

    method: divide by the mean size, or after taking the mean away by the standard deviation or the distance of the
    quartiles. difference: take the last value away and not the mean.
    """
    values = past.log() if log else past
    known = ~values.isnan()
    count = known.sum(1, keepdim=True).clamp(min=1)
    filled = values.nan_to_num(0.0)
    mean = filled.sum(1, keepdim=True) / count
    if method == "mean":
        size = (filled.abs().sum(1, keepdim=True) / count) if not log else torch.ones_like(mean)
        centre = torch.zeros_like(mean)
    elif method == "robust":
        quartiles = values.nanquantile(torch.tensor([0.25, 0.5, 0.75], dtype=values.dtype), 1, keepdim=True)
        size, centre = (quartiles[2] - quartiles[0]).nan_to_num(1.0), quartiles[1].nan_to_num(0.0)
    elif method == "standard":
        spread = torch.where(known, (filled - mean).square(), 0.0).sum(1, keepdim=True) / count
        size, centre = spread.sqrt(), mean
    else:
        size, centre = torch.ones_like(mean), torch.zeros_like(mean)
    if difference:
        position = torch.where(known, torch.arange(values.shape[1]), 0).amax(1, keepdim=True)
        centre = filled.gather(1, position)
    # a constant series has no size of its own
    size = torch.where(size > _SMALLEST * mean.abs().clamp(min=1e-12), size, mean.abs().clamp(min=1.0))
    return Scale(centre, size, log)
