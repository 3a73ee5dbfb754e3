import math

import pytest

from ricorso.errors import TrainingError
from ricorso.training.guard import LIMIT, Guard


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (math.inf, math.nan)])
def test_a_bad_step_is_skipped_and_counted(loss: float, norm: float) -> None:
    guard = Guard()
    assert guard.passes(1.0, 1.0)
    assert not guard.passes(loss, norm)
    assert guard.passes(1.0, 1.0)
    assert (guard.skipped, guard.in_a_row) == (1, 0)


def test_many_in_a_row_stop_training_with_advice() -> None:
    guard = Guard()
    for _ in range(LIMIT - 1):
        guard.passes(1.0, math.nan)
    with pytest.raises(TrainingError, match=r"gradient was not finite.*learning_rate"):
        guard.passes(1.0, math.nan)
