from collections import Counter

import numpy as np
import pytest

from ricorso.decoding.sample import Sampler
from ricorso.errors import TrainingError, UsageError

SCORES = np.log(np.array([0.4, 0.1, 0.3, 0.2], np.float32))


def shares(sampler: Sampler, scores: np.ndarray = SCORES, draws: int = 20_000) -> np.ndarray:
    counts = Counter(sampler(scores) for _ in range(draws))
    return np.array([counts[i] / draws for i in range(len(scores))])


def test_draws_follow_the_probabilities() -> None:
    np.testing.assert_allclose(shares(Sampler(seed=0)), [0.4, 0.1, 0.3, 0.2], atol=0.015)


def test_temperature_sharpens() -> None:
    expected = np.array([0.4, 0.1, 0.3, 0.2]) ** 2
    np.testing.assert_allclose(shares(Sampler(temperature=0.5, seed=0)), expected / expected.sum(), atol=0.015)


def test_zero_temperature_and_top_one_take_the_best() -> None:
    assert {Sampler(temperature=0)(SCORES), Sampler(top_k=1, seed=5)(SCORES), Sampler(top_p=0.01, seed=5)(SCORES)} == {
        0
    }


def test_top_k_keeps_exactly_k_even_among_equals() -> None:
    np.testing.assert_allclose(shares(Sampler(top_k=2, seed=0)), [4 / 7, 0, 3 / 7, 0], atol=0.015)
    assert np.count_nonzero(shares(Sampler(top_k=2, seed=0), np.zeros(6, np.float32), 2000)) == 2
    np.testing.assert_allclose(shares(Sampler(top_k=99, seed=0)), [0.4, 0.1, 0.3, 0.2], atol=0.015)


def test_top_p_keeps_the_fewest_that_reach_p() -> None:
    np.testing.assert_allclose(shares(Sampler(top_p=0.65, seed=0)), [4 / 7, 0, 3 / 7, 0], atol=0.015)
    np.testing.assert_allclose(shares(Sampler(top_p=0.75, seed=0)), [4 / 9, 0, 3 / 9, 2 / 9], atol=0.015)


def test_top_p_works_on_what_top_k_left() -> None:
    np.testing.assert_allclose(shares(Sampler(top_k=3, top_p=0.5, seed=0)), [4 / 7, 0, 3 / 7, 0], atol=0.015)


def test_a_forbidden_symbol_is_never_drawn() -> None:
    scores = SCORES.copy()
    scores[0] = -np.inf
    for options in ({}, {"temperature": 3.0}, {"top_k": 4}, {"top_p": 0.999}):
        assert shares(Sampler(seed=1, **options), scores, 3000)[0] == 0  # type: ignore[arg-type]


def test_the_seed_decides_and_scores_stay_untouched() -> None:
    before = SCORES.copy()
    first, second = ([sampler(SCORES) for _ in range(50)] for sampler in (Sampler(seed=7), Sampler(seed=7)))
    assert first == second
    assert first != [Sampler(seed=8)(SCORES) for _ in range(50)]
    np.testing.assert_array_equal(SCORES, before)


def test_large_scores_do_not_overflow() -> None:
    assert Sampler(seed=0, temperature=0.01)(np.array([1e30, -1e30, 0], np.float32)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_an_error(bad: float) -> None:
    with pytest.raises(TrainingError, match="not finite"):
        Sampler(seed=0)(np.array([0.0, bad], np.float32))


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}, {"seed": -1}],
)
def test_values_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        Sampler(**options)  # type: ignore[arg-type]
