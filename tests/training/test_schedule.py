import pytest

from ricorso.training.schedule import Budget, learning_rate


def test_progress_is_the_larger_share_and_ends_at_one() -> None:
    budget = Budget(steps=100, seconds=10.0)
    assert budget.progress(50, 2.0) == 0.5
    assert budget.progress(10, 8.0) == 0.8
    assert budget.progress(99, 11.0) == 1.0
    assert Budget(seconds=10.0).progress(10**9, 5.0) == 0.5


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = [learning_rate(p / 100, peak=2.0, warmup=0.1) for p in range(101)]
    assert rates[0] > 0
    assert rates[5] == pytest.approx(1.0)
    assert rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_no_warmup_starts_at_the_peak() -> None:
    assert learning_rate(0.0, peak=2.0, warmup=0.0) == 2.0
