"""Cutting labelled examples and tagged sequences: what is read back from the parts is what was there."""

import gzip
import json
from collections import Counter

import numpy as np
import polars as pl
import pytest

from ricorso.data.examples import read_examples
from ricorso.errors import DataError, UsageError
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.data import read
from ricorso.tuning.example_folds import ROLES, check_examples, stratified
from ricorso.tuning.folds import dealt
from ricorso.tuning.question import fingerprint
from ricorso.tuning.sequence_folds import check_sequences, whole_sequences

ODD = ['say "no"', "two\nlines, and a comma", " a blank before", "'tis|it;\tall", "na", "7", "ünï 你好", "true", "x y"]


def test_every_fold_has_its_share_of_every_label():
    labels = [("a",)] * 31 + [("b",)] * 17 + [("c",)] * 5
    held_out = dealt(labels, 4, seed=3)
    assert sorted(row for rows in held_out for row in rows) == list(range(53))
    assert {len(rows) for rows in held_out} == {13, 14}
    for label in "abc":
        shares = [sum(labels[row] == (label,) for row in rows) for rows in held_out]
        assert max(shares) - min(shares) <= 1
    assert dealt(labels, 4, seed=3) == held_out != dealt(labels, 4, seed=4)


def test_of_several_labels_the_rare_ones_are_spread_evenly():
    draw = np.random.default_rng(0)
    often = {"grief": 0.03, **{f"mood {n}": 0.3 for n in range(6)}}
    labels = [tuple(name for name, share in often.items() if draw.random() < share) for _ in range(600)]
    for name in often:
        shares = [sum(name in labels[row] for row in rows) for rows in dealt(labels, 3, seed=0)]
        assert max(shares) - min(shares) <= (1 if name == "grief" else 15)


def test_a_label_is_never_without_an_example_to_learn_from():
    labels = [("a",), ("b",), ("a", "b"), ("a", "c"), ("c", "d"), ("a",), ("b",), ()]
    counts = Counter(label for own in labels for label in own)
    held_out = dealt(labels, 2, seed=1)
    assert 4 not in held_out[0] + held_out[1]
    for rows in held_out:
        here = Counter(label for row in rows for label in labels[row])
        assert all(here[label] < counts[label] for label in here)


# --- labelled examples


def table_of_texts(folder):
    rows = [{"id": n, "review": text, "about": "nothing", "stars": [4, 5][n % 2]} for n, text in enumerate(ODD * 2)]
    pl.DataFrame(rows).write_csv(folder / "reviews.csv")
    return folder / "reviews.csv", {"text": ["review"], "label": ["stars"]}


