import pytest

from ricorso.insight.feature import FEATURES, features


def marked(name, text):
    """The characters at which a feature holds."""
    return "".join(c if value else "." for c, value in zip(text, FEATURES[name](text), strict=True))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("inside double quotes", 'a "bc" d', '.."bc...'),
        ("inside double quotes", "a “bc” d", "..“bc..."),
        ("inside double quotes", 'a "b\n\nc "d"', '.."b\n..."d.'),
        ("inside brackets", "a (b [c] d) e", "..(b [c] d..."),
        ("inside brackets", "a) (b\n\nc", "...(b\n.."),
        ("in the indentation", "a b\n  c d\n\te", "....  ....\t."),
        ("inside a word", "it's 4!", "it.s.4."),
        ("upper case", "Ab CÉ", "A..CÉ"),
    ],
)
def test_where_they_hold(name, text, expected):
    assert marked(name, text) == expected


def test_position_starts_again_with_each_line():
    assert FEATURES["position in the line"]("ab\nc\n\nd").tolist() == [1, 2, 0, 1, 0, 0, 1]


def test_pieces_of_several_characters_take_their_last():
    found = features(["Ab", "", "C", "\n"])
    assert found["upper case"].tolist() == [0, 0, 1, 0]
    assert found["position in the line"].tolist() == [2, 2, 3, 0]


def test_no_text_has_no_features():
    assert features(["", ""])["upper case"].tolist() == [0, 0]
