"""Arrays as one, read by windows."""

import numpy as np
import pytest

from ricorso.data.flat import Flat

WHOLE = np.arange(40.0).reshape(20, 2)


@pytest.mark.parametrize(
    ("parts", "shared"),
    [
        ([WHOLE[:5], WHOLE[5:9], WHOLE[12:]], True),
        ([WHOLE[12:], WHOLE[2:5]], True),
        ([WHOLE], True),
        ([WHOLE[:5, ::-1]], False),
        ([WHOLE[:5, 1:]], False),
        ([WHOLE[::2]], False),
        ([WHOLE[:5], WHOLE[5:9] + 0], False),
        ([WHOLE[:4].T], False),
        ([WHOLE.reshape(-1)[1:9].reshape(-1, 2)], False),
        ([WHOLE.reshape(-1)[:21].reshape(-1, 3)], True),
        ([WHOLE[:5], WHOLE[:0], WHOLE[9:]], True),
        ([WHOLE[:5].astype(np.float32), WHOLE[:5]], False),
    ],
)
def test_windows_are_slices_whatever_the_arrays_are_parts_of(parts, shared):
    flat = Flat(parts)
    assert np.shares_memory(flat._rows, WHOLE) == shared
    for number, part in enumerate(parts):
        for begin in range(-3, len(part) + 3):
            found = flat.gather(np.array([number]), np.array([begin]), 3)[:, 0]
            inside = [
                part[step] if 0 <= step < len(part) else np.full(part.shape[1], np.nan)
                for step in range(begin, begin + 3)
            ]
            np.testing.assert_array_equal(found, np.array(inside, np.float32))


def test_rows_without_any_value_are_found_in_each_array():
    whole = np.array([[1, np.nan], [np.nan, np.nan], [2, 2], [np.nan, np.nan]])
    assert Flat([whole[2:], whole[:2]]).unseen().tolist() == [False, True, False, True]
    assert Flat([]).unseen().tolist() == []
