"""Labelled examples: what is read from each kind of source, how it is split, and what is said of bad input."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ricorso.data.examples import ExampleColumns, read_examples, split_examples
from ricorso.data.labelled_text import delimiter_of
from ricorso.errors import DataError, RunError, UsageError

TEXTS = ["a fine film", 'so-called "drama", dull', "good; truly"]
LABELS = (("pos",), ("neg",), ("pos",))

FILES = {
    "a.csv": b'text,label\na fine film,pos\n"so-called ""drama"", dull",neg\ngood; truly,pos\n',
    "b.csv": b'\xef\xbb\xbf"label","text"\r\n"pos","a fine film"\r\n"neg","so-called ""drama"", dull"\r\n'
    b'"pos","good; truly"\r\n',
    "c.csv": b'pos,a fine film\nneg,"so-called ""drama"", dull"\npos,good; truly\n',
    "d.tsv": b'a fine film\tpos\nso-called "drama", dull\tneg\ngood; truly\tpos\n',
    "e.tsv": b'sentence\tclass\na fine film\tpos\n\nso-called "drama", dull\tneg\ngood; truly\tpos\n\n',
    "f.tsv": b'sentence\tclass\na fine film\tpos\n"so-called ""drama"", dull"\tneg\ngood; truly\tpos\n',
    "g.txt": b'pos a fine film\nneg so-called "drama", dull\npos good; truly\n',
    "h.label": b'pos:x a fine film\nneg:y so-called "drama", dull\npos:y good; truly\n',
    "i.ft": b'__label__pos\ta fine film\n__label__neg so-called "drama", dull\n__label__pos good; truly\n',
    "j.txt": b'a fine film\tpos\nso-called "drama", dull\tneg\ngood; truly\tpos\n',
    "k.jsonl": "\n".join(
        json.dumps({"text": t, "label": lab[0]}) for t, lab in zip(TEXTS, LABELS, strict=True)
    ).encode(),
}


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_text_file_gives_the_same_examples(tmp_path: Path, name: str, packed: str) -> None:
    path = write(tmp_path / (name + packed), FILES[name])
    examples = read_examples(path, label_until=":")
    assert examples.inputs == TEXTS
    assert examples.labels == LABELS
    assert examples.is_text
    assert not examples.several
    assert examples.counts() == {"neg": 1, "pos": 2}


@pytest.mark.parametrize("name", ["a.csv", "d.tsv", "g.txt", "k.jsonl", "i.ft"])
def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FILES[name])))
    examples = read_examples("-")
    assert (examples.inputs, examples.labels, examples.where) == (TEXTS, LABELS, "standard input")


def test_parquet_frames_dicts_and_lists_give_the_same_examples(tmp_path: Path) -> None:
    columns = {"text": TEXTS, "label": [label for (label,) in LABELS]}
    frame = pl.DataFrame(columns)
    frame.write_parquet(tmp_path / "a.parquet")
    categorical = frame.with_columns(pl.col("label").cast(pl.Categorical))
    for source in (tmp_path / "a.parquet", frame, frame.lazy(), columns, categorical):
        examples = read_examples(source)
        assert (examples.inputs, examples.labels) == (TEXTS, LABELS)
    for texts, labels in ((TEXTS, columns["label"]), (np.array(TEXTS), np.array(columns["label"]))):
        examples = read_examples(texts, labels)
        assert (examples.inputs, examples.labels, examples.columns.layout) == (TEXTS, LABELS, "arrays")


def test_a_quoted_field_holds_line_breaks_and_more_than_a_mebibyte(tmp_path: Path) -> None:
    long = "wörd " * 300_000
    path = write(tmp_path / "a.csv", f'1,"one\nline ""more"""\n2,"{long}"\n1,short\n'.encode())
    examples = read_examples(path)
    assert examples.inputs == ['one\nline "more"', long, "short"]
    path = write(tmp_path / "b.csv", f'label,text\n1,"one\n\nline"\n2,"{long}"\n'.encode())
    assert read_examples(path).inputs == ["one\n\nline", long]


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\t"), min_size=1), min_size=1, max_size=6),
    st.sampled_from([(",", ".csv"), ("\t", ".tsv"), (";", ".csv")]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_writer_of_delimited_text_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    kind: tuple[str, str],
    quoting: Literal[0, 1],
    header: bool,
    ending: str,
) -> None:
    texts = [text if text.strip() else f"_{text}" for text in texts]
    path = tmp_path_factory.mktemp("written") / f"a{kind[1]}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=kind[0], quoting=quoting, lineterminator=ending)
        writer.writerows([["label", "text"]] * header + [["x", text] for text in texts])
    columns = {"text": "text", "label": "label"} if header else {"text": "column_2", "label": "column_1"}
    examples = read_examples(path, **columns, header=header, several=False)
    assert examples.inputs == texts
    assert examples.labels == (("x",),) * len(texts)


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "x one\u2028two\x85three\nx four\fx five\n".encode())
    assert read_examples(path).inputs == ["one\u2028two\x85three", "four\fx five"]


