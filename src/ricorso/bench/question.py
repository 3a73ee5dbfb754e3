"""One comparison: the sides, whether they compute the same, and how long each takes."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ricorso.bench.timing import Timing, alternate

Side = Callable[[], Sequence[Tensor]]
OURS = "ricorso"
# Largest difference relative to the largest value; float32 over a hundred steps stays an order of magnitude below.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Question:
    """Sides that compute the same, each a function that runs once and returns its results.

    sides: OURS and its peers. section, cell, hidden, batch, steps: what is asked. operations: floating-point
    operations of the matrix products of a run. parts: what a time is told of, such as the steps of a stream, a run
    having so many. tolerance: how large a relative difference of results may be. way: which path our side took.
    comparable: what of the results is compared. between: called when a side's turn ends.
    """

    section: str
    cell: str
    hidden: int
    batch: int
    steps: int
    sides: Mapping[str, Side]
    operations: float = 0.0
    parts: int = 1
    tolerance: float = TOLERANCE
    way: Callable[[], str] = lambda: ""
    comparable: Callable[[Sequence[Tensor]], Sequence[Tensor]] = lambda results: results
    between: Callable[[], None] | None = None


@dataclass(frozen=True)
class Answer:
    """How long each side took; `times` is empty, and `refusal` says why, where the results differ."""

    section: str
    cell: str
    hidden: int
    batch: int
    steps: int
    path: str = ""
    share: float | None = None
    differences: Mapping[str, float] = field(default_factory=dict)
    times: Mapping[str, Timing] = field(default_factory=dict)
    refusal: str = ""

    @property
    def peers(self) -> list[str]:
        return [name for name in self.times if name != OURS]

    def ratio(self, peer: str) -> float:
        """How many times as fast as a peer we are, by the medians."""
        return self.times[peer].median / self.times[OURS].median

    def spread(self, peer: str) -> tuple[float, float]:
        """The ratio at the unfavourable and at the favourable quartiles."""
        ours, theirs = self.times[OURS], self.times[peer]
        return theirs.low / ours.high, theirs.high / ours.low

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("section", "cell", "hidden", "batch", "steps")}
        told["largest_relative_difference"] = {
            peer: value if math.isfinite(value) else None for peer, value in self.differences.items()
        }
        if self.refusal:
            return told | {"refusal": self.refusal}
        told |= {"ratio": {peer: self.ratio(peer) for peer in self.peers}, "path": self.path}
        if self.share is not None:
            told["share_of_product_rate"] = self.share
        return told | {name: taken.as_json() for name, taken in self.times.items()}


def largest_difference(found: Iterable[Tensor], wanted: Iterable[Tensor]) -> float:
    """The largest difference, relative to the largest value of each tensor; infinite where shapes differ or where
    something is not a number.

    >>> import torch
    >>> largest_difference([torch.tensor([1.0, 4.0])], [torch.tensor([1.0, 5.0])])
    0.20000000298023224
    """
    worst = 0.0
    for a, b in zip(found, wanted, strict=True):
        if a.shape != b.shape:
            return math.inf
        if b.numel():
            relative = float((a - b).abs().max() / b.abs().max().clamp(min=1e-12))
            worst = max(worst, math.inf if math.isnan(relative) else relative)
    return worst


def ask(question: Question, seconds: float, rate: float | None = None) -> Answer:
    """Compare the results of all sides and, if they are equal, take the times for about `seconds`.

    rate: the product rate of the machine, if the share of it is wanted.
    """
    results = {name: question.comparable(side()) for name, side in question.sides.items()}
    differences = {name: largest_difference(results[OURS], theirs) for name, theirs in results.items() if name != OURS}
    del results
    known: dict[str, Any] = {
        "section": question.section,
        "cell": question.cell,
        "hidden": question.hidden,
        "batch": question.batch,
        "steps": question.steps,
        "path": question.way(),
        "differences": differences,
    }
    wrong = {name: value for name, value in differences.items() if not value <= question.tolerance}
    if wrong:
        told = " and ".join(f"{value:.1e} from {name}" for name, value in wrong.items())
        return Answer(**known, refusal=f"results differ by {told} (at most {question.tolerance:.0e} is rounding)")
    taken = alternate(question.sides, seconds, between=question.between)
    share = question.operations / taken[OURS].median / rate if rate and question.operations else None
    return Answer(**known, share=share, times={name: t.shared(question.parts) for name, t in taken.items()})
