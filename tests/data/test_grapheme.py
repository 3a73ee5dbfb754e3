import random
import unicodedata

import pytest

from ricorso.data.grapheme import graphemes, has_clusters

CLUSTERS = {
    "combining acute": "e\u0301",
    "several marks": "a\u0323\u0302\u0301",
    "Devanagari vowel sign": "कि",
    "Tamil": "நி",
    "Thai sara am": "ก\u0e33",
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "skin tone": "👍🏽",
    "heart with selector": "❤\ufe0f",
    "woman health worker": "👩🏾\u200d⚕\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "flag": "🇩🇪",
    "flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "Hangul jamo": "\u1112\u1161\u11ab",
    "Hangul LV and T": "\ud558\u11ab",
    "line end": "\r\n",
    "Arabic number sign": "\u06001",
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_cluster_stays_whole_between_letters(name: str) -> None:
    cluster = CLUSTERS[name]
    assert graphemes(f"x{cluster}y{cluster}{cluster}") == ["x", cluster, "y", cluster, cluster]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("🇩🇪🇫🇷🇮", ["🇩🇪", "🇫🇷", "🇮"]),
        ("각하", ["각", "하"]),
        ("\n\u0301a", ["\n", "\u0301", "a"]),
        ("\u0301\u0302a", ["\u0301\u0302", "a"]),
        ("a\u200d👧", ["a\u200d", "👧"]),
        ("\n\r\r\n", ["\n", "\r", "\r\n"]),
        ("", []),
    ],
)
def test_boundaries(text: str, pieces: list[str]) -> None:
    assert graphemes(text) == pieces


def test_pieces_give_any_text_back() -> None:
    draw = random.Random(0)
    ranges = [(0, 0x300), (0x300, 0x3000), (0x1100, 0x1200), (0xAC00, 0xD7FC), (0x1F1E6, 0x1F200), (0x1F300, 0x1FA00)]
    for _ in range(200):
        text = "".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(30)) + "\u200d\ufe0f"
        pieces = graphemes(text)
        assert "".join(pieces) == text
        after_control = [a for a, b in zip(pieces[1:], pieces, strict=False) if unicodedata.category(b[-1]) == "Cc"]
        alone = [piece for piece in pieces[1:] if unicodedata.category(piece[0]) == "Mn"]
        assert set(alone) <= set(after_control), "a mark was cut off from its letter"


def test_plain_text_is_recognised_as_such() -> None:
    assert not has_clusters("plain ASCII, grün, 床前明月光, ひらがな\n")
    assert has_clusters("e\u0301")
    assert has_clusters("\r\n")
