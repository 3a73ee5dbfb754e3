"""What a model says of a step: a point, quantiles or a distribution; how far off it was, and how to draw from it."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ricorso.errors import UsageError
from ricorso.tasks.forecast.scaling import Scale

_LEAST_SPREAD = 1e-3


class Head(ABC):
    """Turns `size` numbers of a model into a statement about a scaled value.

    raw: (windows, steps, size). scale: of each window, for what has to be said in the units of the series.
    """

    size: int = 1

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor, scale: Scale) -> Tensor:
        """How far off each statement is, (windows, steps); target the same, scaled."""

    def sample(self, raw: Tensor, scale: Scale, random: torch.Generator) -> Tensor:
        """A scaled value for each step, (windows, steps)."""
        raise NotImplementedError


class Point(Head):
    """One value; nothing is said of how sure it is."""

    def __init__(self, squared: bool) -> None:
        self.squared = squared

    def loss(self, raw: Tensor, target: Tensor, scale: Scale) -> Tensor:
        error = target - raw[..., 0]
        return error.square() if self.squared else error.abs()

    def sample(self, raw: Tensor, scale: Scale, random: torch.Generator) -> Tensor:
        return raw[..., 0]


class Quantiles(Head):
    """One value for each level; the loss is twice the mean pinball loss."""

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels, self.size = levels, len(levels)

    def loss(self, raw: Tensor, target: Tensor, scale: Scale) -> Tensor:
        return pinball(raw, target, self.levels)


class Gaussian(Head):
    """A normal distribution."""

    size: int = 2

    def loss(self, raw: Tensor, target: Tensor, scale: Scale) -> Tensor:
        spread = softplus(raw[..., 1]) + _LEAST_SPREAD
        return ((target - raw[..., 0]) / spread).square() / 2 + spread.log() + math.log(2 * math.pi) / 2

    def sample(self, raw: Tensor, scale: Scale, random: torch.Generator) -> Tensor:
        spread = softplus(raw[..., 1]) + _LEAST_SPREAD
        drawn: Tensor = raw[..., 0] + spread * torch.randn(spread.shape, generator=random)
        return drawn


class StudentT(Head):
    """Student's t-distribution with more than two degrees of freedom: normal with heavier tails."""

    size: int = 3

    def loss(self, raw: Tensor, target: Tensor, scale: Scale) -> Tensor:
        spread, freedom = self._shape(raw)
        distance = ((target - raw[..., 0]) / spread).square()
        constant = torch.lgamma(freedom / 2) - torch.lgamma((freedom + 1) / 2) + (freedom * math.pi).log() / 2
        return constant + spread.log() + (freedom + 1) / 2 * torch.log1p(distance / freedom)

    def sample(self, raw: Tensor, scale: Scale, random: torch.Generator) -> Tensor:
        spread, freedom = self._shape(raw)
        # a normal value over the root of a chi-squared one by its degrees of freedom
        share = torch._standard_gamma(freedom / 2, generator=random) / (freedom / 2)
        drawn: Tensor = raw[..., 0] + spread * torch.randn(spread.shape, generator=random) / share.clamp(1e-6).sqrt()
        return drawn

    def _shape(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        return softplus(raw[..., 1]) + _LEAST_SPREAD, 2 + softplus(raw[..., 2])


class NegativeBinomial(Head):
    """Counts, of which the variance is above the mean (DeepAR, arXiv:1704.04110, equation 5)."""

    size: int = 2

    def loss(self, raw: Tensor, target: Tensor, scale: Scale) -> Tensor:
        mean, rounds = self._shape(raw, scale)
        count = (target * scale.size).round()
        together = mean + rounds
        chance = torch.lgamma(count + rounds) - torch.lgamma(rounds) - torch.lgamma(count + 1)
        return -(chance + rounds * (rounds / together).log() + count * (mean / together).log())

    def sample(self, raw: Tensor, scale: Scale, random: torch.Generator) -> Tensor:
        mean, rounds = self._shape(raw, scale)
        rate = torch._standard_gamma(rounds, generator=random) * mean / rounds
        return torch.poisson(rate, generator=random) / scale.size

    def _shape(self, raw: Tensor, scale: Scale) -> tuple[Tensor, Tensor]:
        """The mean of the counts and the shape of the gamma distribution that their rates come from."""
        mean = (softplus(raw[..., 0]) + 1e-4) * scale.size
        overdispersion = (softplus(raw[..., 1]) + 1e-4) / scale.size.sqrt()
        return mean, 1 / overdispersion


DISTRIBUTIONS: dict[str, type[Head]] = {
    "gaussian": Gaussian, "student_t": StudentT, "negative_binomial": NegativeBinomial,
}  # fmt: skip


def head_for(loss: str, levels: tuple[float, ...]) -> Head:
    """The head that a loss belongs to."""
    if loss == "quantile":
        return Quantiles(levels)
    if loss in DISTRIBUTIONS:
        return DISTRIBUTIONS[loss]()
    return Point(squared=loss == "mse")


def pinball(quantiles: Tensor, target: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Twice the mean pinball loss of quantiles (..., levels), target (...); the smallest where each is right."""
    error = target.unsqueeze(-1) - quantiles
    shares = error.new_tensor(levels)
    return 2 * torch.maximum(shares * error, (shares - 1) * error).mean(-1)


def quantiles_of(paths: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Quantiles (windows, steps, levels) of sampled paths (windows, paths, steps), interpolated.

    >>> quantiles_of(torch.tensor([[[4.0], [0.0], [2.0]]]), (0.25, 0.5)).tolist()
    [[[1.0, 2.0]]]
    """
    ranked = paths.sort(1).values
    place = torch.tensor(levels, dtype=torch.float64) * (paths.shape[1] - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=paths.shape[1] - 1)
    share = (place - low).to(paths.dtype)[:, None]
    found: Tensor = torch.lerp(ranked[:, low], ranked[:, high], share)
    return found.transpose(1, 2)


def quantiles_between(values: Tensor, known: tuple[float, ...], levels: tuple[float, ...]) -> Tensor:
    """Quantiles of other levels from rising ones (..., known levels), as if normal between two of them.

    Raises UsageError for a level below the lowest known one or above the highest.

    >>> quantiles_between(torch.tensor([0.0, 1.0, 3.0]), (0.1, 0.5, 0.9), (0.5, 0.9)).tolist()
    [1.0, 3.0]
    """
    if levels == known:
        return values
    for level in levels:
        if not known[0] <= level <= known[-1]:
            raise UsageError(
                f"The quantile {level:g} is outside of what was learnt, {known[0]:g} to {known[-1]:g}. Train with "
                f"quantiles that reach as far, or with model='autoregressive'."
            )
    places, wanted = (torch.special.ndtri(torch.tensor(own, dtype=torch.float64)) for own in (known, levels))
    high = torch.searchsorted(places, wanted).clamp(1, len(known) - 1)
    share = ((wanted - places[high - 1]) / (places[high] - places[high - 1])).to(values.dtype)
    return torch.lerp(values[..., high - 1], values[..., high], share)
