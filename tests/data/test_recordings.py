"""Series as examples: arrays, tables with a row for each step, folders of tables and `.ts` files."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ricorso.data.examples import ExampleColumns, read_examples
from ricorso.errors import DataError, UsageError

NAN = float("nan")
SERIES = [[[1.0, 2.0], [3.0, NAN], [5.0, 6.0]], [[7.0, 8.0]]]
LABELS = (("walk",), ("run",))


def same(inputs: Any, wanted: Any = SERIES) -> None:
    assert len(inputs) == len(wanted)
    for found, values in zip(inputs, wanted, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.array(values, np.float32))


def table(**other: Any) -> dict[str, Any]:
    # the rows of the examples stand in one another's midst, and not in the order of time
    return {
        "id": ["b", "a", "b", "b"], "t": [2, 0, 0, 1], "x": [5.0, 7.0, 1.0, 3.0], "y": [6.0, 8.0, 2.0, None],
        "label": ["walk", "run", "walk", "walk"], "note": ["p", "q", "p", "p"],
    } | other  # fmt: skip


def test_arrays_of_any_length_are_examples() -> None:
    for source in (SERIES, [np.array(values) for values in SERIES], np.array([*SERIES, 0], object)[:2]):
        examples = read_examples(source, ["walk", "run"])
        same(examples.inputs)
        assert (examples.labels, examples.is_text) == (LABELS, False)
        assert examples.features == ("feature_1", "feature_2")
    block = np.arange(12).reshape(2, 3, 2)
    same(read_examples(block, [0, 1]).inputs, block)
    same(read_examples([[1, 2], [3]], [0, 1]).inputs, [[[1], [2]], [[3]]])
    assert read_examples(SERIES, needs_labels=False).labels is None


def test_a_table_has_a_row_for_each_step() -> None:
    examples = read_examples(table())
    same(examples.inputs)
    assert (examples.labels, examples.ids, examples.features) == (LABELS, ("b", "a"), ("x", "y"))
    assert examples.told == (
        "the rows of one value of 'id' are an example",
        "the label is 'label'",
        "the steps are in the order of 't'",
        "features are 'x', 'y'",
        "'note' is not used",
    )
    columns = ExampleColumns.from_json(examples.columns.to_json())
    new = pl.DataFrame(table()).drop("label").with_columns(more=pl.lit(1.0))
    again = read_examples(new, columns=columns, needs_labels=False)
    same(again.inputs)
    assert again.labels is None
    with pytest.raises(DataError, match="no column 'y'"):
        read_examples(new.drop("y"), columns=columns, needs_labels=False)
    with pytest.raises(DataError, match="holds texts; the model was trained on series"):
        read_examples(["text"], columns=columns, needs_labels=False)


def test_a_file_gives_what_its_table_gives(tmp_path: Path) -> None:
    pl.DataFrame(table()).write_csv(tmp_path / "a.csv")
    pl.DataFrame(table()).write_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        examples = read_examples(tmp_path / name)
        same(examples.inputs)
        assert examples.labels == LABELS


def test_columns_can_be_named() -> None:
    columns = {
        "who": ["b", "b", "a"],
        "when": ["1 May 2020", "30 Apr 2020", "1 May 2020"],
        "v": [1, 2, 3],
        "w": [0, 0, 0],
    }
    examples = read_examples(columns, ["x", "y"], example="who", time="when", features=["v"])
    same(examples.inputs, [[[2], [1]], [[3]]])
    assert examples.labels == (("x",), ("y",))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"label": ["walk", "run", "run", "walk"]}, {}, "column 'label', row 3: the label of example 'b' changes from"),
        ({"x": [1.0, 2.0, float("inf"), 1.0]}, {}, "column 'x', row 3: inf is infinite or too large"),
        ({"x": [1.0, 2.0, 1e300, 1.0]}, {}, "column 'x', row 3: 1e[+]300 is infinite or too large"),
        ({"x": ["1", "2", "3", "four"]}, {}, "column 'x', row 4: 'four' is not a number"),
        ({"x": ["1", "2", "3", "4,5"]}, {"features": ["x"]}, "Write decimals with a point"),
        ({"id": ["b", None, "b", "b"]}, {}, "column 'id', row 2: the example is missing"),
        ({"t": [1, None, 2, 3]}, {}, "column 't', row 2: the time is missing"),
        ({"label": ["walk", None, "walk", "walk"]}, {}, r"no label \(example 'a'\)"),
        ({}, {"features": ["z"]}, "no column 'z'"),
        ({}, {"features": ["x"], "example": "idd"}, "no column 'idd'. Did you mean 'id'"),
        ({"id": [1.5, 2.5, 1.5, 1.5]}, {"features": ["x"]}, "no column that clearly says which rows are one example"),
        (
            {"x": ["a", "b", "a", "b"], "y": ["a", "b", "a", "b"]},
            {"example": "id", "time": "t"},
            "no column of numbers",
        ),
    ],
)
def test_bad_tables_are_told(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_examples(table(**change), **options)


def test_a_table_without_labels_is_told() -> None:
    columns = table()
    del columns["label"], columns["note"]
    with pytest.raises(DataError, match="no column that is clearly the label"):
        read_examples(columns)
    assert read_examples(columns, ["walk", "run"]).labels == LABELS


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 4))], "example 2 has 4 features, example 1 has 2"),
        ([np.zeros((3, 2)), np.zeros((0, 2))], "example 2 has no steps"),
        ([np.zeros((3, 2)), []], "example 2 has"),
        ([np.zeros((3, 0))], "example 1 has no features"),
        ([[[1.0, float("-inf")]]], "example 1, step 1, feature 2: the value is infinite"),
        ([[1.0, 1e300]], "example 1, step 2, feature 1: the value is infinite"),
        ([[["a"]]], "example 1 holds <U1, not numbers"),
        ([[[1, 2], [3]]], "do not have the same number of features"),
        ([np.zeros((3, 2)), None], "example 2 is None"),
        ([np.zeros((1, 3, 2))], r"has shape \(1, 3, 2\)"),
        (np.zeros((3, 2)), r"shape \(3, 2\). One series of one feature each is x\[:, :, None\]"),
        (np.zeros((2, 3, 2), object), "not numbers"),
    ],
)
def test_bad_arrays_are_told(source: Any, message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        read_examples(source, [0] * len(source))


def test_a_folder_has_a_subfolder_for_each_label_and_a_table_for_each_series(tmp_path: Path) -> None:
    for name, content in {"walk/1.csv": "t,x,y\n2,5,6\n0,1,2\n1,3,\n", "run/2.csv": "t,x,y\n0,7,8\n"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    examples = read_examples(tmp_path)
    same(examples.inputs, SERIES[::-1])
    assert (examples.labels, examples.ids) == (LABELS[::-1], ("run/2.csv", "walk/1.csv"))
    again = read_examples(tmp_path / "walk", columns=examples.columns, needs_labels=False)
    same(again.inputs, SERIES[:1])
    assert again.labels is None
    (tmp_path / "walk/3.csv").write_text("t,x\n0,1\n")
    with pytest.raises(DataError, match=r"walk/3\.csv has no column 'y'"):
        read_examples(tmp_path)
    (tmp_path / "walk/3.csv").write_text("t,x,y\n")
    with pytest.raises(DataError, match=r"walk/3\.csv has no steps"):
        read_examples(tmp_path)
    (tmp_path / "walk/3.csv").rename(tmp_path / "walk/3.txt")
    with pytest.raises(DataError, match=r"holds tables such as 2\.csv and others such as 3\.txt"):
        read_examples(tmp_path)


def test_tables_without_names_and_tables_with_a_label_are_examples(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.csv").write_text("1,2\n3,nan\n5,6\n")
    (tmp_path / "a/2.csv").write_text("7,8\n")
    same(read_examples(tmp_path).inputs)
    (tmp_path / "a/2.csv").write_text("7,8,9\n")
    with pytest.raises(DataError, match=r"2\.csv has 3 columns, .*1\.csv has 2"):
        read_examples(tmp_path)
    with pytest.raises(DataError, match="no column of labels"):
        read_examples(tmp_path / "a")
    (tmp_path / "a/1.csv").write_text("x,y,label\n1,2,walk\n3,,walk\n5,6,walk\n")
    (tmp_path / "a/2.csv").write_text("x,y,label\n7,8,run\n")
    examples = read_examples(tmp_path / "a")
    same(examples.inputs)
    assert examples.labels == LABELS
    (tmp_path / "a/2.csv").write_text("x,y,label\n7,8,run\n7,8,walk\n")
    with pytest.raises(DataError, match=r"2\.csv, column 'label', row 2: the label changes from 'run' to 'walk'"):
        read_examples(tmp_path / "a")


HEAD = "# from the archive\n@problemName x\n@timeStamps false\n@classLabel true walk run\n@data\n"


def test_ts_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.ts"
    path.write_text(HEAD + "1,3,5:2,?,6:walk\n7:8:run\n")
    examples = read_examples(path)
    same(examples.inputs)
    assert (examples.labels, examples.features) == (LABELS, ("feature_1", "feature_2"))
    path.write_text(HEAD.replace("true walk run", "false") + "1,3,5:2,?,6\n7:8\n")
    same(read_examples(path, needs_labels=False).inputs)
    with pytest.raises(DataError, match="has no labels"):
        read_examples(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + "1,2:3,4:walk\n1,2:run\n", "line 7 has 1 dimensions, 2 were expected beside the class"),
        (HEAD + "1,2:3:walk\n", "line 6, dimension 2 has 1 values, dimension 1 has 2"),
        (HEAD + "1,2:3,x:walk\n", "line 6, dimension 2: numbers were expected"),
        (HEAD + "1,2:3,inf:walk\n", "line 6, step 2, feature 2: the value is infinite"),
        (HEAD + "::walk\n", "line 6 has no steps"),
        (HEAD, "no line '@data' with series"),
        (HEAD.replace("timeStamps false", "timeStamps true"), "line 3: values with time stamps"),
        ("1,2:walk\n", "line 1: a line '@data' was expected"),
    ],
)
def test_bad_ts_files_are_told(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.ts"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_examples(path)
