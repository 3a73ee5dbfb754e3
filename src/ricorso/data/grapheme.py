"""Cutting text into what a reader sees as one character.

A letter with its combining marks, a flag, a Hangul syllable in pieces and an emoji joined from several are one
grapheme cluster each (Unicode Standard Annex 29, extended grapheme clusters; without rule 9c on Indic conjuncts,
which Python's own Unicode tables do not cover). Classes are worked out for the characters of the text at hand only.
"""

import re
import unicodedata
from collections.abc import Iterable

_ZERO_WIDTH_JOINER = "\u200d"
_EXTENDING_FORMATS = frozenset("\u200c\u200d\uff9e\uff9f\u0e33\u0eb3")
_PREPENDED = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_LONE_PICTOGRAPHS = frozenset("\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299")


def graphemes(text: str) -> list[str]:
    """The grapheme clusters of a text, in order; joined they give the text back.

    >>> [len(cluster) for cluster in graphemes("e\\u0301a")]
    [2, 1]
    """
    characters = set(text)
    if not has_clusters(characters):
        return list(text)
    return _pattern(characters).findall(text)


def has_clusters(characters: Iterable[str]) -> bool:
    """Whether a text of these characters may hold a cluster of more than one character."""
    characters = set(characters)
    return {"\r", "\n"} <= characters or any(
        _extends(c) or _is_flag_letter(c) or _is_jamo(c) or c in _PREPENDED for c in characters if c >= "\u0300"
    )


def _extends(c: str) -> bool:
    return (
        unicodedata.category(c) in ("Mn", "Me", "Mc")
        or c in _EXTENDING_FORMATS
        or "\U0001f3fb" <= c <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= c <= "\U000e007f"  # tags, in the flags of regions
    )


def _is_flag_letter(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def _is_jamo(c: str) -> bool:
    return "\u1100" <= c <= "\u11ff" or "\ua960" <= c <= "\ua97c" or "\ud7b0" <= c <= "\ud7fb"


def _is_pictograph(c: str) -> bool:
    # wider than Unicode's list, which matters only next to a joiner
    if _is_flag_letter(c) or _extends(c):
        return False
    return "\u2190" <= c <= "\u2bff" or "\U0001f000" <= c <= "\U0001faff" or c in _LONE_PICTOGRAPHS


def _is_control(c: str) -> bool:
    return c not in _EXTENDING_FORMATS and unicodedata.category(c) in ("Cc", "Zl", "Zp")


def _hangul_kind(c: str) -> str:
    if "\uac00" <= c <= "\ud7a3":
        return "LV" if (ord(c) - 0xAC00) % 28 == 0 else "LVT"
    if not _is_jamo(c):
        return ""
    if c <= "\u115f" or "\ua960" <= c <= "\ua97c":
        return "L"
    return "V" if c <= "\u11a7" or "\ud7b0" <= c <= "\ud7c6" else "T"


def _pattern(characters: set[str]) -> re.Pattern[str]:
    def one_of(chosen: Iterable[str]) -> str:
        # an empty class cannot be written; the lookahead matches nothing
        inside = "".join(re.escape(c) for c in sorted(chosen))
        return f"[{inside}]" if inside else "(?!)"

    def hangul(kind: str) -> str:
        return one_of(c for c in characters if _hangul_kind(c) == kind)

    extend = one_of(c for c in characters if _extends(c))
    flag = one_of(c for c in characters if _is_flag_letter(c))
    pictograph = one_of(c for c in characters if _is_pictograph(c))
    control = one_of(c for c in characters if _is_control(c))
    prepend = one_of(c for c in characters if c in _PREPENDED)
    lead, vowel, tail, lv, lvt = (hangul(kind) for kind in ("L", "V", "T", "LV", "LVT"))
    syllable = f"{lead}*(?:{vowel}+|{lv}{vowel}*|{lvt}){tail}*|{lead}+|{tail}+"
    core = f"{flag}{flag}|{syllable}|{pictograph}(?:{extend}*{_ZERO_WIDTH_JOINER}{pictograph})*|(?!{control})."
    return re.compile(f"\r\n|{control}|{prepend}*(?:{core}){extend}*|{prepend}+|.", re.DOTALL)