def test_columns_of_text_without_names_are_joined(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'"2","Who won","We won it"\n"1","How so","No idea"\n"2","Lost it","A pity"\n')
    examples = read_examples(path)
    assert examples.inputs == ["Who won We won it", "How so No idea", "Lost it A pity"]
    assert examples.labels == (("2",), ("1",), ("2",))
    assert examples.columns.text == ("column_2", "column_3")
    assert not examples.columns.header
    assert examples.told[:2] == (
        "the first line is an example and names no columns; they are called column_1 and so on",
        "the text is 'column_2', 'column_3', joined by a blank",
    )


def test_a_title_is_joined_to_its_text_and_what_is_left_is_told() -> None:
    table = {"Class Index": [3, 1], "Title": ["Up", "Down"], "Description": ["It rose", None], "n": [1, 2]}
    examples = read_examples(table)
    assert examples.inputs == ["Up It rose", "Down"]
    assert examples.labels == (("3",), ("1",))
    assert examples.told[-1] == "'n' is not used"


def test_columns_can_be_named() -> None:
    table = {"label": ["x", "y"], "mood": [1.0, 2.0], "text": ["no", "no"], "said": ["yes", "yes"], "nr": [7, 8]}
    examples = read_examples(table, text="said", label="mood", example="nr")
    assert (examples.inputs, examples.labels, examples.ids) == (["yes", "yes"], (("1",), ("2",)), ("7", "8"))


def test_names_without_meaning_are_guessed_from_what_the_columns_hold() -> None:
    table = {"was": ["a b c", "d e f g", "h i j", "k l"], "wie": ["gut", "schlecht", "gut", "gut"]}
    examples = read_examples(table)
    assert (examples.columns.text, examples.columns.label) == (("was",), ("wie",))


@pytest.mark.parametrize(
    "table",
    [
        {"text": ["a", "b", "c"], "label": [["x", "y"], ["y"], ["z"]]},
        {"text": ["a", "b", "c"], "label": ["x, y", "y", "z"]},
        {"text": ["a", "b", "c"], "label": ["x|y", "y", "z"]},
    ],
)
def test_several_labels_are_seen(table: dict[str, list[object]]) -> None:
    examples = read_examples(table)
    assert examples.several
    assert examples.labels == (("x", "y"), ("y",), ("z",))
    assert examples.counts() == {"x": 1, "y": 2, "z": 1}
    assert any("several labels" in sentence for sentence in examples.told)


def test_a_label_with_a_comma_of_its_own_is_one_label() -> None:
    examples = read_examples({"text": ["a", "b", "c"], "label": ["Bread, Cake", "Sci|Tech", "Bread, Cake"]})
    assert examples.labels == (("Bread, Cake",), ("Sci|Tech",), ("Bread, Cake",))
    assert not examples.several
    assert not read_examples({"text": ["a", "b"], "label": ["Bread, Cake, Tea", "Cake"]}).several
    examples = read_examples({"text": ["a", "b"], "label": ["Bread, Cake", ""]}, several=True)
    assert examples.labels == (("Bread", "Cake"), ())
    assert not read_examples({"text": ["a", "b"], "label": ["x,y", "x"]}, several=False).several
    assert read_examples({"text": ["a", "b"], "label": ["x/y", "z"]}, several=True, separator="/").labels[0] == (
        "x",
        "y",
    )


