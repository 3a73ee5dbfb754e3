import pytest

from ricorso.bench import timing
from ricorso.bench.timing import Timing, alternate, geometric_mean


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless a side moves it."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def side(clock, name, seconds, log):
    def run():
        clock.now += seconds
        log.append(name)

    return run


def test_sides_take_turns_for_equal_times(clock):
    log = []
    taken = alternate({"a": side(clock, "a", 0.01, log), "b": side(clock, "b", 0.02, log)}, seconds=1.0, turn=0.1)
    assert (taken["a"].median, taken["b"].median) == (pytest.approx(0.01), pytest.approx(0.02))
    turns = "".join(log)
    assert turns.startswith("aabb")  # warming up
    assert turns[4:].startswith("a" * 11 + "b" * 6)
    assert log.count("a") * 0.01 + log.count("b") * 0.02 == pytest.approx(clock.now)


def test_the_first_short_run_of_a_turn_is_not_counted(clock):
    log = []
    taken = alternate({"a": side(clock, "a", 0.01, log)}, seconds=0.2, turn=0.05)
    assert len(log) == 2 + taken["a"].runs + 4


def test_slow_sides_run_the_least_number_of_times_and_none_is_wasted(clock):
    log = []
    taken = alternate({"a": side(clock, "a", 3.0, log), "b": side(clock, "b", 5.0, log)}, seconds=0.1, least=4)
    assert (taken["a"].runs, taken["b"].runs) == (4, 4)
    assert len(log) == 2 * 2 + 2 * (4 + 1)  # the first turn of each cannot know yet


def test_without_time_to_spend_each_side_still_runs(clock):
    log = []
    taken = alternate({"a": side(clock, "a", 1e-9, log)}, seconds=0.0, least=3)
    assert taken["a"].runs == 3


def test_something_can_be_done_between_turns(clock):
    log = []
    alternate({"a": side(clock, "a", 1.0, log)}, seconds=2.0, least=2, between=lambda: log.append("|"))
    assert "".join(log).startswith("aa|aa|a|")


def test_a_timing_can_be_shared_by_the_steps_of_a_run():
    assert Timing(1.0, 0.5, 2.0, 9).shared(10) == Timing(0.1, 0.05, 0.2, 9)


def test_the_mean_of_ratios_is_geometric():
    assert geometric_mean([4.0, 1.0]) == pytest.approx(2.0)
