"""The calendar of windows over many series."""

import numpy as np
import pytest

from ricorso.data import series_calendar
from ricorso.data.frequency import Frequency
from ricorso.data.roles import Columns
from ricorso.data.series import Series, SeriesSet
from ricorso.data.series_calendar import SeriesCalendar
from ricorso.data.windows import Windows

STARTS = {
    "hour": ["2024-02-28T05", "2023-12-30T00", "2024-02-29T23"],
    "15 minutes": ["2024-02-28T05:00", "2024-02-28T05:07", "2024-02-28T06:15"],
    "day": ["2024-02-28", "2020-01-01", "2024-03-01"],
    "business day": ["2024-02-28", "2024-01-01", "2024-03-01"],
    "week": ["2024-02-28", "2024-03-06", "2023-02-22"],
    "month": ["2024-01-31", "2023-12-31", "2024-02-29"],
    "month end": ["2024-01-31", "2023-12-31", "2024-02-29"],
    "year": ["2024-01-01", "1990-01-01", "2020-01-01"],
    "step": [5, 0, 100],
}


def known(frequency: str, starts) -> SeriesSet:
    nothing = np.zeros((30, 0), np.float32)
    series = []
    for name, start in enumerate(starts):
        begin = start if isinstance(start, int) else np.datetime64(start, "us")
        series.append(Series(str(name), begin, np.ones((30 - name, 1)), nothing, nothing))
    return SeriesSet(tuple(series), Frequency.parse(frequency), Columns("t", "s", ("y",)))


@pytest.mark.parametrize("longest", [1 << 22, 0])
@pytest.mark.parametrize("frequency", STARTS)
def test_each_step_has_the_calendar_of_its_time(frequency, longest, monkeypatch):
    monkeypatch.setattr(series_calendar, "_LONGEST", longest)
    many = known(frequency, STARTS[frequency])
    windows = Windows(many, context=6, horizon=3, batch_size=4, seed=0)
    names = many.frequency.calendar_names[-2:]
    calendar = SeriesCalendar(many, names, before=6, after=3)
    # padded in front, inside, and after the end
    batch = windows.at([0, 1, 2, 2, 1], [1, 9, 3, 28, 29])
    found = calendar.of(batch)
    assert found.dtype == np.float32
    for i, (number, begin) in enumerate(zip(batch.series, batch.begin, strict=True)):
        times = many.frequency.at(many[int(number)].start, begin + np.arange(9))
        np.testing.assert_array_equal(found[:, i], many.frequency.calendar(times, names))


def test_series_that_share_a_grid_share_a_table():
    shared = SeriesCalendar(known("hour", STARTS["hour"]), ("hour of day",), 6, 3)
    assert shared._table is not None
    assert len(shared._table) == 6 + 61 * 24 + 23 + 28 + 3
    assert SeriesCalendar(known("15 minutes", STARTS["15 minutes"]), ("hour of day",), 6, 3)._table is None


def test_features_of_many_times_are_those_of_each():
    frequency = Frequency.parse("second")
    times = np.datetime64("2023-12-31T23:58:30", "us") + np.arange(500) * np.timedelta64(1, "s")
    each = np.concatenate([frequency.calendar([time]) for time in times])
    np.testing.assert_array_equal(frequency.calendar(times), each)
    assert len(np.unique(each, axis=0)) == 500