def test_columns_of_zeros_and_ones_are_several_labels() -> None:
    table = {"text": ["a", "b"], "rude": [1, 0], "loud": [1, 0]}
    examples = read_examples(table, label=["rude", "loud"])
    assert (examples.several, examples.labels) == (True, (("rude", "loud"), ()))
    with pytest.raises(DataError, match="column 'loud', row 2: '3' is neither 0 nor 1"):
        read_examples(table | {"loud": [1, 3]}, label=["rude", "loud"])
    assert read_examples(["a", "b"], np.array([[0, 1], [1, 1]])).labels == (("1",), ("0", "1"))


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("v1,v2,,,\nham,Go on,,,\nham,Free,,,\nspam,Ok,,,\nham,Ok,,,\n", ["Go on", "Free", "Ok", "Ok"]),
        ("Class Index,Title\n1,Up\n2,Down\n", ["Up", "Down"]),
        ("pos,Great review\nneg,Sad\npos,Fine\n", ["Great review", "Sad", "Fine"]),
        ("标签,文本\n1,很好\n0,不好\n", ["很好", "不好"]),
        (
            "x,y\nhello there,no\nhello you,yes\nno one,no\n so it is,no\n",
            ["hello there", "hello you", "no one", " so it is"],
        ),
    ],
)
def test_a_header_is_seen_and_an_example_is_none(tmp_path: Path, content: str, texts: list[str]) -> None:
    assert read_examples(write(tmp_path / "a.csv", content.encode())).inputs == texts


def test_a_repeated_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="columns 1 and 2 are both named 'text'"):
        read_examples(write(tmp_path / "a.csv", b"text,text,label\na b,c,1\n"))


def test_a_column_of_names_may_be_missing_in_new_data() -> None:
    columns = read_examples({"text": ["a", "b"], "label": [1, 2], "id": ["q", "r"]}).columns
    assert columns.example == "id"
    assert read_examples({"text": ["c"]}, columns=columns, needs_labels=False).ids == ("1",)


def test_goemotions_layout(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b'"Oh" she said\t3,7\ted1\nno way\t7\ted2\nwell well\t3\ted3\nso so\t7\ted4\n')
    examples = read_examples(path)
    assert examples.inputs == ['"Oh" she said', "no way", "well well", "so so"]
    assert (examples.labels, examples.ids) == ((("3", "7"), ("7",), ("3",), ("7",)), ("ed1", "ed2", "ed3", "ed4"))


def test_a_file_for_each_label_holds_a_text_on_each_line(tmp_path: Path) -> None:
    write(tmp_path / "Greek.txt", b"Antonakos\n\nKotsiopoulos\r\n")
    write(tmp_path / "Irish.txt.gz", "Ó Mahony\n".encode())
    write(tmp_path / "README.md", b"# Names\n")
    examples = read_examples(tmp_path)
    assert examples.inputs == ["Antonakos", "Kotsiopoulos", "Ó Mahony"]
    assert examples.labels == (("Greek",), ("Greek",), ("Irish",))
    assert examples.ids == ("Greek:1", "Greek:3", "Irish:1")
    assert "'README.md' are not used" in examples.told


def test_a_subfolder_for_each_label_holds_a_text_in_each_file(tmp_path: Path) -> None:
    for name, content in {
        "pos/1.txt": b"Good.\nYes.",
        "neg/2.txt": b"Bad.",
        "unsup/3.txt": b"?",
        "urls.txt": b"-",
    }.items():
        write(tmp_path / "train" / name, content)
    examples = read_examples(tmp_path / "train")
    assert (examples.inputs, examples.ids) == (["Bad.", "Good.\nYes."], ("neg/2.txt", "pos/1.txt"))
    assert examples.labels == (("neg",), ("pos",))
    assert "the folder 'unsup' has no labels and is not used" in examples.told
    new = write(tmp_path / "new" / "9.txt", b"Fine.\nReally.").parent
    assert read_examples(new, columns=examples.columns, needs_labels=False).inputs == ["Fine.\nReally."]
    with pytest.raises(DataError, match="has folders in its subfolders 'train'; give one of these"):
        read_examples(tmp_path)
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with pytest.raises(DataError, match=r"holds no examples\. Its subfolders 'inside' hold no files"):
        read_examples(tmp_path / "empty")


