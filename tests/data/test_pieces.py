"""Large files read piece by piece say the same as the same files read whole."""

import gzip
import random
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ricorso.data import pieces
from ricorso.data.pieces import Pieces
from ricorso.data.series import read_series
from ricorso.errors import DataError


@pytest.fixture
def small_pieces(monkeypatch):
    """Every file is large, and its pieces are short."""
    for name, size in {"_LARGE": 0, "_PIECE": 256, "_MANY_CELLS": 0, "_CELLS": 12}.items():
        monkeypatch.setattr(pieces, name, size)


def text(frame: pl.DataFrame, **options) -> bytes:
    return frame.write_csv(**options).encode()


def write(path, content: bytes):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def same(path, **options):
    """Read whole and in pieces: equal series, told in the same words."""
    read_in_pieces = read_series(path, **options)
    assert Pieces.of(path) is not None
    with pytest.MonkeyPatch.context() as whole:
        whole.setattr(Pieces, "of", lambda source: None)
        read_whole = read_series(path, **options)
    assert read_in_pieces.told == read_whole.told
    assert read_in_pieces.columns == read_whole.columns
    assert read_in_pieces.frequency == read_whole.frequency
    assert read_in_pieces.names == read_whole.names
    for one, other in zip(read_in_pieces, read_whole, strict=True):
        assert (one.start, one.static) == (other.start, other.static)
        for part in ("values", "known", "past"):
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
    return read_in_pieces


def error_of(path, **options) -> str:
    with pytest.raises(DataError) as error:
        read_series(path, **options)
    return str(error.value)


def same_error(path, **options) -> str:
    in_pieces = error_of(path, **options)
    with pytest.MonkeyPatch.context() as whole:
        whole.setattr(Pieces, "of", lambda source: None)
        assert error_of(path, **options) == in_pieces
    return in_pieces


STARTS = {"a": datetime(2024, 1, 30), "b": datetime(2024, 2, 2), "c": datetime(2023, 12, 31)}
WAYS = {
    "iso": "%Y-%m-%d %H:%M:%S", "iso in UTC": "%Y-%m-%dT%H:%M:%SZ", "zone": "%Y-%m-%dT%H:%M:%S+02:00",
    "German": "%d.%m.%Y %H:%M", "American": "%m/%d/%Y %H:%M", "seconds": "%s",
}  # fmt: skip


def frame(way="%Y-%m-%d %H:%M:%S", steps=24, names=("a", "b", "c")) -> pl.DataFrame:
    """Series by series, with gaps, covariates and static columns."""
    draw = random.Random(0)
    rows = []
    for name, start in zip(names, STARTS.values(), strict=True):
        for step in range(steps):
            if 0 < step < steps - 1 and draw.random() < 0.2:
                continue
            moment = start + timedelta(hours=6 * step)
            written = str(int((moment - datetime(1970, 1, 1)).total_seconds())) if way == "%s" else moment.strftime(way)
            value = None if draw.random() < 0.2 and 0 < step < steps - 1 else round(draw.gauss(0, 1), 3)
            rows.append((name, written, value, step % 3, draw.random(), f"town {name}", ord(str(name)[0])))
    columns = ["id", "time", "y", "known", "past", "town", "size"]
    return pl.DataFrame(rows, schema=columns, orient="row")


ROLES = {"targets": "y", "known": "known", "past": "past", "static": ["town", "size"]}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("way", WAYS)
def test_times_are_read_in_pieces_however_they_are_written(tmp_path, way):
    table = frame(WAYS[way])
    found = same(write(tmp_path / "x.csv", text(table)), **ROLES)
    assert found.frequency.name == "6 hours"
    assert found["b"].static == ("town b", 98.0)
    table.write_parquet(tmp_path / "x.parquet", row_group_size=7)
    same(tmp_path / "x.parquet", **ROLES)


