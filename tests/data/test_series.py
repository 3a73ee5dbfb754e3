"""Series from tables of every layout, and what is said about tables that cannot be read."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricorso.data import rows
from ricorso.data.frequency import Frequency
from ricorso.data.roles import Columns
from ricorso.data.series import read_series
from ricorso.errors import DataError, RunError, UsageError

DATA = Path(__file__).parents[3] / "shared" / "data"
NAN = float("nan")
DAYS = [f"2024-01-{day:02d}" for day in range(1, 8)]


def values(series) -> list:
    return [None if np.isnan(v) else v for v in series.values[:, 0].tolist()]


def test_a_long_table_has_a_row_for_each_time_and_series():
    table = {
        "shop": ["b", "a", "b", "a", "b"],
        "day": [DAYS[0], DAYS[2], DAYS[1], DAYS[3], DAYS[4]],
        "sold": [1, 2, None, -4, 5],
        "price": [1.0, 2.0, 3.0, 4.0, 5.0],
        "city": ["Rome", "Bonn", "Rome", "Bonn", "Rome"],
        "size": [3, 4, 3, 4, 3],
    }
    found = read_series(table, series="shop", targets="sold", past="price", static=["city", "size"])
    assert found.names == ("b", "a")
    assert found.frequency.name == "day"
    assert values(found["b"]) == [1, None, None, None, 5]
    assert found["b"].past[:, 0].tolist()[:2] == [1.0, 3.0]
    assert found["b"].static == ("Rome", 3.0)
    assert values(found["a"]) == [2, -4]
    assert found["a"].start == np.datetime64(DAYS[2])
    assert found.columns == Columns("day", "shop", ("sold",), (), ("price",), ("city", "size"))
    assert [str(time)[:10] for time in found.times("a", ahead=1)] == DAYS[2:5]
    assert found.steps == 7
    assert "time is 'day' (daily)" in found.told
    assert "missing values: 3 of 7" in found.told


def test_known_covariates_reach_beyond_the_values():
    table = {"day": DAYS, "sold": [None, 1, 2, None, 3, None, None], "holiday": [9, 0, 0, 1, 0, 1, 0]}
    found = read_series(table, targets="sold", known="holiday")
    (series,) = found
    assert (series.name, values(series)) == ("sold", [1, 2, None, 3])
    assert series.known[:, 0].tolist() == [0, 0, 1, 0, 1, 0]
    assert series.known_ahead == 2
    assert series.known.dtype == np.float32
    assert "rows after the last value of their series, for their known covariates: 2" in found.told
    assert "rows before the first value of their series, left out: 1" in found.told
    (without,) = read_series(table, targets="sold")
    assert without.known.shape == (4, 0)
    assert without.known_ahead == 0


def test_columns_of_a_table_without_a_series_column_are_targets_of_one_series():
    table = {"date": DAYS, "HUFL": range(7), "OT": [0.5] * 7, "note": DAYS[::-1]}
    found = read_series({name: list(column) for name, column in table.items()}, series=None, targets=["HUFL", "OT"])
    assert found.targets == ("HUFL", "OT")
    assert found["series"].values.shape == (7, 2)
    assert "'note' is not used" in found.told
    assert "constant series: 'series'" in found.told
    guessed = read_series({"date": DAYS, "HUFL": list(range(7)), "OT": list(range(7))})
    assert guessed.told[1] == "targets are 'HUFL', 'OT'"


def test_an_index_in_front_of_a_table_is_no_target(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",date,sold\n0,2024-01-01,5\n1,2024-01-02,5\n2,2024-01-03,7\n")
    found = read_series(path)
    assert found.targets == ("sold",)
    assert "'column_1' only counts the rows and is not used" in found.told


def test_a_column_can_be_a_series_each():
    table = {"date": DAYS[:3], "a": [1, None, 3], "b": [None, 5, 6], "promotion": [0, 1, 0]}
    found = read_series(table, wide=True, known="promotion")
    assert {series.name: values(series) for series in found} == {"a": [1, None, 3], "b": [5, 6]}
    assert found["b"].start == np.datetime64(DAYS[1])
    assert found["b"].known[:, 0].tolist() == [1, 0]
    assert found.targets == ("value",)
    assert found.columns.layout == "columns"


def test_a_row_can_be_a_series_each():
    table = {"V1": ["H1", "H2"], "V2": [1.0, 4.0], "V3": [2.0, 5.0], "V4": [3.0, None]}
    found = read_series(table)
    assert {series.name: values(series) for series in found} == {"H1": [1, 2, 3], "H2": [4, 5]}
    assert (found["H2"].start, found.frequency.season, found.columns.layout) == (0, 1, "rows")
    assert read_series(table, frequency="hour").frequency == Frequency("step", period=24)
    dated = {
        "page": ["x", "y"],
        "kind": ["p", "q"],
        "2024-01-31": [1, None],
        "2024-02-29": [2, 3],
        "2024-03-31": [4, 5],
    }
    found = read_series(dated, wide="rows", static="kind")
    assert found.frequency.name == "month end"
    assert (found["y"].start, values(found["y"]), found["y"].static) == (np.datetime64("2024-02-29"), [3, 5], ("q",))


def test_codes_that_look_like_dates_of_the_year_twelve_are_names():
    found = read_series({"code": ["12-05-01", "12-05-02"], "V2": [1, 2], "V3": [1, 2]})
    assert found.names == ("12-05-01", "12-05-02")


def test_rows_without_times_are_counted():
    found = read_series({"y": [1, None, 3]}, season=2)
    assert values(found["y"]) == [1, None, 3]
    assert (found["y"].start, found.frequency.season) == (0, 2)
    assert "there is no column of times, so rows are counted" in found.told
    found = read_series({"id": ["a", "b", "a", "b", "b"], "y": [1, 2, 3, 4, 5]})
    assert {series.name: values(series) for series in found} == {"a": [1, 3], "b": [2, 4, 5]}


def test_new_data_are_read_the_same_way():
    first = read_series(
        {"t": [1700, 1701, 1702], "y": [1, 2, 3], "x": [1, 2, 3]}, time="t", targets="y", frequency="step"
    )
    again = read_series(
        {"x": [0, 0], "y": [3, 4], "more": [5, 6], "t": [1703, 1704]}, columns=first.columns, frequency=first.frequency
    )
    assert (again.columns, again.frequency, again["y"].start) == (first.columns, first.frequency, 1703)
    assert again.told == ()
    with pytest.raises(DataError, match="the table has no column 'y'"):
        read_series({"t": [1], "z": [1]}, columns=first.columns, frequency=first.frequency)
    with pytest.raises(UsageError, match="give no other roles"):
        read_series({"t": [1], "y": [1]}, columns=first.columns, targets="y")


def test_roles_survive_as_data():
    columns = Columns("t", None, ("y",), ("k",), (), ("s",), "long")
    assert Columns.from_json(columns.to_json()) == columns
    for change in ({"layout": "tall"}, {"targets": "y"}, {"time": 3}, {"known": [1]}, {"static": None}):
        with pytest.raises(RunError, match="damaged"):
            Columns.from_json({**columns.to_json(), **change})


HOURS = [datetime(2024, 3, 1, hour) for hour in range(4)]


@pytest.mark.parametrize(
    ("times", "frequency", "start"),
    [
        (["1949-01", "1949-02", "1949-03"], "month", "1949-01-01"),
        (["Jan 1949", "Feb 1949", "Mar 1949"], "month", "1949-01-01"),
        (["2024-01-31", "2024-02-29", "2024-03-31"], "month end", "2024-01-31"),
        (["2023-12-31", "2022-12-31", "2021-12-31"][::-1], "year", "2021-12-31"),
        (["2019Q1", "2019-Q2", "2019 Q3"], "quarter", "2019-01-01"),
        (["1949", "1950", "1952"], "year", "1949-01-01"),
        ([1949, 1950, 1951], "year", "1949-01-01"),
        ([194911, 194912, 195001], "month", "1949-11-01"),
        ([20240228, 20240229, 20240301], "day", "2024-02-28"),
        ([1709251200, 1709254800, 1709258400], "hour", "2024-03-01"),
        ([1709251200000, 1709251200500, 1709251201000], "500 milliseconds", "2024-03-01"),
        ([1709251200.0, 1709251200.5, 1709251201.0], "500 milliseconds", "2024-03-01"),
        ([0, 1, 3], "step", 0),
        ([10.0, 20.0, 40.0], "10 steps", 10),
        (HOURS[:3], "hour", "2024-03-01"),
        ([date(2024, 1, 1), date(2024, 1, 8), date(2024, 1, 15)], "week", "2024-01-01"),
        (["01/13/2024", "01/14/2024", "01/15/2024"], "day", "2024-01-13"),
        (["13/01/2024", "14/01/2024", "15/01/2024"], "day", "2024-01-13"),
        (["13.01.2024 05:00", "13.01.2024 05:15", "13.01.2024 05:30"], "15 minutes", "2024-01-13T05:00"),
        (["2024-03-01T00:00:00+02:00", "2024-03-01T01:00:00+02:00", "2024-03-01T02:00:00+02:00"], "hour",
         "2024-02-29T22:00"),
        (["2024-03-01T00:00:00Z", "2024-03-01T00:05:00Z", "2024-03-01T00:10:00Z"], "5 minutes", "2024-03-01"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [1 << 20, 1])
def test_times_are_understood_as_people_write_them(times, frequency, start, at_once, monkeypatch):
    monkeypatch.setattr(rows, "_AT_ONCE", at_once)
    found = read_series({"time": times, "y": [1, 2, 3]})
    assert found.frequency.name == frequency
    assert found["y"].start == (start if isinstance(start, int) else np.datetime64(start))
    assert values(found["y"])[:2] == [1, 2]


def test_a_zone_is_read_as_utc_and_told():
    zone = timezone(timedelta(hours=-3))
    times = pl.Series([moment.replace(tzinfo=UTC) for moment in HOURS]).dt.convert_time_zone("America/Sao_Paulo")
    found = read_series({"time": times, "y": [1, 2, 3, 4]})
    assert found["y"].start == np.datetime64("2024-03-01T00")
    assert any("America/Sao_Paulo, read as UTC" in note for note in found.told)
    texts = [moment.replace(tzinfo=zone).isoformat() for moment in HOURS]
    found = read_series({"time": texts, "y": [1, 2, 3, 4]})
    assert found["y"].start == np.datetime64("2024-03-01T03")
    assert "its times are -03:00 from UTC, read as UTC" in found.told


@pytest.mark.parametrize("at_once", [1 << 20, 3])
def test_weekdays_alone_are_business_days(at_once, monkeypatch):
    monkeypatch.setattr(rows, "_AT_ONCE", at_once)
    days = [day for day in (date(2024, 1, 1) + timedelta(i) for i in range(20)) if day.weekday() < 5]
    assert read_series({"date": days, "y": list(range(len(days)))}).frequency.name == "business day"
    assert read_series({"date": days[:5], "y": [1, 2, 3, 4, 5]}).frequency.name == "day"
    without_a_holiday = read_series({"date": days[:7] + days[8:], "y": list(range(len(days) - 1))})
    assert values(without_a_holiday["y"])[6:9] == [6, None, 7]


def late(times, count):
    return [times + timedelta(hours=i) for i in range(count)]


BROKEN = {
    "unsorted": (
        {"date": [DAYS[0], DAYS[2], DAYS[1]], "y": [1, 2, 3]}, {},
        "row 3: the times of series 'y' are not in order, 2024-01-02 comes after 2024-01-03 (row 2). Pass sort=True",
    ),
    "double": (
        {"id": ["a", "b", "a"], "date": [DAYS[0], DAYS[0], DAYS[0]], "y": [1, 2, 3]}, {},
        "rows 1 and 3: series 'a' has two rows for one time (2024-01-01). Remove one, pass duplicates=",
    ),
    "irregular": (
        {"date": [*late(HOURS[0], 9), datetime(2024, 3, 1, 8, 7)], "y": list(range(10))}, {},
        "Most often the next is 1 hour later (8 of 9 times), but row 10 (2024-03-01 08:07) is not a multiple of that",
    ),
    "one stray time": (
        {"date": sorted([*late(HOURS[0], 30), datetime(2024, 3, 1, 8, 30)]), "y": list(range(31))}, {},
        "Most often the next is 1 hour later (28 of 30 times), but row 10 (2024-03-01 08:30) is not a multiple of that",
    ),
    "mixed, not multiples": (
        {"id": ["a"] * 4 + ["b"] * 4, "t": [0, 2, 4, 6, 0, 3, 6, 9], "y": [1] * 8}, {},
        "'a' is every 2 steps, 'b' is every 3 steps",
    ),
    "mixed, multiples": (
        {"id": ["a"] * 6 + ["b"] * 6, "date": late(HOURS[0], 6) + late(HOURS[0], 24)[::4], "y": [1] * 12}, {},
        "'a' is hourly, 'b' is every 4 hours",
    ),
    "empty": (
        {"id": ["a", "a", "b", "b"], "date": DAYS[:2] * 2, "y": [1, 2, None, None]}, {},
        "no value at all in series 'b'. Pass drop_empty=True",
    ),
    "all empty": ({"date": DAYS[:2], "y": [None, NAN]}, {"targets": "y"}, "no value at all in series 'y'. Check"),
    "infinite": ({"date": DAYS[:2], "y": [1.0, -np.inf]}, {}, "column 'y', row 2: the value is infinite"),
    "text": ({"date": DAYS[:2], "y": ["1", "two"]}, {"targets": "y"}, "column 'y', row 2: 'two' is not a number"),
    "no numbers": ({"date": DAYS[:2], "y": ["1", "two"]}, {"series": "date"}, "no column of numbers to forecast"),
    "no time": ({"date": [DAYS[0], None], "y": [1, 2]}, {}, "column 'date', row 2: the time is missing"),
    "odd time": (
        {"date": [*DAYS, "soon"], "y": [1] * 8}, {"time": "date"},
        "column 'date', row 8: 'soon' is not a time. Other rows are written like '2024-01-01'",
    ),
    "day or month": ({"date": ["01/02/2024", "02/02/2024"], "y": [1, 2]}, {}, "day cannot be told from the month"),
    "zones": (
        {"date": ["2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00"], "y": [1, 2]}, {"time": "date"},
        "time zones are mixed, +01:00 in row 1 and +02:00 in row 2",
    ),
    "fractions": ({"t": [0.0, 0.5], "y": [1, 2]}, {"time": "t"}, "column 't', row 2: 0.5 is no whole number"),
    "one time": ({"date": [DAYS[0]], "y": [1]}, {}, "no series has two times"),
    "static": (
        {"id": ["a", "a"], "date": DAYS[:2], "y": [1, 2], "size": [3, 4]}, {"static": "size"},
        "row 2: static column 'size' changes in series 'a', from 3.0 to 4.0",
    ),
    "column": ({"date": DAYS[:2], "sold": [1, 2]}, {"targets": "Sold"}, "has no column 'Sold'. Did you mean 'sold'?"),
    "ids": (
        {"shop": ["a"] * 2, "town": ["b"] * 2, "date": DAYS[:2], "y": [1, 2]}, {},
        "several columns that may name the series: 'shop', 'town'",
    ),
    "nameless": ({"id": ["a", None], "date": DAYS[:2], "y": [1, 2]}, {}, "row 2: the name of the series is missing"),
    "row twice": ({"id": ["a", "a"], "1": [1, 2], "2": [1, 2]}, {"wide": "rows"}, "two rows for the series 'a'"),
    "too fine": (
        {"date": ["1900-01-01", "2000-01-01"], "y": [1, 2]}, {"frequency": "second"},
        "2 rows would be spread over 3,155,673,601 steps of 1 second",
    ),
    "in one cell": (
        {"date": HOURS[:2], "y": [1, 2]}, {"frequency": "day"},
        "(2024-03-01 and 2024-03-01 01:00, both in one step of 1 day)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("at_once", [1 << 20, 2])
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said(name, at_once, monkeypatch):
    monkeypatch.setattr(rows, "_AT_ONCE", at_once)
    table, options, message = BROKEN[name]
    with pytest.raises(DataError) as error:
        read_series(table, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": "y", "past": "y"}, "'y' cannot have two roles"),
        ({"wide": "tall"}, "wide must be"),
        ({"wide": True, "targets": "y"}, "targets cannot be chosen"),
        ({"wide": True, "static": "y"}, "no column for series and static values"),
        ({"wide": "rows", "past": "y"}, "no columns for time, known and past"),
        ({"duplicates": "median"}, "duplicates must be"),
        ({"frequency": "step"}, "are dates, but frequency='step' needs whole numbers"),
        ({"frequency": "fortnight"}, "no frequency"),
        ({"season": -1}, "must be 1 or more"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        read_series({"date": DAYS[:2], "y": [1, 2]}, **options)


def test_disorder_and_doubles_are_resolved_when_asked():
    table = {"date": [DAYS[2], DAYS[0], DAYS[1], DAYS[0], DAYS[0]], "y": [9, 1, None, 2, None], "x": [0, 1, 2, 3, 4]}
    for how, want, known in (("mean", 1.5, 8 / 3), ("first", 1, 1)):
        found = read_series(table, targets="y", known="x", sort=True, duplicates=how)
        assert values(found["y"]) == [want, None, 9]
        assert found["y"].known[0, 0] == pytest.approx(known)
    last = read_series(table, targets="y", known="x", sort=True, duplicates="last")
    assert values(last["y"]) == [9]
    assert "times out of order, now sorted: 2" in last.told
    assert "rows beyond one for each time, merged (last): 2" in last.told
    with pytest.raises(DataError, match="rows 2 and 4"):
        read_series(table, targets="y", sort=True)


def test_times_between_steps_are_rounded_down_to_a_given_frequency():
    times = [datetime(2024, 3, 1, 8, 7), datetime(2024, 3, 1, 10, 59), datetime(2024, 3, 1, 11, 0)]
    found = read_series({"date": times, "y": [1, 2, 3]}, frequency="hour")
    assert found["y"].start == np.datetime64("2024-03-01T08")
    assert values(found["y"]) == [1, None, 2, 3]
    assert "times between steps of 1 hour, rounded down: 2" in found.told
    regular = read_series({"date": [times[0], times[0] + timedelta(hours=2)], "y": [1, 2]}, frequency="hour")
    assert regular["y"].start == np.datetime64(times[0])
    merged = read_series({"date": times, "y": [1, 2, 3]}, frequency="2 hours", duplicates="mean")
    assert values(merged["y"]) == [1, 2.5]


def test_a_given_frequency_takes_series_of_several():
    table = {"id": ["a"] * 6 + ["b"] * 6, "date": late(HOURS[0], 6) + late(HOURS[0], 24)[::4], "y": [1] * 12}
    found = read_series(table, frequency="hour")
    assert [series.steps for series in found] == [6, 21]


def test_last_trading_days_are_months():
    table = {"date": ["2020-01-31", "2020-02-28", "2020-03-31", "2020-04-30", "2020-05-29"], "y": [1, 2, 3, 4, 5]}
    for frequency, start in (("month", "2020-01-01"), ("month end", "2020-01-31")):
        found = read_series(table, frequency=frequency)
        assert (found["y"].start, values(found["y"])) == (np.datetime64(start), [1, 2, 3, 4, 5])


def test_series_without_values_are_left_out_when_asked():
    table = {"id": ["a", "b", "a", "c"], "date": [DAYS[0], DAYS[0], DAYS[1], DAYS[1]], "y": [None, 1, None, 2]}
    found = read_series(table, drop_empty=True, frequency="day")
    assert {series.name: values(series) for series in found} == {"b": [1], "c": [2]}
    assert "left out for having no value at all: 'a'" in found.told
    with pytest.raises(DataError, match=r"There is no series 'B'\. Did you mean 'b'\?"):
        found["B"]


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_every_value_lands_at_its_time(data):
    frequency = Frequency.parse(
        data.draw(st.sampled_from(["30 minutes", "day", "month", "month end", "year", "7 steps"]))
    )
    day = "2023-12-15" if frequency.name == "month" else "2023-12-31"
    start = 1000 if frequency.counts else np.datetime64(day, "us")
    names = data.draw(st.lists(st.text("abc", min_size=1), min_size=1, max_size=4, unique=True))
    drawn = []
    for name in names:
        steps = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True))
        drawn += [(name, time, float(i + 1)) for i, time in enumerate(frequency.at(start, sorted(steps)))]
    order = data.draw(st.permutations(range(len(drawn))))
    ids, times, numbers = zip(*(drawn[i] for i in order), strict=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_AT_ONCE", data.draw(st.sampled_from([1 << 20, 1, 5])))
        found = read_series({"id": ids, "time": np.array(times), "y": numbers}, sort=True, frequency=frequency)
    got = {
        (series.name, str(time)): value
        for series in found
        for time, value in zip(found.times(series.name), series.values[:, 0], strict=True)
        if not np.isnan(value)
    }
    assert got == {(name, str(time)): value for name, time, value in drawn}
    assert set(found.names) == set(names)


REAL = {
    "classic_series/airline-passengers.csv": ({}, (1, 144, "month", 12)),
    "classic_series/daily-min-temperatures.csv": ({}, (1, 3652, "day", 7)),
    "classic_series/monthly-sunspots.csv": ({}, (1, 2820, "month", 12)),
    "etth1/ETTh1.csv.gz": ({}, (1, 17420, "hour", 24)),
    "m4_hourly/Hourly-train.csv.gz": ({"frequency": "hour"}, (414, 353500, "step", 24)),
    "m4_hourly/Hourly-test.csv": ({"frequency": "hour"}, (414, 414 * 48, "step", 24)),
    "nab/data/realAWSCloudwatch/ec2_cpu_utilization_5f5533.csv": ({}, (1, 4032, "5 minutes", 288)),
    "nab/data/realKnownCause/ambient_temperature_system_failure.csv.gz": ({}, (1, 7888, "hour", 24)),
    "nab/data/realKnownCause/nyc_taxi.csv.gz": ({}, (1, 10320, "30 minutes", 48)),
    "nab/data/realKnownCause/machine_temperature_system_failure.csv.gz": (
        {"sort": True, "duplicates": "mean"}, (1, 22683, "5 minutes", 288)),
    "nab/data/realKnownCause/ec2_request_latency_system_failure.csv": (
        {"frequency": "5 minutes", "duplicates": "first"}, (1, 4033, "5 minutes", 288)),
    "nab/data/realTraffic/TravelTime_387.csv": (
        {"frequency": "5 minutes", "duplicates": "mean"}, (1, 19907, "5 minutes", 288)),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_is_read(name):
    if not (DATA / name).is_file():
        pytest.skip(f"{name} does not lie beside the checkout")
    options, want = REAL[name]
    found = read_series(DATA / name, **options)
    assert (len(found), found.steps, found.frequency.name, found.frequency.season) == want
    for option in options.keys() - {"frequency"}:
        with pytest.raises(DataError, match=f"{option}="):
            read_series(DATA / name, **{key: value for key, value in options.items() if key != option})
