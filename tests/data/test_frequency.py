"""Frequencies: names, grids, seasons, lags, the calendar."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricorso.data.frequency import Frequency
from ricorso.errors import DataError, RunError, UsageError

NAMES = [
    "second", "10 seconds", "minute", "5 minutes", "30 minutes", "hour", "2 hours", "day", "2 days", "business day",
    "week", "2 weeks", "month", "month end", "2 months", "quarter", "quarter end", "year", "10 years", "step",
    "5 steps", "20 milliseconds",
]  # fmt: skip

small = st.integers(1, 40)
frequencies = st.one_of(
    st.builds(Frequency, st.sampled_from(["step", "business day"]), small),
    st.builds(Frequency, st.just("month"), small, st.booleans()),
    st.builds(
        lambda count, unit: Frequency("microsecond", count * unit),
        small,
        st.sampled_from([2, 60_000_000, 86_400_000_000]),
    ),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_gives_the_frequency_back(name):
    frequency = Frequency.parse(name)
    assert frequency.name == name
    assert Frequency.parse(f"every {name}") == frequency


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("hourly", "hour"), ("Monthly", "month"), ("annual", "year"), ("15min", "15 minutes"), ("30T", "30 minutes"),
        ("D", "day"), ("MS", "month"), ("ME", "month end"), ("QE", "quarter end"), ("W", "week"), ("7 days", "week"),
        ("24 hours", "day"), ("12 months", "year"), ("B", "business day"), (" 3  HOURS ", "3 hours"),
    ],
)  # fmt: skip
def test_other_words_are_understood(words, name):
    assert Frequency.parse(words).name == name


@pytest.mark.parametrize("words", ["houur", "m", "", "0 days", "fortnight", "moon 3"])
def test_words_that_name_no_frequency_are_refused(words):
    with pytest.raises(UsageError, match="is no frequency") as error:
        Frequency.parse(words)
    assert ("Did you mean 'hour'?" in str(error.value)) == (words == "houur")


@pytest.mark.parametrize(
    ("name", "seasons"),
    [
        ("second", (3600, 86400)), ("minute", (1440, 10080)), ("5 minutes", (288, 2016)), ("30 minutes", (48, 336)),
        ("hour", (24, 168)), ("5 hours", (1,)), ("day", (7, 365)), ("2 days", (182,)), ("business day", (5, 260)),
        ("week", (52,)), ("month", (12,)), ("quarter", (4,)), ("5 months", (1,)), ("year", (1,)), ("step", (1,)),
        ("20 milliseconds", (50, 3000)),
    ],
)  # fmt: skip
def test_seasons(name, seasons):
    frequency = Frequency.parse(name)
    assert frequency.seasons == seasons
    assert frequency.season == seasons[0]
    assert frequency.with_season(100).season == 100
    assert all(season > 100 for season in frequency.with_season(100).seasons[1:])


@pytest.mark.parametrize(
    ("name", "limit", "lags"),
    [
        ("hour", 200, (1, 2, 3, 23, 24, 25, 48, 167, 168, 169)),
        ("hour", 24, (1, 2, 3, 23, 24)),
        ("day", 400, (1, 2, 3, 6, 7, 8, 14, 364, 365, 366)),
        ("month", 30, (1, 2, 3, 11, 12, 13, 24)),
        ("year", 30, (1, 2, 3)),
        ("step", 2, (1, 2)),
    ],
)
def test_lags(name, limit, lags):
    assert Frequency.parse(name).lags(limit) == lags


def days(frequency, start, count):
    return [str(time)[:10] for time in Frequency.parse(frequency).times(np.datetime64(start), count)]


def test_months_are_counted_by_the_calendar():
    assert days("month", "2023-12-31", 4) == ["2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31"]
    assert days("month end", "2024-02-29", 3) == ["2024-02-29", "2024-03-31", "2024-04-30"]
    assert days("quarter", "1949-11-15", 3) == ["1949-11-15", "1950-02-15", "1950-05-15"]
    assert days("year", "2024-02-29", 5)[1::3] == ["2025-02-28", "2028-02-29"]


def test_times_between_two_steps_belong_to_one_of_them():
    floors, exact = Frequency.parse("month").steps("2020-01-15", ["2020-02-14", "2020-02-15", "2020-01-14"])
    assert (floors.tolist(), exact.tolist()) == ([0, 1, -1], [False, True, False])
    floors, exact = Frequency.parse("quarter end").steps("2020-03-31", ["2020-03-15", "2020-04-01", "2020-06-30"])
    assert (floors.tolist(), exact.tolist()) == ([0, 1, 1], [False, False, True])


def test_business_days_leave_out_weekends():
    assert (
        str(Frequency.parse("business day").times(np.datetime64("2024-01-05T16:30"), 2)[1])[:16] == "2024-01-08T16:30"
    )
    assert days("business day", "2024-01-04", 4) == ["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]
    index = Frequency.parse("business day").index("2024-01-04", ["2024-01-08", "2024-01-05"])
    assert index.tolist() == [2, 1]


@settings(deadline=None)
@given(frequencies, st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), st.integers(0, 60))
def test_the_index_undoes_the_times(frequency, when, count):
    start = 17 if frequency.counts else np.datetime64(when, "us")
    if frequency.unit != "step":
        start = frequency.floor(start)  # the grid of month ends and of business days holds only such times
    times = frequency.times(start, count)
    assert len(times) == count
    assert (np.diff(times).astype(np.int64) > 0).all()
    np.testing.assert_array_equal(frequency.index(start, times), np.arange(count))
    if not frequency.counts:
        floors, exact = frequency.steps(start, times + 1)
        np.testing.assert_array_equal(floors, np.arange(count))
        assert not exact.any()
    assert Frequency.from_json(frequency.to_json()) == frequency == Frequency.parse(frequency.name)


def test_a_time_off_the_grid_is_named():
    with pytest.raises(DataError, match=r"2024-01-02T00:30.* is not a whole number of steps \(hour\) after 2024-01-01"):
        Frequency.parse("hour").index("2024-01-01", np.array(["2024-01-01T05", "2024-01-02T00:30"], "datetime64[m]"))


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("hour", "2024-05-16T14:00:00"), ("week", "2024-05-13T00:00:00"), ("month", "2024-05-01T00:00:00"),
        ("quarter", "2024-04-01T00:00:00"), ("year end", "2024-12-31T00:00:00"), ("month end", "2024-05-31T00:00:00"),
        ("business day", "2024-05-16T00:00:00"), ("5 minutes", "2024-05-16T14:35:00"),
    ],
)  # fmt: skip
def test_times_are_rounded_down_to_the_natural_grid(name, floor):
    assert str(Frequency.parse(name).floor(np.datetime64("2024-05-16T14:37:12", "us"))) == f"{floor}.000000"


def test_the_calendar_agrees_with_the_standard_library():
    times = np.arange("1960-01-01", "2030-01-01", 1234567, "datetime64[s]")
    frequency = Frequency.parse("second")
    names = frequency.calendar_names
    assert names == ("second of minute", "minute of hour", "hour of day", "day of week", "day of month", "day of year")
    moments = times.tolist()
    want = [
        (
            m.second / 59,
            m.minute / 59,
            m.hour / 23,
            m.weekday() / 6,
            (m.day - 1) / 30,
            (m.timetuple().tm_yday - 1) / 365,
        )
        for m in moments
    ]
    np.testing.assert_allclose(frequency.calendar(times), np.array(want) - 0.5, atol=1e-6)
    weeks = [(m.isocalendar().week - 1) / 52 - 0.5 for m in moments]
    np.testing.assert_allclose(Frequency.parse("week").calendar(times)[:, 0], weeks, atol=1e-6)
    months = [(m.month - 1) / 11 - 0.5 for m in moments]
    np.testing.assert_allclose(Frequency.parse("month").calendar(times)[:, 0], months, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("30 minutes", ("minute of hour", "hour of day", "day of week", "day of month", "day of year")),
        ("hour", ("hour of day", "day of week", "day of month", "day of year")),
        ("day", ("day of week", "day of month", "day of year")),
        ("2 weeks", ("week of year",)),
        ("quarter", ("month of year",)),
        ("year", ()),
        ("step", ()),
    ],
)
def test_the_calendar_has_what_changes_from_step_to_step(name, names):
    frequency = Frequency.parse(name)
    assert frequency.calendar_names == names
    times = frequency.times(0 if frequency.counts else np.datetime64("2024-01-01"), 3)
    assert frequency.calendar(times).shape == (3, len(names))
    assert frequency.repeated_cycles(10_000_000 if names else 0) == names
    assert frequency.repeated_cycles(1) == ()


@pytest.mark.parametrize(
    ("name", "steps", "names"),
    [
        ("hour", 47, ()),
        ("hour", 48, ("hour of day",)),
        ("hour", 14 * 24, ("hour of day", "day of week")),
        ("day", 730, ("day of week", "day of month")),
        ("day", 731, ("day of week", "day of month", "day of year")),
        ("business day", 10, ("day of week",)),
        ("week", 104, ()),
        ("week", 105, ("week of year",)),
        ("month", 23, ()),
        ("month", 24, ("month of year",)),
    ],
)
def test_cycles_count_where_they_come_twice(name, steps, names):
    assert Frequency.parse(name).repeated_cycles(steps) == names


def test_cycles_can_be_named():
    frequency = Frequency.parse("hour")
    times = frequency.times(np.datetime64("2024-01-05T03"), 30)
    every = frequency.calendar(times)
    chosen = frequency.calendar(times, ("day of week", "hour of day"))
    np.testing.assert_array_equal(chosen, every[:, [1, 0]])
    assert frequency.calendar(times, ()).shape == (30, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"unit": "moon"},
        {"count": 0},
        {"count": "1"},
        {"count": True},
        {"month_end": 1},
        {"period": -1},
        {"count": None},
    ],
)
def test_damaged_data_are_refused(change):
    with pytest.raises(RunError, match="damaged"):
        Frequency.from_json({**Frequency.parse("hour").to_json(), **change})


@pytest.mark.parametrize("sizes", [(0, None), (1, 0), (-1, None)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(UsageError, match="must be 1 or more"):
        Frequency("step", sizes[0], period=sizes[1])
