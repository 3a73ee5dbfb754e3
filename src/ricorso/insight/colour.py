"""Text coloured by a number for each of its pieces, as HTML."""

from collections.abc import Sequence
from html import escape
from itertools import groupby

LEVELS = 5


def level(value: float) -> int:
    """A value of -1 to 1 as a whole number of -5 to 5."""
    return round(max(-1.0, min(1.0, value)) * LEVELS)


def coloured(pieces: Sequence[str], values: Sequence[float]) -> str:
    """Pieces of text, each on a ground that says its value of -1 to 1: classes n5 to n1, none, p1 to p5.

    >>> coloured(["a", "b", "<"], [1.0, 1.0, -0.2])
    '<span class="p5">ab</span><span class="n1">&lt;</span>'
    """
    parts = []
    for shade, run in groupby(zip(pieces, map(level, values), strict=True), key=lambda pair: pair[1]):
        text = escape("".join(piece for piece, _ in run))
        parts.append(f'<span class="{"p" if shade > 0 else "n"}{abs(shade)}">{text}</span>' if shade and text else text)
    return "".join(parts)
