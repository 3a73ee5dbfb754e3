"""Random orders that are not written down."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricorso.data.shuffle import shuffled


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 100))
def test_every_number_comes_once(count, seed, epoch):
    found = shuffled(np.arange(count), count, seed, epoch)
    assert sorted(found.tolist()) == list(range(count))


def test_the_order_depends_on_every_part_of_the_key_and_on_nothing_else():
    whole = shuffled(np.arange(1000), 1000, 7, 3)
    np.testing.assert_array_equal(shuffled([[5, 999], [0, 5]], 1000, 7, 3), whole[[[5, 999], [0, 5]]])
    for key in ((7, 4), (8, 3)):
        other = shuffled(np.arange(1000), 1000, *key)
        assert (other == whole).sum() < 10


def test_an_order_looks_drawn():
    count = 50_000
    places = np.arange(count)
    for key in range(5):
        found = shuffled(places, count, key) / count
        # five standard deviations of what a drawn order has
        assert abs(np.corrcoef(places, found)[0, 1]) < 5 / np.sqrt(count)
        assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 5 / np.sqrt(count)
        cells = np.histogram2d(places / count, found, bins=16, range=[[0, 1], [0, 1]])[0]
        expected = count / 256
        assert ((cells - expected) ** 2 / expected).sum() == pytest.approx(225, abs=5 * np.sqrt(2 * 225))


def test_the_first_place_is_anywhere():
    first = np.array([shuffled(0, 10, key) for key in range(2000)])
    assert np.bincount(first, minlength=10) == pytest.approx(200, abs=5 * np.sqrt(200))


def test_numbers_beyond_32_bits():
    count = 3 << 40
    found = shuffled(np.arange(1000), count, 1)
    assert len(set(found.tolist())) == 1000
    assert found.min() < count // 50
    assert count - count // 50 < found.max() < count
