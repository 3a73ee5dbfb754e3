"""What can be said of each place of a text without any model: in quotes, in brackets, how far into the line."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
OPENING, CLOSING = "([{", ")]}"


def in_quotes(text: str) -> Values:
    """1 from an opening double quote to the character before the closing one; a blank line ends a quotation."""
    inside, found = False, []
    for n, character in enumerate(text):
        if character == "\n" and n and text[n - 1] == "\n":
            inside = False
        elif character in '"“”„«»':
            inside = not inside if character == '"' else character in "“„«"
        found.append(inside)
    return np.array(found, float)


def in_brackets(text: str) -> Values:
    """1 from an opening bracket to the character before the one that closes it; a blank line closes all."""
    depth, found = 0, []
    for n, character in enumerate(text):
        if character == "\n" and n and text[n - 1] == "\n":
            depth = 0
        depth = max(0, depth + (character in OPENING) - (character in CLOSING))
        found.append(depth > 0)
    return np.array(found, float)


def position_in_line(text: str) -> Values:
    """Characters since the line break, which itself has position 0."""
    return np.array(list(accumulate(text, lambda n, c: 0 if c == "\n" else n + 1, initial=0))[1:], float)


def in_indentation(text: str) -> Values:
    """1 for the blanks that a line begins with."""
    leading, found = True, []
    for character in text:
        leading = character == "\n" or (leading and character in " \t")
        found.append(leading and character != "\n")
    return np.array(found, float)


def in_word(text: str) -> Values:
    """1 for letters and digits."""
    return np.array([character.isalnum() for character in text], float)


def upper_case(text: str) -> Values:
    """1 for capital letters."""
    return np.array([character.isupper() for character in text], float)


FEATURES: dict[str, Callable[[str], Values]] = {
    "inside double quotes": in_quotes,
    "inside brackets": in_brackets,
    "position in the line": position_in_line,
    "in the indentation": in_indentation,
    "inside a word": in_word,
    "upper case": upper_case,
}


def features(pieces: Sequence[str]) -> dict[str, Values]:
    """Each feature at the last character of each piece; a piece without text is like the one before it.

    >>> features(["on", "e", " "])["inside a word"].tolist()
    [1.0, 1.0, 0.0]
    """
    text = "".join(pieces)
    ends = np.maximum(np.cumsum([len(piece) for piece in pieces]) - 1, 0)
    return {name: measure(text)[ends] if text else np.zeros(len(pieces)) for name, measure in FEATURES.items()}
