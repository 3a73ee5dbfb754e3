import numpy as np
import pytest

from ricorso.insight.calibration import calibration, judgement

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
NORMAL = np.array([-1.96, -1.2816, -0.6745, 0, 0.6745, 1.2816, 1.96])


@pytest.mark.parametrize(
    ("width", "sentence"),
    [(1.0, "The intervals hold what they promise"), (0.5, "The intervals are too narrow"), (2.0, "are too wide")],
)
def test_intervals_are_judged_by_what_they_hold(width: float, sentence: str) -> None:
    truth = np.random.default_rng(0).normal(size=20_000)
    found = calibration(truth, np.tile(width * NORMAL, (len(truth), 1)), LEVELS)
    assert sentence in found.html
    assert [share for share, _ in found.points] == [0.5, 0.8, 0.95]
    if width == 1:
        assert [held for _, held in found.points] == pytest.approx([0.5, 0.8, 0.95], abs=0.02)
    assert "50% of what came lies above" in found.html


@pytest.mark.parametrize(
    ("held", "count", "sentence"),
    [
        ({0.8: 0.6, 0.5: 0.4}, 1000, "The intervals are too narrow: that of 50% holds 40% of what came, that of 80%"),
        ({0.8: 0.6, 0.5: 0.5}, 1000, "Some intervals are too narrow: that of 80% holds 60% of what came. The others"),
        ({0.95: 0.8, 0.5: 0.7}, 1000, "Some intervals are too narrow: that of 95%"),
        ({0.95: 0.8, 0.5: 0.7}, 1000, "Others are too wide: that of 50%"),
        ({0.8: 0.75}, 12, "12 values are too few to judge"),
        ({0.8: 0.79}, 100_000, "hold what they promise"),
        ({0.8: 0.77}, 100_000, "too narrow"),
    ],
)
def test_chance_is_no_verdict(held: dict[float, float], count: int, sentence: str) -> None:
    assert sentence in judgement(held, count)


def test_missing_values_are_no_outcomes() -> None:
    truth = np.array([0.0, np.nan, 0.1, np.nan])
    found = calibration(truth, np.tile([-1.0, 0.0, 1.0], (4, 1)), (0.1, 0.5, 0.9))
    assert found.points == [(0.8, 1.0)]
    assert "2 values" in found.html
