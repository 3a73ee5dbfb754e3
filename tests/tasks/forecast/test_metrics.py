import numpy as np
import pytest

from ricorso.tasks.forecast.metrics import figures, seasonal_naive, step_error

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
