"""Features on one scale, with marks where values are missing."""

import numpy as np
import pytest

from ricorso.data.scale import Scale
from ricorso.errors import RunError

SERIES = [np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[5.0, 5.0]])]


def test_known_values_have_mean_0_and_deviation_1_and_missing_ones_a_mark() -> None:
    series = [*SERIES, np.array([[np.nan, 5.0]])]
    scale = Scale.of(series)
    found = scale(np.concatenate(series))
    assert (scale.marks, scale.size, found.dtype) == (True, 4, np.float32)
    known = found[:3, 0]
    assert known.mean() == pytest.approx(0, abs=1e-6)
    assert known.std() == pytest.approx(1)
    assert found[3].tolist() == [0, 0, 1, 0]
    assert not found[:3, 2:].any()
    assert Scale.from_json(scale.to_json()) == scale


def test_nothing_is_marked_where_nothing_was_missing_in_training() -> None:
    scale = Scale.of(SERIES)
    assert scale.size == 2
    assert scale(np.array([[np.nan, 5.0]])).tolist() == [[0, 0]]


def test_a_feature_that_was_always_missing_is_zero_and_what_is_far_out_stays_finite() -> None:
    scale = Scale.of([np.array([[np.nan, 1e-30], [np.nan, 2e-30]])])
    assert scale(np.array([[7.0, 3e38]])).tolist() == [[7, 1e9, 0, 0]]


def test_a_damaged_scale_is_told() -> None:
    good = Scale.of(SERIES).to_json()
    for damage in ({"mean": None}, {"mean": [1.0]}, {"deviation": ["x", 1.0]}, {"marks": 1}):
        with pytest.raises(RunError, match="scale of the features does not hold together"):
            Scale.from_json(good | damage)