def texts_of_two_columns(folder):
    rows = [{"title": text if n % 3 else None, "text": "and so", "label": "ab"[n % 2]} for n, text in enumerate(ODD)]
    (folder / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "posts.jsonl", {"text": ["title", "text"], "label": ["label"]}


def several_labels_as_lists(folder):
    rows = [{"text": text, "label": [["a,1"], ["b", "a,1"], []][n % 3]} for n, text in enumerate(ODD * 2)]
    (folder / "moods.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "moods.jsonl", {}


def several_labels_in_a_cell(folder):
    with gzip.open(folder / "moods.tsv.gz", "wt", encoding="latin-1") as file:
        file.writelines(f"é word {n}\t{('joy', 'joy, love', 'love')[n % 3]}\n" for n in range(12))
    return folder / "moods.tsv.gz", {"encoding": "latin-1", "header": False}


def several_labels_as_columns(folder):
    table = {"text": [f"a text {n}" for n in range(12)], "joy": [0, 1] * 6, "love": [1, 1, 0] * 4}
    pl.DataFrame(table).write_csv(folder / "moods.csv")
    return folder / "moods.csv", {"label": ["joy", "love"]}


def lines_with_labels(folder):
    (folder / "questions.label").write_text("".join(f"{'ABC'[n % 3]}:{n % 2} What is {n} ?\n" for n in range(12)))
    return folder / "questions.label", {"label_until": ":"}


def a_folder_for_each_label(folder):
    for n, text in enumerate(ODD):
        (folder / "mail" / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        (folder / "mail" / "ab"[n % 2] / f"{n}.txt").write_text(text if n else "  ")
    return folder / "mail", {"drop_empty": True}


def a_table_of_series(folder):
    rows = [
        {"window": f"w{w}", "label": w, "kind": "ab"[w % 2], "second": 9 - step, "x": w / 7 + step, "y": None}
        for w in range(8)
        for step in range(2 + w % 3)
    ]
    pl.DataFrame(rows, schema_overrides={"y": pl.Float64}).write_parquet(folder / "windows.parquet")
    return folder / "windows.parquet", {
        "example": "window", "time": "second", "label": ["kind"], "features": ["x", "y", "label"],
    }  # fmt: skip


def a_folder_of_series(folder):
    for n in range(6):
        (folder / "moves" / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"x": [n / 3, n + 0.1], "example": [n, 0]}).write_csv(folder / "moves" / "ab"[n % 2] / f"{n}.csv")
    return folder / "moves", {}


def a_ts_file(folder):
    lines = [f"{n},{n + 1},?:3,4,5:{'ab'[n % 2]}\n" for n in range(6)]
    (folder / "x.ts").write_text("@classLabel true a b\n@data\n" + "".join(lines))
    return folder / "x.ts", {}


SOURCES = [
    table_of_texts, texts_of_two_columns, several_labels_as_lists, several_labels_in_a_cell, several_labels_as_columns,
    lines_with_labels, a_folder_for_each_label, a_table_of_series, a_folder_of_series, a_ts_file,
]  # fmt: skip


def told(examples):
    inputs = (
        examples.inputs
        if examples.is_text
        else [(one.dtype, np.nan_to_num(one, nan=-1).tolist()) for one in examples.inputs]
    )
    return list(zip(inputs, examples.labels, strict=True)), examples.features, examples.several


@pytest.mark.parametrize("source", SOURCES)
def test_parts_of_examples_read_back_as_they_were(source, tmp_path):
    data, settings = source(tmp_path)
    whole = read_examples(data, **settings)
    parts = stratified(data, {**settings, "seed": 5}, 2, tmp_path / "folds")
    everything = sorted(range(len(whole)))
    for part, rows in zip(parts, dealt(whole.labels, 2, 5), strict=True):
        reading = {**settings, **part.settings}
        train = read_examples(part.data, **reading)
        held_out = read_examples(part.validation, columns=train.columns, known=train.counts())
        assert told(train) == told(whole.take([row for row in everything if row not in rows]))
        assert told(held_out) == told(whole.take(rows))
    assert set(parts[0].settings) >= set(ROLES)


def test_columns_keep_their_names(tmp_path):
    data, settings = table_of_texts(tmp_path)
    assert pl.read_parquet(stratified(data, settings, 2, tmp_path / "folds")[0].data).columns == ["review", "stars"]


def test_what_means_nothing_for_recordings_is_told(tmp_path):
    assert check_examples(*with_nothing(table_of_texts(tmp_path))) == ()
    assert check_examples(*with_nothing(a_ts_file(tmp_path))) == ("word_dropout",)


def with_nothing(source):
    return source[0], None, source[1]


def test_examples_that_cannot_be_used_are_refused(tmp_path):
    (tmp_path / "same.csv").write_text("text,label\na b,x\nc d,x\n")
    with pytest.raises(DataError, match="every example has the label 'x'"):
        check_examples(tmp_path / "same.csv", None, {})
    (tmp_path / "once.csv").write_text("text,label\na b,x\nc d,y\n")
    with pytest.raises(DataError, match="none of the 2 examples can be held out"):
        check_examples(tmp_path / "once.csv", None, {})
    with pytest.raises(DataError, match="has 2 examples, too few for 2 folds"):
        stratified(tmp_path / "once.csv", {}, 2, tmp_path / "folds")
    (tmp_path / "more.csv").write_text("text,label\na b,x\nc d,z\n")
    check_examples(tmp_path / "once.csv", tmp_path / "once.csv", {})
    with pytest.raises(DataError, match=r"more\.csv, row 2: the label 'z' was not there in training"):
        check_examples(tmp_path / "once.csv", tmp_path / "more.csv", {})
    with pytest.raises(UsageError, match="There is no option 'sise'"):
        check_examples(tmp_path / "once.csv", None, {"sise": 3})


def test_a_folder_is_known_by_the_names_and_contents_of_its_files(tmp_path):
    folder, _ = a_folder_for_each_label(tmp_path)
    found = [fingerprint(folder)]
    assert found[0]["bytes"] == sum(file.stat().st_size for file in folder.rglob("*.txt"))
    assert fingerprint(folder) == found[0]
    (folder / "b").rename(folder / "c")
    found.append(fingerprint(folder))
    (folder / "a" / "0.txt").write_text("now")
    found.append(fingerprint(folder))
    assert len({one["sha256"] for one in found}) == 3


# --- tagged sequences

SENTENCES = [
    (("Anna", 'a"b', "c\u2028d"), ("B-PER", "O", "O")),
    (("Paul",), ("B-PER",)),
    (("in", "Rome"), ("O", "B-LOC")),
]


def columns_of_words(folder):
    blocks = ["".join(f"0\t{w}\tx\t{t}\n" for w, t in zip(*pair, strict=True)) for pair in SENTENCES * 3]
    (folder / "words.tsv").write_text("\n".join(blocks).replace("\u2028", "é"), encoding="latin-1")
    return folder / "words.tsv", {"word_column": "2", "encoding": "latin-1"}


def json_lines(folder):
    rows = [{"tokens": words, "ner": tags} for words, tags in SENTENCES * 3]
    (folder / "words.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-16")
    return folder / "words.jsonl", {"tag_column": "ner", "encoding": "utf-16"}


def tagged_series(folder):
    rows = [{"run": f"r{n // 3}", "x": n / 7, "state": n % 2, "z": -n} for n in range(18)]
    pl.DataFrame(rows).write_csv(folder / "runs.csv")
    return folder / "runs.csv", {"column": "state", "example": "run"}


@pytest.mark.parametrize("source", [columns_of_words, json_lines, tagged_series])
def test_parts_of_sequences_are_read_by_the_same_settings(source, tmp_path):
    data, settings = source(tmp_path)
    whole = read(data, TagConfig.of(settings))
    parts = whole_sequences(data, {**settings, "seed": 2}, 3, tmp_path / "folds")
    found = []
    for part, rows in zip(parts, dealt([tuple(sorted(set(tags))) for tags in whole.tags], 3, 2), strict=True):
        config = TagConfig.of({**settings, **part.settings})
        train, held_out = read(part.data, config), read(part.validation, config, whole.names)
        rest = [row for row in range(len(whole.tags)) if row not in rows]
        for one, wanted in ((train, whole.take(rest)), (held_out, whole.take(rows))):
            assert one.names == wanted.names
            assert one.fingerprint()["sha256"] == wanted.fingerprint()["sha256"]
        found += rows
    assert sorted(found) == list(range(len(whole.tags)))
    assert {part.settings["scheme"] for part in parts} == {"none" if whole.series else "IOB2"}


def test_what_means_nothing_for_sequences_is_told(tmp_path):
    words, settings = columns_of_words(tmp_path)
    assert check_sequences(words, None, settings) == ()
    assert check_sequences(words, words, {**settings, "characters": False}) == ("character_hidden",)
    assert check_sequences(*with_nothing(tagged_series(tmp_path))) == ("word_dropout", "character_hidden")


def test_sequences_that_cannot_be_used_are_refused(tmp_path):
    series, _ = tagged_series(tmp_path)
    alone = {"column": "state"}
    (tmp_path / "numbers.csv").write_text("x,state\n1,a\n2,b\n")
    with pytest.raises(
        DataError, match=r"a single sequence, of which none can be held out\. Name the column .* --example"
    ):
        check_sequences(tmp_path / "numbers.csv", None, alone)
    with pytest.raises(DataError, match=r"a single sequence, too few for 2 folds: .* Name the column .* --example"):
        whole_sequences(tmp_path / "numbers.csv", alone, 2, tmp_path / "folds")
    with pytest.raises(DataError, match="holds 6 sequences, too few for 7 folds"):
        whole_sequences(series, {"column": "state", "example": "run"}, 7, tmp_path / "folds")
    words, settings = columns_of_words(tmp_path)
    with pytest.raises(DataError, match="all steps have the tag 'x'"):
        check_sequences(words, None, {**settings, "tag_column": "3"})
    (tmp_path / "wrong.txt").write_text("a I-PER\n\nb B-PER\n\nc B-PER\nd O\n")
    with pytest.raises(DataError, match="'I-PER' cannot stand at the start in IOB2"):
        check_sequences(tmp_path / "wrong.txt", None, {"invalid": "error"})