@pytest.mark.usefixtures("small_pieces")
def test_order_layout_and_packing_do_not_matter(tmp_path):
    table = frame()
    mixed = table.sort("time", maintain_order=True)
    for name, content in {
        "mixed.csv": text(mixed),
        "packed.csv.gz": text(mixed),
        "quoted.csv": text(mixed.with_columns(town=pl.lit('a "new"\n\ntown')), quote_style="always"),
        "semicolon.csv": text(mixed, separator=";", line_terminator="\r\n").rstrip(),
        "mark.csv": b"\xef\xbb\xbf" + text(mixed),
        "missing.csv": text(mixed, null_value="NA"),
        "blank.csv": text(mixed) + b"\n" * 1000,
    }.items():
        same(write(tmp_path / name, content), **ROLES)
    same(write(tmp_path / "x.csv", text(table.select("id", "time", "y"))))
    same(write(tmp_path / "one.csv", text(table.filter(id="a").select("time", "y"))))
    same(write(tmp_path / "rows.csv", text(table.select("id", "y"))), drop_empty=True)
    wide = table.pivot("id", index="time", values="y").sort("time")
    same(write(tmp_path / "wide.csv", text(wide)), wide=True)
    turned = wide.drop("time").transpose(include_header=True, header_name="id")
    same(write(tmp_path / "turned.csv", text(turned)), wide="rows")
    parquet = table.with_columns(pl.col("time").str.to_datetime(), pl.col("id").cast(pl.Categorical))
    parquet.write_parquet(tmp_path / "x.parquet", row_group_size=9)
    same(tmp_path / "x.parquet", **ROLES)
    zoned = parquet.with_columns(pl.col("time").dt.replace_time_zone("Europe/Berlin"))
    zoned.write_parquet(tmp_path / "zone.parquet")
    assert any("Europe/Berlin, read as UTC" in told for told in same(tmp_path / "zone.parquet", **ROLES).told)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("names", [(1, 2, 3), (1.5, 2.5, 3.0), ("007", "08", "9"), ("1", "2.0", "+3"), ("1", "x", "y")])
def test_names_that_are_numbers_are_the_same_names(tmp_path, names):
    table = frame(names=names)
    path = write(tmp_path / "x.csv", text(table.select("id", "time", "y")))
    same(path, series="id")
    numbers = table.select("id", "time", "y")
    numbers.write_parquet(tmp_path / "x.parquet")
    same(tmp_path / "x.parquet", series="id")


@pytest.mark.usefixtures("small_pieces")
def test_a_number_is_one_name_in_whatever_way_it_is_written(tmp_path):
    table = frame(names=("1", "2", "3")).select("id", "time", "y")
    even = pl.int_range(pl.len()) % 2 == 0
    table = table.with_columns(pl.when(even).then("id").otherwise(pl.col("id") + ".0"))
    assert same(write(tmp_path / "x.csv", text(table)), series="id").names == ("1.0", "2.0", "3.0")


@pytest.mark.usefixtures("small_pieces")
def test_new_data_are_read_in_pieces_in_the_same_roles(tmp_path):
    path = write(tmp_path / "x.csv", text(frame()))
    first = read_series(path, **ROLES)
    again = same(path, columns=first.columns, frequency=first.frequency)
    assert again.told == tuple(told for told in first.told if told.startswith(("missing", "rows")))
    other = write(tmp_path / "z.csv", text(frame().rename({"y": "z"})))
    assert "has no column 'y'" in error_of(other, columns=first.columns)


