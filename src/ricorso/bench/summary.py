"""What the answers come to: geometric means, and a sentence for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ricorso.bench.plan import KINDS, Report
from ricorso.bench.question import Answer
from ricorso.bench.section import SECTIONS
from ricorso.bench.timing import geometric_mean

# Within this of 1 the two are called equally fast: below it, machines are too noisy to tell.
EQUAL = 0.05


@dataclass(frozen=True)
class Mean:
    """How many times as fast as a peer a cell is over `count` sizes: geometric mean, lowest, highest."""

    section: str
    cell: str
    peer: str
    ratio: float
    low: float
    high: float
    count: int


def means(answers: Sequence[Answer]) -> list[Mean]:
    """One mean for each section, cell and peer, in the order in which they were asked."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for answer in answers:
        for peer in answer.peers:
            groups.setdefault((answer.section, answer.cell, peer), []).append(answer.ratio(peer))
    return [Mean(*key, geometric_mean(ratios), min(ratios), max(ratios), len(ratios)) for key, ratios in groups.items()]


def sentences(answers: Sequence[Answer]) -> list[str]:
    """A sentence for each section and cell.

    >>> from ricorso.bench.timing import Timing
    >>> times = {name: Timing(seconds, seconds, seconds, 5) for name, seconds in (("ricorso", 1.0), ("torch", 3.0))}
    >>> sentences([Answer("training", "gru", 128, 8, 100, times=times)])
    ['A training step of the GRU is 3.00 times as fast as torch.nn.']
    """
    groups: dict[tuple[str, str], list[Mean]] = {}
    for mean in means(answers):
        groups.setdefault((mean.section, mean.cell), []).append(mean)
    told = []
    for (section, cell), found in groups.items():
        subject = SECTIONS[section].subject.format(cell=spoken(cell))
        told.append(f"{subject} is {' and '.join(_verdict(mean) for mean in found)}.")
    return told


def spoken(cell: str) -> str:
    """A cell in a sentence.

    >>> spoken("lstm"), spoken("mgu")
    ('the LSTM', "the cell 'mgu'")
    """
    return f"the {cell.upper()}" if cell in KINDS else f"the cell '{cell}'"


def times_as_fast(ratio: float) -> str:
    """A ratio in three digits or so."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def _verdict(mean: Mean) -> str:
    peer = SECTIONS[mean.section].peer(mean.peer, mean.cell)
    spread = f"{times_as_fast(mean.low)} to {times_as_fast(mean.high)} over {mean.count} sizes"
    shown = times_as_fast(mean.ratio)
    if abs(mean.ratio - 1) <= EQUAL:
        return f"about as fast as {peer}" + (f" ({spread})" if mean.count > 1 else "")
    if mean.ratio > 1:
        return f"{shown} times as fast as {peer}" + (f" ({spread})" if mean.count > 1 else "")
    return f"slower than {peer}, {shown} times as fast" + (f" ({spread})" if mean.count > 1 else "")


def as_json(report: Report) -> dict[str, Any]:
    """Everything, as plain data."""
    return {
        **report.about,
        "product_rate_flops": report.rate,
        "answers": [answer.as_json() for answer in report.answers],
        "geometric_means": [
            {"section": m.section, "cell": m.cell, "peer": m.peer, "ratio": m.ratio, "low": m.low, "high": m.high}
            for m in means(report.answers)
        ],
        "sentences": sentences(report.answers),
        "left_out": report.plan.left_out(),
        "refused": len(report.refused),
    }