@pytest.mark.parametrize("name", FILES)
def test_other_data_are_read_as_those_of_training_without_labels(tmp_path: Path, name: str) -> None:
    columns = read_examples(write(tmp_path / name, FILES[name])).columns
    columns = ExampleColumns.from_json(json.loads(json.dumps(columns.to_json())))
    again = read_examples(
        tmp_path / name, columns=columns, needs_labels=False, known=["pos", "neg", "pos:x", "pos:y", "neg:y"]
    )
    assert again.inputs == TEXTS
    assert again.labels is not None
    new = write(tmp_path / "new.txt", b"pos films are fine\nnew text\n")
    plain = read_examples(new, columns=columns, needs_labels=False, known=["pos", "neg"])
    assert (plain.inputs, plain.labels) == (["pos films are fine", "new text"], None)
    table = read_examples(
        {name: ["new text"] for name in columns.text or ("text",)}, columns=columns, needs_labels=False
    )
    assert (table.inputs, table.labels) == (["new text"], None)
    assert read_examples(["new text"], columns=columns, needs_labels=False).labels is None
    with pytest.raises(DataError, match="holds series of numbers; the model was trained on texts"):
        read_examples([np.zeros((3, 2))], columns=columns, needs_labels=False)


def test_roles_that_do_not_hold_together_are_refused() -> None:
    good = ExampleColumns("table", True, ("text",)).to_json()
    for change in ({"layout": "cube"}, {"text": "text"}, {"text": [1]}, {"several": 1}, {"time": 3}, {"more": 1}):
        with pytest.raises(RunError, match="run folder is damaged"):
            ExampleColumns.from_json(good | change)
    with pytest.raises(RunError):
        ExampleColumns.from_json({})


