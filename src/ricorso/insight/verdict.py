"""What the reach of the gradient says about a model, and which settings would change it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ricorso.insight.gates import Gates
from ricorso.insight.reach import Reach

GROWS = 10.0
# training looks back sequence_length steps; a gradient that comes from less than this share of them is called vanishing
LEAST_SHARE = 0.25
SATURATED = 0.6


@dataclass(frozen=True)
class Verdict:
    """name: "vanishing", "healthy" or "exploding"; why: the figures behind it; advice: what to change, if anything."""

    name: str
    why: str
    advice: list[str]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Setting:
    """How the model was trained, as far as the advice depends on it. keeps: whether units keep a state on their own.

    whole: what is read whole, as "half of the texts have 23 words or more", sequence_length being these; empty where
    a text is read in pieces of sequence_length. beyond: what it means there that the gradient does not reach far.
    """

    cell: str
    keeps: bool
    sequence_length: int
    clip: float
    learning_rate: float
    whole: str = ""
    beyond: str = ""


def judge(reach: Reach, setting: Setting, gates: Gates | None = None) -> Verdict:
    """Name what the gradient of one layer does on its way back. gates: what its gates do, for the advice."""
    shares = reach.shares
    looked = min(setting.sequence_length, len(shares) - 1)
    largest = max(shares) if all(math.isfinite(share) for share in shares) else math.inf
    half = reach.half_life
    halves = "does not shrink" if half is None else f"halves every {half:.1f} steps"
    as_far = ", as far as it was followed" if setting.whole and reach.arrives == len(shares) - 1 else ""
    came = f"a hundredth of it still arrives from {_steps(reach.arrives)} back{as_far}"
    if largest > GROWS:
        times = "without bounds" if math.isinf(largest) else f"to {largest:,.0f} times its size"
        return Verdict("exploding", f"The gradient grows {times} on its way back.", _against_growth(setting))
    if reach.arrives < LEAST_SHARE * looked:
        where = setting.whole or f"training looks back {setting.sequence_length}"
        why = f"The gradient {halves}; {came}, where {where}."
        return Verdict("vanishing", why, _against_vanishing(reach, setting, gates))
    advice = []
    if not setting.whole and reach.arrives >= min(setting.sequence_length, len(shares) - 1):
        advice.append(
            f"It arrives from as far as training looks: a sequence_length above {setting.sequence_length} may teach "
            f"longer dependencies."
        )
    return Verdict("healthy", f"The gradient {halves}; {came}.", advice)


def worst(verdicts: Sequence[Verdict]) -> str:
    """One name for all layers. What the top layer carries is enough, so that only one healthy layer is needed."""
    names = [verdict.name for verdict in verdicts]
    if "exploding" in names:
        return "exploding"
    return "healthy" if "healthy" in names else "vanishing"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _against_growth(setting: Setting) -> list[str]:
    advice = [
        f"clip: lower it (it is {setting.clip:g})." if setting.clip else "clip: set it, 1 is usual (it is off).",
        f"learning_rate: try a third of {setting.learning_rate:g}; weight_decay: raise it, it shrinks the matrices.",
    ]
    if not setting.keeps:
        advice.append(
            "cell: one with gates, lstm or gru, holds its state without a matrix that multiplies it each step."
        )
    if not setting.whole:
        advice.append(f"sequence_length: a shorter one than {setting.sequence_length} cuts the growth off.")
    return advice


def _against_vanishing(reach: Reach, setting: Setting, gates: Gates | None) -> list[str]:
    if not setting.keeps:
        first = f"cell: lstm, gru or lem; the state of {setting.cell} passes a matrix and an activation at every step."
    else:
        first = f"horizon: a layer made with horizon={setting.sequence_length} starts with gates that keep so long."
    advice = [first]
    if gates is not None:
        for activation in gates.activations:
            if activation.function != "relu" and activation.low + activation.high > SATURATED:
                share = activation.low + activation.high
                advice.append(
                    f"{activation.name} is saturated at {share:.0%} of the steps and lets little gradient through: a "
                    f"lower learning_rate (it is {setting.learning_rate:g}) or more weight_decay."
                )
    if setting.whole:
        return [*advice, setting.beyond]
    advice.append(
        f"sequence_length: of its {setting.sequence_length} steps those beyond {max(reach.arrives, 1)} teach next to "
        f"nothing as the model is now; while that is so, a shorter one is faster and loses nothing."
    )
    return advice
