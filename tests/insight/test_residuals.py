import numpy as np
import pytest

from ricorso.insight.residuals import residuals

NAN = float("nan")


def test_sizes_by_step_and_the_side_of_the_errors() -> None:
    errors = np.array([[1.0, -2.0, NAN], [3.0, 4.0, NAN]])
    found = residuals(errors, -np.ones((2, 3)))
    assert found.steps == {"own": [2.0, 3.0, None], "naive": [1.0, 1.0, 1.0]}
    assert "2 one step ahead and 3 at the end" in found.html
    assert "1.5 too high" in found.html
    assert "neither too high nor too low" in residuals(np.array([[-1.0, 1.0]]), errors[:, :2]).html


def test_every_error_is_in_a_bar() -> None:
    draw = np.random.default_rng(0)
    errors = draw.normal(size=(50, 8))
    errors[0, 0] = 1e9
    shares = residuals(errors, 3 * draw.normal(size=(50, 8))).shares
    assert shares is not None
    assert sum(shares["own"]) == pytest.approx(1)
    assert sum(shares["naive"]) == pytest.approx(1)
    assert shares["x"][len(shares["x"]) // 2] == 0
    assert max(shares["x"]) < 20
    # errors a third as large are nearer to zero
    middle = slice(len(shares["x"]) // 2 - 2, len(shares["x"]) // 2 + 3)
    assert sum(shares["own"][middle]) > 1.5 * sum(shares["naive"][middle])


def test_series_that_never_change() -> None:
    found = residuals(np.full((2, 3), NAN), np.full((2, 3), NAN))
    assert (found.steps, found.shares) == (None, None)
    assert "do not change" in found.html


def test_no_error_at_all() -> None:
    shares = residuals(np.zeros((1, 1)), np.zeros((1, 1))).shares
    assert shares is not None
    assert max(shares["own"]) == 1