BAD_FILES = {
    "empty.csv": (b"", {}, "empty.csv is empty"),
    "blank.csv": (b" \n\n", {}, "holds nothing but blanks"),
    "head.csv": (b"text,label\n", {}, "no rows"),
    "name.csv": (b"text,label\na b,1\n", {"text": "txt"}, r"no column 'txt'\. Did you mean 'text'\?"),
    "short.csv": (b"1,good one\n2,bad,one\n", {}, "line 2 has 3 fields, the first line has 2"),
    "long.csv": (b"label,text\n1,good one\n2,bad,one\n", {}, "line 3 has 3 fields, more than the 2 of the header"),
    "open.csv": (b'1,good\n2,"bad\n3,so\n', {}, "line 2: a quote is opened and not closed"),
    "quote.csv": (b'1,good\n2,"bad" one\n', {}, "line 2: a quote is opened"),
    "latin.csv": (b"1,good\n2,caf\xe9 one\n", {}, r"line 2, column 6: byte 0xe9 is not valid utf-8.*encoding="),
    "wide.csv": ("1,good\n".encode("utf-16"), {}, "encoded as utf-16"),
    "zero.csv": (b"label,text\n1,go\0od\n", {}, "zero"),
    "zero.jsonl": (b'{"text": "go\\u0000od", "label": 1}\n', {}, "row 1: a zero byte stands at character 3"),
    "bad.jsonl": (b'{"text": "good", "label": 1}\n{"text": \n', {}, "line 2, column"),
    "latin.jsonl": (b'{"text": "caf\xe9", "label": 1}\n', {}, "line 1, column"),
    "none.csv": (b"label,text\n1,good\n2,\n1, \n", {}, r"2 of 3 texts are empty \(row 2, row 3\).*drop_empty=True"),
    "unlabelled.csv": (b"label,text\n1,good\n,bad\n", {}, r"1 of 2 examples have no label \(row 2\)"),
    "null.jsonl": (b'{"text": "a", "label": 1}\n{"text": "b", "label": null}\n', {}, r"no label \(row 2\)"),
    "words.txt": (b"one two\nthree\n", {}, "line 2: a label, a blank and a text were expected, got 'three'"),
    "prose.txt": (b"this is\nsome prose\nand no\nlabels anywhere\n", {}, "hardly ever come again"),
    "half.ft": (b"__label__x one\ntwo three\n", {}, r"no label \(line 2\)"),
    "numbers.csv": (b"a,b\n0.5,1\n1.5,2\n", {}, "neither a column of texts nor a column that says which rows"),
    "alone.csv": (b"text\ngood one\nbad one\n", {}, "no column that is clearly the label"),
    "roles.csv": (b"text,label\na b,1\n", {"text": "text", "time": "label"}, "texts or series"),
    "twice.csv": (b"text,label\na b,1\n", {"text": "text", "label": "text"}, "two roles"),
    "two.jsonl": (b'{"text": "a", "label": [1, 2]}\n', {"several": False}, "row 1 has 2 labels where one was wanted"),
    "nested.jsonl": (b'{"text": ["a"], "label": 1}\n', {"text": "text"}, "not texts"),
    "codec.csv": (b"1,good\n", {"encoding": "utf-9"}, "no text encoding 'utf-9'"),
    "cut.csv.gz": (b"", {}, "empty"),
    "nan.jsonl": (b'{"text": "a", "label": 1}\n{"text": "b", "label": NaN}\n', {}, "line 2: .*NaN is no value of JSON"),
    "array.json": (b'[{"text": "a", "label": 1}]\n', {}, r"line 1: an object .* was expected, got '\[\{"),
    "indented.json": (b'{\n "text": ["a"]\n}\n', {}, "line 1, column 2: not JSON"),
    "list.jsonl": (b'{"text": "a", "label": 1}\n[1, 2]\n', {}, r"line 2: an object .* was expected, got '\[1, 2\]'"),
    "hole.csv": (
        b"case,x,label\na,1,u\na,2,u\n,3,v\n",
        {},
        "column 'case', row 3: the example is missing, in 1 of 3 rows",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_told(tmp_path: Path, name: str) -> None:
    content, options, message = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises((DataError, UsageError), match=message) as caught:
        read_examples(path, **options)
    assert name in str(caught.value) or isinstance(caught.value, UsageError)


def test_bad_sources_are_told(tmp_path: Path) -> None:
    for source, labels, message in (
        (tmp_path / "none.csv", None, "no file or folder"),
        (tmp_path, None, "holds no examples"),
        ("some text\nof two lines", None, "a list of texts"),
        (3, None, "not from int"),
        ({"a", "b"}, [1, 2], "not from set"),
        (["a", "\ud800"], [1, 2], "text 2: character 1 is half a character"),
        ([b"a"], [1], "numbers .steps, features. were expected, or a text"),
        ([], [], "holds no examples"),
        (["a", 3], [1, 2], "text 2 is 3; a text was expected"),
        (["a", None], [1, 2], "text 2 is None"),
        (["a", " "], [1, 2], r"1 of 2 texts are empty \(text 2\)"),
        (["a", "b"], [1], "2 examples, but 1 labels"),
        (["a", "b"], None, "has no labels"),
        (["a", "b"], "xy", "labels should be a list"),
        (["a", "b"], [1, None], r"no label \(text 2\)"),
        (["a", "b"], np.array([[0, 2], [1, 1]]), "0 and 1"),
        ({"text": ["a"], "label": ["b", "c"]}, None, "equally long"),
    ):
        with pytest.raises((DataError, UsageError), match=message):
            read_examples(source, labels)


def test_empty_texts_can_be_dropped_with_their_labels() -> None:
    examples = read_examples(["a", "", "c"], ["x", "y", "z"], drop_empty=True)
    assert (examples.inputs, examples.labels, examples.ids) == (["a", "c"], (("x",), ("z",)), ("1", "3"))
    assert examples.told == ("1 empty text is left out (text 2)",)


def test_labels_that_are_not_needed_may_be_missing() -> None:
    for column in ([None, "x"], ["", "x"], [float("nan"), 1.0]):
        assert read_examples({"text": ["a", "b"], "label": column}, needs_labels=False).labels is None


def test_counts_are_in_the_order_of_the_labels() -> None:
    examples = read_examples(list("abcd"), [10, 9, 2, 10])
    assert list(examples.counts().items()) == [("2", 1), ("9", 1), ("10", 2)]


def test_a_split_keeps_shares_order_and_one_of_each_label_in_training() -> None:
    labels = ["often"] * 60 + ["seldom"] * 20 + ["once"]
    examples = read_examples([f"text {i}" for i in range(81)], labels)
    train, held = split_examples(examples, 0.2, seed=3)
    assert (train.counts(), held.counts()) == ({"often": 48, "once": 1, "seldom": 16}, {"often": 12, "seldom": 4})
    assert sorted(train.inputs + held.inputs) == sorted(examples.inputs)
    numbers = [int(i) for i in held.ids]
    assert numbers == sorted(numbers)
    assert all(examples.inputs[int(i) - 1] == text for i, text in zip(held.ids, held.inputs, strict=True))
    assert split_examples(examples, 0.2, seed=3)[1].ids == held.ids
    assert split_examples(examples, 0.2, seed=4)[1].ids != held.ids


@given(
    st.lists(st.lists(st.sampled_from("abcde"), max_size=3), min_size=2, max_size=30),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_label_stays_in_training(labels: list[list[str]], fraction: float, seed: int, several: bool) -> None:
    cells = labels if several else [(own or ["a"])[0] for own in labels]
    examples = read_examples(["x"] * len(labels), cells, several=several)
    try:
        train, held = split_examples(examples, fraction, seed)
    except DataError:
        assert len(examples.counts()) > 0
        return
    assert set(train.counts()) == set(examples.counts())
    assert len(train) + len(held) == len(examples)
    assert 0 < len(held) <= max(1, round(fraction * len(examples)))


def test_splits_that_cannot_be_are_told() -> None:
    examples = read_examples(["a", "b"], ["x", "y"])
    with pytest.raises(DataError, match=r"none of the 2 examples can be held out .* each label has only one"):
        split_examples(examples, 0.5, 1)
    table = read_examples({"review": ["a b", "c d"], "score": [0.5, 0.7]}, label="score")
    with pytest.raises(DataError, match=r"each label \(column 'score'\) has only one.*--valid"):
        split_examples(table, 0.5, 1)
    with pytest.raises(UsageError, match="between 0 and 1, got 1"):
        split_examples(examples, 1.0, 1)


def test_lines_of_json_may_be_called_json(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", b'{"text": "a b", "label": 1}\n{"text": "c", "label": 2}\n')
    assert read_examples(path).inputs == ["a b", "c"]


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("x,||\n", ","),
        ("x;,,\n", ";"),
        ("good; fine,pos\nbad,neg\n", ","),
        ('"a; b; c",x\n"d; e",y\n', ","),
        ("text;n\none, two, three;x\nfour;y\n", ";"),
        ("one\ntwo\n", ","),
    ],
)
def test_the_separator_is_what_all_lines_hold_equally_often(content: str, delimiter: str) -> None:
    assert delimiter_of(content, ".csv", ()) == delimiter
    assert delimiter_of(content * 20_000, ".csv", ()) == delimiter


def test_labels_that_were_not_there_in_training_are_told_with_their_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"text,label\na b,x\n,y\nc d,z\n")
    with pytest.raises(DataError, match=r"a\.csv, row 3: the label 'z' was not there in training. Known: 'x', 'y'"):
        read_examples(path, known=["x", "y"], drop_empty=True)
    with pytest.raises(DataError) as caught:
        read_examples(["a", "b"], ["x", "z" * 100_000], known=["x"])
    assert len(str(caught.value)) < 300
    assert read_examples(path, known=["x"], drop_empty=True, needs_labels=False).labels == (("x",), ("z",))


def test_series_of_other_features_than_in_training_are_told(tmp_path: Path) -> None:
    columns = read_examples(write(tmp_path / "a.ts", b"@classLabel true a b\n@data\n1,2:3,4:a\n1:2:b\n")).columns
    other = write(tmp_path / "b.ts", b"@classLabel true a b\n@data\n1,2:a\n")
    with pytest.raises(
        DataError, match=r"b.ts has 1 feature at each step, the model was trained on 2 .'feature_1', 'f"
    ):
        read_examples(other, columns=columns, needs_labels=False)
    with pytest.raises(DataError, match="has 3 features at each step"):
        read_examples([np.zeros((4, 3))], columns=columns, needs_labels=False)


def test_labels_that_are_not_needed_are_not_looked_at() -> None:
    series = {"case": ["a", "a", "b"], "x": [1.0, 2.0, 3.0], "label": ["up", None, "down"]}
    columns = read_examples(series | {"label": ["up", "up", "down"]}).columns
    assert read_examples(series, columns=columns, needs_labels=False).labels is None
    with pytest.raises(DataError, match="column 'label', row 2: the label of example 'a' changes from 'up' to none"):
        read_examples(series, columns=columns)
    marked = {"text": ["a b", "c d"], "joy": [1, 0], "love": [1, 7]}
    columns = read_examples(marked | {"love": [1, 0]}, label=["joy", "love"], several=True).columns
    assert read_examples(marked, columns=columns, needs_labels=False).labels is None
    columns = read_examples({"text": ["a", "b"], "label": ["x", "y"]}).columns
    lists = {"text": ["a", "b"], "label": [["x", "y"], ["x"]]}
    assert read_examples(lists, columns=columns, needs_labels=False).labels is None


def test_thousands_of_labels_in_front_of_a_text_are_read(tmp_path: Path) -> None:
    examples = read_examples(write(tmp_path / "a.txt", b"__label__x " * 5000 + b"__label__y\tso it is\n"))
    assert (examples.inputs, examples.labels) == (["so it is"], (("x", "y"),))
