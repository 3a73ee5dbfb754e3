import pytest

from ricorso.training.schedule import SCHEDULES, Budget, Schedule


def test_progress_is_the_larger_share_and_ends_at_one() -> None:
    budget = Budget(steps=100, seconds=10.0)
    assert budget.progress(50, 2.0) == 0.5
    assert budget.progress(10, 8.0) == 0.8
    assert budget.progress(99, 11.0) == 1.0
    assert Budget(seconds=10.0).progress(10**9, 5.0) == 0.5


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = [Schedule("cosine", 2.0, 0.1).rate(p / 100) for p in range(101)]
    assert rates[0] > 0
    assert rates[5] == pytest.approx(1.0)
    assert rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_no_warmup_starts_at_the_peak() -> None:
    for kind in set(SCHEDULES) - {"one_cycle"}:
        assert Schedule(kind, 2.0, 0.0).rate(0.0) == 2.0


def test_constant_and_plateau_stay_at_what_plateaus_have_left() -> None:
    for kind in ("constant", "plateau"):
        rates = [Schedule(kind, 2.0, 0.1).rate(p / 10, lowered=0.25) for p in range(1, 11)]
        assert rates == [0.5] * 10


def test_one_cycle_rises_from_a_low_rate_and_ends_far_below_it() -> None:
    rates = [Schedule("one_cycle", 1.0, 0.0).rate(p / 100) for p in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[30] == 1.0
    assert rates[100] == pytest.approx(1e-4)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
