"""The score of the Numenta Anomaly Benchmark, against figures that its own repository reports."""

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def nab():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("measurement.nab")
    sys.path.remove(str(ROOT / "benchmarks"))
    for name in ("measurement.nab", "measurement"):
        sys.modules.pop(name, None)


def scored(rows, *alarms):
    found = np.zeros(rows)
    found[list(alarms)] = 1.0
    return found


# rows of windows, and one published sum of a detector with a single alarm in them (numentaTM, standard profile)
SINGLE = {
    "TravelTime_387": (2500, ((387, 469), (948, 1030), (1485, 1567)), -1.2873152306),
    "machine_temperature": (22695, ((2126, 2692), (3703, 4269), (16057, 16623), (19232, 19798)), -2.14336980423),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_published_sum_is_that_of_one_row(nab, name):
    rows, windows, published = SINGLE[name]
    file = nab.Labelled(name, rows, windows)
    sums = [nab.measured(file, scored(rows, row), 0.5).raw for first, last in windows for row in range(first, last + 1)]
    assert min(abs(found - published) for found in sums) < 1e-9


def test_alarms_before_any_window_cost_what_was_published(nab):
    # exchange-2_cpc (numenta): no window hit, two false alarms: -1.22
    file = nab.Labelled("x", 1624, ((1000, 1162),))
    assert nab.measured(file, scored(1624, 400, 500), 0.5).raw == pytest.approx(-1.22)


def test_probation_is_a_share_but_never_long(nab):
    assert [nab.Labelled("x", rows, ()).probation for rows in (4032, 2500, 22695)] == [604, 375, 750]
    file = nab.Labelled("x", 100, ((50, 59),))
    assert nab.measured(file, scored(100, 3, 14), 0.5).raw == -1
    assert nab.measured(file, scored(100, 15), 0.5).raw == pytest.approx(-1.11)


def test_early_alarms_are_worth_more_and_false_ones_less_right_after_a_window(nab):
    file = nab.Labelled("x", 300, ((100, 119), (200, 219)))
    inside = file.weight[100:120]
    assert inside[0] == 1
    assert (np.diff(inside) < 0).all()
    assert inside[-1] > 0
    after = file.weight[120:200]
    assert (np.diff(after) <= 0).all()
    assert after[0] > -0.02
    assert after[-1] == -0.11
    assert (file.weight[:100] == -0.11).all()
    # only the earliest alarm of a window counts
    assert nab.measured(file, scored(300, 105, 110, 119), 0.5).raw == pytest.approx(inside[5] - 1)


def test_detectors_without_alarms_and_perfect_ones_are_the_ends_of_the_scale(nab):
    file = nab.Labelled("x", 300, ((100, 119), (200, 219)))
    nothing, perfect = nab.measured(file, np.zeros(300), 0.5), nab.measured(file, scored(300, 100, 200), 0.5)
    assert nab.normalised(nothing.raw, 2) == 0
    assert nab.normalised(perfect.raw, 2) == 100
    assert (perfect.precision, perfect.recall, perfect.f1) == (1, 1, 1)
    assert math.isnan(nothing.precision)
    assert nothing.f1 == 0


def test_the_threshold_has_the_best_sum_of_all(nab):
    draw = np.random.default_rng(0)
    files = [nab.Labelled("a", 300, ((100, 119), (200, 219))), nab.Labelled("b", 200, ((150, 169),))]
    scores = [np.round(draw.random(file.rows), 2) for file in files]
    scores[0][[101, 40]] = 2.0, np.nan
    scores[1][155] = 1.5

    def total(threshold):
        return sum(nab.measured(file, own, threshold).raw for file, own in zip(files, scores, strict=True))

    best = nab.best_threshold(files, scores)
    assert total(best) == pytest.approx(max(total(value) for value in np.linspace(0, 3, 301)))
    assert total(best) > -1


def test_alarms_of_neighbouring_rows_are_one(nab):
    file = nab.Labelled("x", 300, ((100, 119),))
    found = nab.measured(file, scored(300, 60, 65, 75, 200, 105), 0.5)
    assert (found.alarms, found.false, found.hit) == (3, 2, 1)
    assert found.f1 == pytest.approx(2 * (1 / 3) / (1 + 1 / 3))
    both = found + nab.measured(file, np.zeros(300), 0.5)
    assert (both.windows, both.recall, both.alarms) == (2, 0.5, 3)


def test_area_by_hand(nab):
    positive = np.array([True, False, True, False])
    assert nab.area(np.array([4.0, 1.0, 3.0, 2.0]), positive) == 1
    assert nab.area(np.array([1.0, 1.0, 1.0, 1.0]), positive) == 0.5
    assert nab.area(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 0.75


def test_an_alarm_is_raised_where_a_score_is_higher_than_just_before(nab):
    found = nab.raised(np.array([1.0, 5.0, 4.0, 5.0, 6.0, np.nan, 2.0, 7.0]), together=3)
    assert np.nan_to_num(found, nan=-1).tolist() == [1, 5, 0, 0, 6, -1, 0, 7]
