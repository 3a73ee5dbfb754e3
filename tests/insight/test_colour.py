import pytest

from ricorso.insight.colour import coloured, level


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (1.0, 5), (-1.0, -5), (3.0, 5), (-0.31, -2), (0.09, 0)])
def test_levels(value, expected):
    assert level(value) == expected


def test_neighbours_of_one_shade_share_a_span():
    shown = coloured(["to", " ", "be", "!"], [0.0, 0.4, 0.42, -1.0])
    assert shown == 'to<span class="p2"> be</span><span class="n5">!</span>'


def test_text_stays_text():
    assert coloured(["<b>", "&"], [0.0, 1.0]) == '&lt;b&gt;<span class="p5">&amp;</span>'


def test_pieces_and_values_belong_together():
    with pytest.raises(ValueError, match="zip"):
        coloured(["a", "b"], [1.0])