LINES = text(frame()).splitlines()
LATE = 30
BROKEN = {
    "a field too many": (LINES[LATE] + b",1", f"x.csv, line {LATE + 1} has 8 fields, more than the 7 of the header"),
    "a field too few": (b"a,2024-03-01", f"x.csv, line {LATE + 1} has 2 fields, fewer"),
    "encoding": (LINES[LATE] + b"\xe9", f"x.csv, line {LATE + 1}, column"),
    "no number": (b"c,2024-01-01 00:00:00,much,0,0,t,1", f"x.csv, column 'y', row {LATE}: 'much' is not a number"),
    "infinite": (b"c,2024-01-01 00:00:00,inf,0,0,t,1", f"x.csv, column 'y', row {LATE}: the value is infinite"),
    "no time": (b"c,soon,1,0,0,t,1", f"column 'time', row {LATE}: 'soon' is not a time. Other rows are written like"),
    "no date": (b"c,2024-13-01 00:00:00,1,0,0,t,1", f"column 'time', row {LATE}: '2024-13-01 00:00:00' is not a time"),
    "missing time": (b"c,,1,0,0,t,1", f"column 'time', row {LATE}: the time is missing"),
    "nameless": (b",2024-01-01 00:00:00,1,0,0,t,1", f"row {LATE}: the name of the series is missing"),
    "out of order": (b"b,2020-01-01 00:00:00,1,0,0,town b,98", f"row {LATE}: the times of series 'b' are not in order"),
    "static": (LINES[LATE].replace(b"town b", b"Rome"), f"row {LATE}: static column 'town' changes in series 'b'"),
}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_far_into_a_file_is_named_with_its_place(tmp_path, name):
    line, message = BROKEN[name]
    path = write(tmp_path / "x.csv", b"\n".join([*LINES[:LATE], line, *LINES[LATE + 1 :]]))
    assert message in same_error(path, time="time", **ROLES)


@pytest.mark.usefixtures("small_pieces")
def test_dates_the_german_way_name_the_row_of_one_that_is_none(tmp_path):
    lines = text(frame("%d.%m.%Y %H:%M")).splitlines()
    lines[LATE] = b"b,32.01.2024 00:00,1,0,0,t,1"
    message = same_error(write(tmp_path / "x.csv", b"\n".join(lines)), time="time", **ROLES)
    assert f"row {LATE}: '32.01.2024 00:00' is not a time" in message


@pytest.mark.usefixtures("small_pieces")
def test_numbers_for_times_must_stay_numbers(tmp_path):
    lines = text(frame("%s")).splitlines()
    lines[LATE] = b"b,2024-03-01,1,0,0,t,1"
    message = error_of(write(tmp_path / "x.csv", b"\n".join(lines)), time="time", **ROLES)
    assert f"row {LATE}: '2024-03-01' is not a time; the rows before have numbers" in message


@pytest.mark.usefixtures("small_pieces")
def test_damaged_files_and_open_quotes_are_named(tmp_path, monkeypatch):
    content = text(frame())
    damaged = tmp_path / "x.csv.gz"
    damaged.write_bytes(gzip.compress(content)[:-100])
    assert "damaged gzip file" in error_of(damaged)
    monkeypatch.setattr(pieces, "_LONGEST_RECORD", 1000)
    lines = content.splitlines()
    lines[LATE] += b'"'
    message = error_of(write(tmp_path / "y.csv", b"\n".join(lines)))
    assert f"line {LATE + 1}: a quote is opened in this line and not closed within" in message


def test_small_files_frames_and_other_kinds_are_read_whole(tmp_path, monkeypatch):
    path = write(tmp_path / "x.csv", b"time,y\n2024-01-01,1\n2024-01-02,2\n")
    assert Pieces.of(path) is None
    monkeypatch.setattr(pieces, "_LARGE", 0)
    assert Pieces.of(path) is not None
    for source in ({"y": [1]}, tmp_path / "gone.csv", write(tmp_path / "x.jsonl", b'{"y": 1}\n')):
        assert Pieces.of(source) is None
    assert Pieces.of(write(tmp_path / "one.csv", b"y\n1\n\n2\n")) is None
    not_parquet = write(tmp_path / "x.parquet", b"no")
    assert Pieces.of(not_parquet) is None


CELLS = st.sampled_from(["", "1", "2.5", "NA", "x", '"a\nb"', '"a,""b"', " 3", "1e3"])


@pytest.mark.usefixtures("small_pieces")
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=40))
def test_records_are_never_cut(tmp_path, rows):
    content = "a,b,c\n" + "".join(f"{','.join(row)}\n" for row in rows)
    path = write(tmp_path / "x.csv", content.encode())
    found = list(Pieces(path)._tables(None))
    if any(cell for row in rows for cell in row):
        whole = pieces.read_delimited(content.encode(), "x.csv")
        assert pl.concat(found).rows() == whole.rows()
