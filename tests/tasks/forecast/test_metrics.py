from dataclasses import dataclass

import numpy as np
import pytest

from ricorso.tasks.forecast.metrics import (
    Values,
    coverage,
    figures,
    intervals,
    measures,
    middle,
    scaled_errors,
    seasonal_naive,
    step_error,
)

HISTORY = np.array([1.0, 2.0, 3.0, 5.0, 2.0, 4.0])


def test_the_last_season_comes_again() -> None:
    assert seasonal_naive(HISTORY, 3, 5).tolist() == [5, 2, 4, 5, 2]
    assert seasonal_naive(HISTORY, 1, 2).tolist() == [4, 4]
    gap = np.array([1.0, 2.0, 3.0, np.nan, 2.0, 4.0])
    assert seasonal_naive(gap, 3, 3).tolist() == [1, 2, 4]
    assert seasonal_naive(np.array([7.0]), 3, 2).tolist() == [7, 7]


def test_errors_are_measured_in_changes_over_a_season() -> None:
    assert step_error(HISTORY, 3) == pytest.approx((4 + 0 + 1) / 3)
    assert step_error(np.array([1.0, 3.0]), 5) == 2


def test_figures_by_hand() -> None:
    truth = [np.array([2.0, 4.0])]
    quantiles = [np.array([[1.0, 3.0, 5.0], [1.0, 2.0, 3.0]])]
    found = figures(truth, quantiles, [0.1, 0.5, 0.9], [HISTORY], 3)
    assert found["mae"] == 1.5
    assert found["rmse"] == pytest.approx(2.5**0.5)
    assert found["smape"] == pytest.approx(100 * (2 * 1 / 5 + 2 * 2 / 6) / 2)
    assert found["mase"] == pytest.approx(1.5 / (5 / 3))
    low = 2 * 0.1 * (1 + 3)
    middle = 2 * 0.5 * (1 + 2)
    high = 2 * (0.1 * 3 + 0.9 * 1)
    assert found["wql"] == pytest.approx((low + middle + high) / 3 / 6)
    assert found["coverage_80"] == 0.5
    assert "coverage_95" not in found


def test_what_is_missing_is_left_out() -> None:
    truth = [np.array([2.0, np.nan]), np.array([np.nan, np.nan])]
    point = [np.array([[3.0], [9.0]]), np.array([[1.0], [1.0]])]
    found = figures(truth, point, [0.5], [HISTORY, HISTORY], 1)
    assert found["mae"] == 1
    assert found["smape"] == pytest.approx(40)
    assert found["mase"] == pytest.approx(1 / step_error(HISTORY, 1))


@dataclass(frozen=True)
class Past:
    history: Values
    truth: Values
    quantiles: Values


def test_measures_beside_the_naive_methods() -> None:
    quantiles = np.array([[1.0, 3.0, 5.0], [1.0, 2.0, 3.0]])
    seen = [Past(HISTORY, np.array([2.0, 4.0]), quantiles)]
    found = measures(seen, [0.1, 0.5, 0.9], 3, 2)
    assert (found["series"], found["season"], found["horizon"]) == (1, 3, 2)
    assert found["mae"] == 1.5
    assert found["coverage_80"] == 0.5
    # the last season is 5, 2, 4; the last value 4
    assert found["seasonal_naive"]["mae"] == (3 + 2) / 2
    assert found["naive"]["mae"] == (2 + 0) / 2
    assert found["naive"]["mase"] == pytest.approx(1 / (5 / 3))


def test_intervals_are_pairs_of_levels_around_a_half() -> None:
    levels = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
    assert intervals(levels) == [(0.95, 0, 6), (0.8, 1, 5), (0.5, 2, 4)]
    assert intervals([0.5]) == []
    assert intervals([0.1, 0.2, 0.7]) == []
    assert middle(levels) == 3
    assert middle([0.1, 0.4, 0.9]) == 1


def test_coverage_leaves_out_what_is_missing() -> None:
    truth = np.array([1.0, 5.0, np.nan, 3.0])
    quantiles = np.tile([0.0, 1.0, 3.0, 4.0], (4, 1))
    assert coverage(truth, quantiles, [0.1, 0.25, 0.75, 0.9]) == {0.8: pytest.approx(2 / 3), 0.5: pytest.approx(2 / 3)}


def test_errors_of_each_series_are_in_its_own_unit() -> None:
    nothing = np.zeros((2, 1))
    seen = [Past(HISTORY, np.array([2.0, np.nan]), nothing), Past(np.ones(6), np.array([2.0, 3.0]), nothing)]
    found = scaled_errors(seen, [np.array([7.0, 1.0]), np.array([1.0, 1.0])], 3)
    assert found[0, 0] == pytest.approx(5 / (5 / 3))
    assert np.isnan(found[0, 1])
    assert np.isnan(found[1]).all()
