"""Spans of words and the tags that mark them: IOB1, IOB2 and BIOES."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import DataError, UsageError

Scheme = Literal["IOB1", "IOB2", "BIOES"]
SCHEMES: tuple[Scheme, ...] = ("IOB1", "IOB2", "BIOES")
OUTSIDE = "O"

_TAG = re.compile(r"([BIES])-(.+)")
_NOTHING = ("O", "")


class Span(NamedTuple):
    """The words from `start` up to, not including, `end`, and what they are."""

    start: int
    end: int
    kind: str


def scheme_of(sentences: Sequence[Sequence[str]]) -> Scheme | None:
    """The scheme that tags are in, or None where they mark no spans.

    Where spans begin with `I-` more often than with a `B-` that nothing asks for, it is IOB1; `E-` and `S-` make BIOES.

    >>> scheme_of([["I-PER", "I-PER", "O"]]), scheme_of([["B-PER", "I-PER", "O"]]), scheme_of([["NOUN", "VERB"]])
    ('IOB1', 'IOB2', None)
    """
    inside_first = begin_first = 0
    found = False
    for tags in sentences:
        before = _NOTHING
        for tag in tags:
            parts = _parts(tag)
            if parts is None:
                return None
            if parts[0] in ("E", "S"):
                return "BIOES" if _all_marks(sentences) else None
            if parts[0] != "O" and parts[1] != before[1]:
                inside_first += parts[0] == "I"
                begin_first += parts[0] == "B"
            found |= parts[0] != "O"
            before = parts
    if not found:
        return None
    return "IOB1" if inside_first > begin_first else "IOB2"


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans that tags of any of the schemes mark, found as the script conlleval of CoNLL-2000 finds them.

    Sequences that no scheme allows are read too: a span begins where its kind changes, and ends with the last step that
    can belong to it. A tag that marks nothing stands outside.

    >>> spans_of(["B-PER", "I-PER", "O", "I-LOC"])
    [Span(start=0, end=2, kind='PER'), Span(start=3, end=4, kind='LOC')]
    """
    found: list[Span] = []
    before, start = _NOTHING, 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        now = _parts(tag) or _NOTHING
        if before[0] != "O" and _ends(before, now):
            found.append(Span(start, place, before[1]))
        if now[0] != "O" and _begins(before, now):
            start = place
        before = now
    return found


def tags_of(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of so many words that mark spans. Raises UsageError for spans that overlap or lie outside.

    >>> tags_of([Span(0, 2, "PER"), Span(2, 3, "PER")], 4, "IOB1")
    ['I-PER', 'I-PER', 'B-PER', 'O']
    """
    tags = [OUTSIDE] * length
    last = Span(-1, -1, "")
    for span in sorted(spans):
        start, end, kind = span
        if not 0 <= start < end <= length:
            raise UsageError(f"{span} does not fit {length} words.")
        if start < last.end:
            raise UsageError(f"{span} overlaps {last}; a word can be in one span only.")
        tags[start:end] = [f"I-{kind}"] * (end - start)
        if scheme != "IOB1" or last[1:] == (start, kind):
            tags[start] = f"B-{kind}"
        if scheme == "BIOES":
            tags[end - 1] = f"E-{kind}" if end - start > 1 else f"S-{kind}"
        last = span
    return tags


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same spans in another scheme.

    >>> convert(["I-PER", "I-PER", "O"], "BIOES")
    ['B-PER', 'E-PER', 'O']
    """
    return tags_of(spans_of(tags), len(tags), scheme)


def first_wrong(tags: Sequence[str], scheme: Scheme) -> int | None:
    """The first step whose tag the scheme does not allow where it stands, or None; the end counts as a step.

    >>> first_wrong(["O", "I-PER"], "IOB2"), first_wrong(["O", "I-PER"], "IOB1"), first_wrong(["B-PER"], "BIOES")
    (1, None, 1)
    """
    before = _NOTHING
    for place, tag in enumerate([*tags, OUTSIDE]):
        now = _parts(tag)
        if now is None or not _may_follow(before, now, scheme):
            return place
        before = now
    return None


def check(tags: Sequence[str], scheme: Scheme, where: str) -> None:
    """Raise DataError for tags that the scheme does not allow. where: what they are of."""
    place = first_wrong(tags, scheme)
    if place is None:
        return
    before = f"after '{tags[place - 1]}'" if place else "at the start"
    now = f"'{tags[place]}'" if place < len(tags) else "the end"
    raise DataError(
        f"{where}, word {min(place, len(tags) - 1) + 1}: {now} cannot stand {before} in {scheme}. Correct it, or have "
        f"such tags repaired (--invalid repair)."
    )


def allowed(tags: Sequence[str], scheme: Scheme) -> NDArray[np.bool_]:
    """Which tag may follow which, (tags + 1, tags + 1): the last row is the start, the last column the end.

    >>> allowed(["O", "B-X", "I-X"], "IOB2")[0].tolist()
    [True, True, False, True]
    """
    parts = [_parts(tag) or _NOTHING for tag in (*tags, OUTSIDE)]
    return np.array([[_may_follow(before, now, scheme) for now in parts] for before in parts])


def kinds_in(sentences: Iterable[Sequence[str]]) -> list[str]:
    """The kinds of spans that tags mark, in alphabetic order."""
    return sorted({parts[1] for tags in sentences for tag in tags if (parts := _parts(tag)) and parts[1]})


def not_marks(sentences: Iterable[Sequence[str]]) -> list[str]:
    """The tags of another form than those that mark spans, in alphabetic order.

    >>> not_marks([["O", "B-PER", "PER"]])
    ['PER']
    """
    return sorted(tag for tag in {tag for tags in sentences for tag in tags} if _parts(tag) is None)


def marks(kinds: Iterable[str], scheme: Scheme) -> list[str]:
    """Every tag of a scheme for kinds of spans, `O` first.

    >>> marks(["PER"], "BIOES")
    ['O', 'B-PER', 'I-PER', 'E-PER', 'S-PER']
    """
    letters = "BIES" if scheme == "BIOES" else "BI"
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in kinds for letter in letters)]


def _parts(tag: str) -> tuple[str, str] | None:
    """Letter and kind; None for a tag of another form."""
    if tag == OUTSIDE:
        return _NOTHING
    found = _TAG.fullmatch(tag)
    return (found[1], found[2]) if found else None


def _all_marks(sentences: Iterable[Sequence[str]]) -> bool:
    return all(_parts(tag) is not None for tags in sentences for tag in tags)


def _ends(before: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether a span that `before` belongs to ends there."""
    return before[0] in "ES" or now[0] in "BSO" or before[1] != now[1]


def _begins(before: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether a span begins with `now`."""
    return now[0] in "BS" or before[0] in "ESO" or before[1] != now[1]


def _may_follow(before: tuple[str, str], now: tuple[str, str], scheme: Scheme) -> bool:
    same = before[1] == now[1]
    if scheme == "BIOES":
        return same if before[0] in "BI" and now[0] in "IE" else before[0] in "OES" and now[0] in "OBS"
    if "E" in (before[0], now[0]) or "S" in (before[0], now[0]):
        return False
    if scheme == "IOB1":
        return now[0] != "B" or same
    return now[0] != "I" or same
