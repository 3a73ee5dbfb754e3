"""Tables from files, frames and dicts."""

import csv
import gzip
import io
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricorso.data.delimited import read_delimited
from ricorso.data.table import numbers_of, read_table, scan_table
from ricorso.errors import DataError, UsageError

ROWS = {"day": ["2024-01-01", "2024-01-02"], "sold": [5, 7], "price": [1.5, None]}
FRAME = pl.DataFrame(ROWS)


def write(path, content: bytes):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def parquet() -> bytes:
    file = io.BytesIO()
    FRAME.write_parquet(file)
    return file.getvalue()


CONTENTS = {
    "a.csv": b"day,sold,price\n2024-01-01,5,1.5\n2024-01-02,7,\n",
    "b.csv": b'\xef\xbb\xbf"day";"sold";"price"\r\n"2024-01-01";"5";"1.5"\r\n"2024-01-02";"7";"NA"\r\n',
    "c.tsv": b"day\tsold\tprice\n2024-01-01\t5\t1.5\n\n2024-01-02\t7\t\n\n",
    "d.txt": b"day sold price\n2024-01-01 5 1.5\n2024-01-02 7 nan\n",
    "e.jsonl": b'{"day": "2024-01-01", "sold": 5, "price": 1.5}\n{"day": "2024-01-02", "sold": 7, "price": null}\n',
    "f.ndjson": b'{"day": "2024-01-01", "sold": 5, "price": 1.5}\n{"day": "2024-01-02", "sold": 7}\n',
    "g.parquet": parquet(),
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_kind_of_file_gives_the_same_table(tmp_path, name, packed):
    table = read_table(write(tmp_path / (name + packed), CONTENTS[name]))
    assert table.equals(FRAME, null_equal=True)
    assert table.schema == FRAME.schema


class Values:
    """A column of a stand-in for pandas."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def to_numpy(self):
        return self.values

    def isna(self):
        return Values([value is None or value != value for value in self.values.tolist()])


class Index(Values):
    name = None


class Pandas:
    """What is asked of a pandas frame."""

    def __init__(self, columns, index):
        self.columns, self.index, self._data = list(columns), Index(index), columns

    def __getitem__(self, name):
        return Values(self._data[name])

    def to_dict(self):
        return self._data


def test_frames_and_dicts_give_the_same_table():
    pandas = {"day": np.array(ROWS["day"], object), "sold": np.array([5, 7]), "price": np.array([1.5, None], object)}
    for source in (FRAME, FRAME.lazy(), ROWS, {"day": ROWS["day"], "sold": np.array([5, 7]), "price": [1.5, None]}):
        assert read_table(source).equals(FRAME, null_equal=True)
    assert read_table(Pandas(pandas, [0, 1])).equals(FRAME, null_equal=True)


def test_a_missing_text_of_a_frame_is_no_text():
    table = read_table(Pandas({"city": np.array(["Bonn", float("nan"), None], object)}, [0, 1, 2]))
    assert table["city"].to_list() == ["Bonn", None, None]


def test_an_index_of_times_is_a_column():
    days = np.array(["2024-01-01", "2024-01-02"], "datetime64[ns]")
    table = read_table(Pandas({"sold": np.array([5, 7])}, days))
    assert table.columns == ["time", "sold"]
    assert table["time"][1] == datetime(2024, 1, 2)
    zoned = np.array([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)], object)
    assert str(read_table(Pandas({"sold": np.array([5, 7])}, zoned)).schema["time"]).endswith("time_zone='UTC')")


def test_numbers_beside_text_stay_what_they_are(tmp_path):
    table = read_table(write(tmp_path / "x.csv", b"id,n,mixed\n007,1,1\n008,2.5,x\n,NaN,\n"))
    assert table.rows() == [("007", 1.0, "1"), ("008", 2.5, "x"), (None, None, None)]


def test_blank_lines_are_rows_only_between_single_values(tmp_path):
    assert read_table(write(tmp_path / "x.csv", b"y\n1\n\n3\n\n\n"))["y"].to_list() == [1, None, 3]


BROKEN = [
    ("x.csv", b"", "x.csv is empty"),
    ("x.csv", b" \n", "x.csv is empty"),
    ("x.csv", b"a,b\n", "has columns ('a', 'b') but no rows"),
    ("x.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, more than the 2 of the header"),
    ("x.csv", b'a,b\n"1\n1",2\n1\n', "line 4 has 1 field, fewer than the 2 of the header"),
    ("x.csv", b"a,b,a\n1,2,3\n", "line 1: columns 1 and 3 are both named 'a'"),
    ("x.csv", b"a,b\n1,\xe92\n", "line 2, column 3: byte 0xe9 is not valid utf-8"),
    ("x.csv", "a,b\n1,2\n".encode("utf-16"), "encoded as utf-16, not utf-8; pass encoding='utf-16'"),
    ("x.csv", b"a,b\n1,\0\n", "looks like a binary file"),
    ("x.csv", b"1,2\n3,4\n", "line 1 holds numbers (1,2) where column names were expected"),
    ("x.csv", b'a,b\n1,2\n1,"2\n3,4\n', "line 3: a quote is opened in this line and never closed"),
    ("x.csv.gz", b"a,b\n", "named .gz but is not gzip-compressed"),
    ("x.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-9], "damaged or truncated gzip file"),
    ("x.parquet", b"a,b\n1,2\n", "cannot be read as a Parquet file"),
    ("x.jsonl", b'{"a": 1}\n\n{"a": }\n', "line 3, column 7: not JSON"),
    ("x.jsonl", b'{"a": 1}\n[1]\n', "line 2: an object such as"),
    ("x.docx", b"a", "named as no kind of table"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=[message[:30] for _, _, message in BROKEN])
def test_a_broken_file_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_table(tmp_path / name)
    assert message in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize("read", [read_table, scan_table])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(DataError, match=r"There is no file '.*gone\.csv'"):
        read(tmp_path / "gone.csv")


def test_another_encoding_is_read_when_named(tmp_path):
    path = write(tmp_path / "x.csv", "stadt,n\nKöln,1\n".encode("latin-1"))
    assert read_table(path, encoding="latin-1")["stadt"][0] == "Köln"
    with pytest.raises(UsageError, match="no text encoding 'latin-99'"):
        read_table(path, encoding="latin-99")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"a": [1], "b": [1, 2]}, "equally long; these are not: 'a' 1, 'b' 2"),
        ({"a": 3}, "Column 'a' is 3"),
        ({"a": np.zeros((2, 2))}, "Column 'a' has 2 dimensions"),
        ({"a": [object()]}, "Column 'a' holds object"),
        ({}, "no columns"),
        ({"a": []}, "no rows"),
        (Pandas({"a": np.array([1])}, [0]).columns * 2, "not from list"),
    ],
)
def test_a_source_that_is_no_table_is_refused(source, message):
    with pytest.raises((DataError, UsageError)) as error:
        read_table(source)
    assert message in str(error.value)


def test_text_among_numbers_is_named_with_its_row():
    table = pl.DataFrame({"sold": ["1", " 2 ", "NA", None, "3,5"]})
    with pytest.raises(DataError, match=r"x\.csv, column 'sold', row 5: '3,5' is not a number\. Write decimals"):
        numbers_of(table, "sold", "x.csv")
    found = numbers_of(table.head(4), "sold", "x.csv")
    np.testing.assert_array_equal(found, [1, 2, np.nan, np.nan])


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"has no column 'Sold'\. Did you mean 'sold'\? It has 'day', 'sold', 'price'"):
        numbers_of(FRAME, "Sold", "x.csv")
    with pytest.raises(DataError, match="holds Date"):
        numbers_of(FRAME.with_columns(pl.col("day").str.to_date()), "day", "x.csv")


@pytest.mark.parametrize("name", ["a.csv", "b.csv", "c.tsv", "g.parquet", "a.csv.gz"])
def test_a_file_is_scanned_without_reading_it(tmp_path, name):
    path = write(tmp_path / name, CONTENTS[name.removesuffix(".gz")])
    assert scan_table(path).select(pl.col("sold").cast(pl.Int64).sum()).collect().item() == 12


def test_json_lines_cannot_be_scanned(tmp_path):
    with pytest.raises(DataError, match="only be read whole"):
        scan_table(write(tmp_path / "x.jsonl", CONTENTS["e.jsonl"]))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_what_the_csv_module_writes_is_read_back(rows, separator):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    table = read_delimited(file.getvalue().encode(), "x.csv")
    assert [tuple(text or "" for text in row) for row in table.rows()] == rows


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=6), st.data())
def test_a_line_of_another_width_is_found_where_it_is(rows, data):
    wrong = data.draw(st.integers(0, len(rows) - 1))
    rows = [list(row) for row in rows]
    rows[wrong] = data.draw(st.sampled_from([rows[wrong][:2], [*rows[wrong], "more"]]))
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *rows])
    before = sum(text.count("\n") for row in rows[:wrong] for text in row)
    with pytest.raises(DataError) as error:
        read_delimited(file.getvalue().encode(), "x.csv")
    assert f"x.csv, line {wrong + 2 + before} has {len(rows[wrong])} fields" in str(error.value)
