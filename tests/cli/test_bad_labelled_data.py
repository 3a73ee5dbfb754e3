"""What a user at the shell is told of labelled data that cannot be used: one line, no traceback, status 1 or 2."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from small_labelled import reviews
from small_tagging import sentences, write_columns

from ricorso.cli.main import run

TINY = ["--hidden-size", "8", "--epochs", "1", "--threads", "1"]
TEXTS, LABELS = reviews(24)
CSV = "review,sentiment\n" + "".join(
    f"{text.replace(',', '')},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True)
)
ROWS = "".join(json.dumps({"review": t, "sentiment": s}) + "\n" for t, s in zip(TEXTS, LABELS, strict=True))
SERIES = "case,a,b,state\n" + "".join(
    f"c{n // 6},{a:.3f},{b:.3f},{'up' if n // 6 % 2 else 'down'}\n"
    for n, (a, b) in enumerate(np.random.default_rng(0).normal(size=(48, 2)))
)
CONLL = "".join(f"{w} {t}\n" for words, tags in sentences(12) for w, t in [*zip(words, tags, strict=True), ("", "")])
CONLL = CONLL.replace(" \n", "\n")
SENTENCES = "".join(json.dumps({"tokens": words, "tags": tags}) + "\n" for words, tags in sentences(12))
AS_EXAMPLES = ["--label", "state"]
AS_SERIES = ["--column", "state", "--example", "case"]


# the file, the task and the options of each kind of data
LEARNT = {
    "texts": ("reviews.csv", "classify", []),
    "series": ("series.csv", "classify", AS_EXAMPLES),
    "words": ("names.conll", "tag", []),
    "steps": ("steps.csv", "tag", AS_SERIES),
}


def lines(text: str) -> int:
    return text.count("\n")


def with_cell(row: int, column: int, value: str) -> str:
    """The table of series with another value in a cell; rows from 1."""
    table = [line.split(",") for line in SERIES.splitlines()]
    table[row][column] = value
    return "".join(",".join(cells) + "\n" for cells in table)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained run for each kind of data, and the file it learnt from."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for name, (file, task, options) in LEARNT.items():
        (folder / file).write_text({"texts": CSV, "words": CONLL}.get(name, SERIES))
        found[name] = folder / name
        assert run(["train", task, str(folder / file), "--out", str(found[name]), *TINY, *options]) == 0
    return found


# of which kind the data are, the file, what stands in it, what is said; and of which commands, where not of all
ALL, LABELLED, LATER = "train predict evaluate valid", "train evaluate valid", "predict evaluate valid"
AFTER = lines(CONLL)
HEAD = "review,sentiment\n"
BAD = [
    ("texts", "missing.csv", None, "There is no file or folder 'missing.csv'. Check the path.", ALL),
    ("texts", "empty.csv", "", "empty.csv is empty", ALL),
    ("texts", "blank.csv", "\n \n", "holds nothing but blanks; examples were expected", ALL),
    ("texts", "head.csv", HEAD, "has columns ('review', 'sentiment') but no rows. Add them.", ALL),
    ("texts", "column.csv", "words,sentiment\na b,good\nc d,bad\n", "has no column 'review'. It has", LATER),
    ("texts", "label.csv", "review,x\na b,good\nc d,bad\n", "has no column 'sentiment'. It has", "evaluate valid"),
    ("texts", "hole.csv", CSV + ",good\n", "1 of 25 texts are empty (row 25). Fill or remove them", ALL),
    ("texts", "none.csv", CSV + "so,\n", "1 of 25 examples have no label (row 25). Write", LABELLED),
    ("texts", "one.csv", HEAD + "a b,good\nc d,good\n", "every example has the label 'good'", "train"),
    ("texts", "few.csv", HEAD + "a b,good\nc d,bad\n", "each label (column 'sentiment') has only one", "train"),
    ("texts", "odd.csv", CSV + "so,odd\n", "row 25: the label 'odd' was not there in training.", "evaluate valid"),
    ("texts", "latin.csv", CSV.encode() + b"caf\xe9,good\n", "line 26, column 4: byte 0xe9 is not valid utf-8.", ALL),
    ("texts", "zero.csv", CSV + "ab\0c,good\n", "looks like a binary file (a zero byte in line 26, column 3)", ALL),
    ("texts", "zero.jsonl", ROWS + '{"review": "a\\u0000"}', "row 25: a zero byte stands at character 2", ALL),
    ("texts", "twice.csv", "review,review\na,b\n", "line 1: columns 1 and 2 are both named 'review'", ALL),
    ("texts", "open.csv", CSV + '"so it is,good\nb,bad\n', "line 26: a quote is opened", ALL),
    ("texts", "wide.csv", CSV + "so, it is,good\n", "line 26 has 3 fields, more than the 2 of the header", ALL),
    ("texts", "broken.jsonl", ROWS + "hello\n", "line 25: an object such as", ALL),
    ("texts", "array.json", f"[{ROWS}]", "line 1: an object such as", ALL),
    ("texts", "cut.csv.gz", gzip.compress(CSV.encode() * 9)[:90], "is a damaged or truncated gzip file", ALL),
    ("series", "inf.csv", with_cell(9, 1, "inf"), "column 'a', row 9: inf is infinite or too large. Correct it", ALL),
    ("series", "text.csv", with_cell(9, 1, "high"), "column 'a', row 9: 'high' is not a number. Correct it", ALL),
    ("series", "feature.csv", SERIES.replace("a,b", "a,q"), "has no column 'b'. It has", LATER),
    ("series", "case.csv", with_cell(9, 0, ""), "column 'case', row 9: the example is missing, in 1 of 48 rows", ALL),
    ("series", "change.csv", with_cell(9, 3, ""), "the label of example 'c1' changes from 'up' to none", LABELLED),
    ("series", "kind.csv", CSV, "has no column", LATER),
    ("words", "missing.conll", None, "There is no file 'missing.conll'. Check the path.", ALL),
    ("words", "empty.conll", "", "empty.conll is empty", ALL),
    ("words", "blank.conll", "\n\n", "holds no sentences; words", ALL),
    ("words", "head.conll", "# word tag\n", "holds no sentences; words", ALL),
    ("words", "words.conll", "Anna\nsees\n", "line 1: there is one column only ('Anna');", LABELLED),
    ("words", "broken.conll", CONLL + "Anna B-PER\nsees\n", f"line {AFTER + 2}: there is 1 column ('sees');", ALL),
    ("words", "short.conllu", "1\ta\ta\tX\t_\t_\t_\t_\t_\t_\n2\tb\n", "line 2: there are 2 columns", ALL),
    ("words", "tag.conll", "a\tX\nb\t\n", "line 2: the tag is empty. Write it in.", LABELLED),
    ("words", "word.conll", "a\tX\n\tY\n", "line 2: the word is empty. Write it in.", ALL),
    ("words", "one.conll", "a O\nb O\n\nc O\n", "all steps have the tag 'O'; at least two", "train"),
    ("words", "latin.conll", CONLL.encode() + b"caf\xe9 O\n", f"line {AFTER + 1}, column 4: byte 0xe9", ALL),
    ("words", "zero.conll", CONLL + "ab\0c O\n", f"(a zero byte in line {AFTER + 1}, column 3)", ALL),
    ("words", "zero.jsonl", SENTENCES + '{"tokens": ["a\\u0000"], "tags": []}', '"tokens", text 1: a zero byte', ALL),
    ("words", "half.jsonl", SENTENCES + '{"tokens": ["a\\ud800"], "tags": []}', '"tokens", text 1: character 2', ALL),
    ("words", "broken.jsonl", SENTENCES + "hello\n", 'line 13: an object with "tokens"', ALL),
    ("words", "deep.jsonl", SENTENCES + '{"tokens": ' + "[" * 9999, "line 13: not JSON that can be read: it is", ALL),
    ("words", "table.csv", SERIES, "is a table; sentences are read from columns between tabs or blanks", ALL),
    ("words", "cut.conll.gz", gzip.compress(CONLL.encode() * 9)[:90], "is a damaged or truncated gzip file", ALL),
    ("steps", "empty.csv", "", "empty.csv is empty; a table was expected", ALL),
    ("steps", "head.csv", "case,a,b,state\n", "but no rows. Add them.", ALL),
    ("steps", "inf.csv", with_cell(9, 1, "inf"), "column 'a', row 9: inf is infinite or too large. Correct it", ALL),
    ("steps", "text.csv", with_cell(9, 1, "high"), "column 'a', row 9: 'high' is not a number. Correct it", ALL),
    ("steps", "case.csv", with_cell(9, 0, ""), "column 'case', row 9: it is not said which series the row is of", ALL),
    ("steps", "state.csv", with_cell(9, 3, ""), "column 'state', row 9: the tag is missing. Write it in.", LABELLED),
    ("steps", "column.csv", SERIES.replace("state", "stat"), "no column 'state'. Did you mean 'stat'?", LABELLED),
    ("steps", "example.csv", SERIES.replace("case", "cases"), "has no column 'case'. Did you mean 'cases'?", ALL),
    ("steps", "feature.csv", SERIES.replace("a,b", "a,q"), "has no column 'b'. It has", LATER),
    ("steps", "one.csv", SERIES.replace("up", "down"), "all steps have the tag 'down'; at least two", "train"),
    ("steps", "twice.csv", "a,a,state,case\n1,2,up,c\n", "line 1: columns 1 and 2 are both named 'a'", ALL),
    ("steps", "latin.csv", SERIES.encode() + b"c,1,2,\xe9\n", "line 50, column 7: byte 0xe9 is not valid utf-8", ALL),
]  # fmt: skip
CASES = [
    pytest.param(kind, file, content, message, command, id=f"{kind}-{file}-{command}")
    for kind, file, content, message, commands in BAD
    for command in commands.split()
]


def told(ricorso, words, message):
    outcome = ricorso(*words)
    complaint = [line for line in outcome.err.splitlines() if line.startswith("ricorso: ")]
    assert outcome.status in (1, 2)
    assert len(complaint) == 1
    assert message in complaint[0]
    assert len(complaint[0]) < 400
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(("kind", "file", "content", "message", "command"), CASES)
def test_bad_data_get_one_line(ricorso, runs, tmp_path, kind, file, content, message, command):
    if content is not None:
        (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    learnt, task, own = LEARNT[kind]
    options, learnt = [*TINY, *own], runs[kind].parent / learnt
    words = {
        "train": ("train", task, file, "--out", "new", *options),
        "valid": ("train", task, learnt, "--valid", file, "--out", "new", *options),
        "predict": ("predict", runs[kind], file),
        "evaluate": ("evaluate", runs[kind], file),
    }[command]
    told(ricorso, words, message)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("task", "data", "options", "status", "message"),
    [
        ("classify", CSV, ["--label", "sentimnt"], 1, "has no column 'sentimnt'. Did you mean 'sentiment'?"),
        ("classify", CSV, ["--text", "stars"], 1, "has no column 'stars'. It has 'review', 'sentiment'."),
        ("classify", CSV, ["--text", "review", "--label", "review"], 2, "Column 'review' cannot have two roles"),
        ("classify", SERIES, ["--example", "cas"], 1, "has no column 'cas'. Did you mean 'case'?"),
        ("tag", SERIES, ["--column", "stat"], 1, "has no column 'stat'. Did you mean 'state'?"),
        ("tag", SERIES, ["--column", "state"], 1, "column 'case' holds texts such as 'c0', not numbers. If"),
        ("tag", SERIES, ["--column", "state", "--example", "cas"], 1, "has no column 'cas'. Did you mean 'case'?"),
    ],
)  # fmt: skip
def test_wrong_columns_get_one_line(ricorso, tmp_path, task, data, options, status, message):
    (tmp_path / "data.csv").write_text(data)
    words = ("train", task, "data.csv", "--out", "new", *TINY, *options)
    told(ricorso, words, message)
    assert ricorso(*words).status == status


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--tag-column", "7"], 1, "names.conll, line 1: there are 2 columns; the tag was expected in column 7"),
        (["--tag-column", "0"], 2, "There is no column '0'; wanted a number from 1."),
        (["--scheme", "BIOES", "--invalid", "error"], 1, "names.conll, sequence 1 (from line 1), word"),
        (["--scheme", "IOB2", "--tag-column", "1"], 1, "no tag marks a span as IOB2 does, such as 'B-PER'; there are"),
    ],
)
def test_wrong_tags_get_one_line(ricorso, tmp_path, options, status, message):
    write_columns(tmp_path / "names.conll", sentences(12))
    words = ("train", "tag", "names.conll", "--out", "new", *TINY, *options)
    told(ricorso, words, message)
    assert ricorso(*words).status == status


@pytest.mark.parametrize(
    ("task", "message"), [("classify", "holds no examples"), ("tag", "is a folder; give a text file")]
)
def test_a_folder_in_place_of_a_file_gets_one_line(ricorso, runs, tmp_path, task, message):
    (tmp_path / "data.csv").mkdir()
    told(ricorso, ("train", task, "data.csv", "--out", "new", *TINY), message)
    for command in ("predict", "evaluate"):
        told(ricorso, (command, runs["texts" if task == "classify" else "words"], "data.csv"), message)


@pytest.mark.parametrize("kind", ["texts", "words"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "standard input is empty"),
        (b"\n \n", "standard input holds no"),
        (b"caf\xe9\n", "standard input, line 1, column 4: byte 0xe9"),
        (b"a\0b\n", "standard input looks like a binary file (a zero byte in line 1, column 2)"),
    ],
)
def test_bad_standard_input_gets_one_line(ricorso, runs, monkeypatch, kind, given, message):
    class Given:
        buffer = io.BytesIO(given)

    monkeypatch.setattr("sys.stdin", Given())
    told(
        ricorso,
        ("predict", runs[kind], "-"),
        message.replace("holds no", "holds nothing") if kind == "texts" else message,
    )


@pytest.mark.parametrize("kind", ["series", "steps"])
@pytest.mark.parametrize("value", ["NaN", ""])
def test_missing_features_are_allowed(ricorso, runs, tmp_path, kind, value):
    (tmp_path / "gone.csv").write_text(with_cell(9, 1, value))
    _, task, options = LEARNT[kind]
    assert ricorso("train", task, "gone.csv", "--out", "new", *TINY, *options).status == 0
    for folder in ("new", runs[kind]):
        assert ricorso("evaluate", folder, "gone.csv").status == 0
        outcome = ricorso("predict", folder, "gone.csv")
        assert outcome.status == 0
        assert "nan" not in outcome.out.lower()


def test_a_class_of_one_example_stays_in_training(ricorso, tmp_path):
    (tmp_path / "reviews.csv").write_text(CSV + "so it is,odd\n")
    (tmp_path / "names.conll").write_text(CONLL + "Unesco B-ORG\n")
    assert ricorso("train", "classify", "reviews.csv", "--out", "a", *TINY).status == 0
    assert "p(odd)" in ricorso("predict", "a", "reviews.csv").out.splitlines()[0]
    assert ricorso("train", "tag", "names.conll", "--out", "b", "--validation-fraction", "0.5", *TINY).status == 0
    assert "B-ORG" in json.loads((tmp_path / "b" / "vocabulary.json").read_text())["tags"]["tags"]


def test_words_that_were_never_seen_are_read(ricorso, runs, tmp_path):
    (tmp_path / "new.csv").write_text("review\nqqq zzz\n")
    assert ricorso("predict", runs["texts"], "new.csv").status == 0
    (tmp_path / "new.txt").write_text("qqq zzz\n")
    assert len(ricorso("predict", runs["words"], "new.txt").out.splitlines()) == 3


def test_tags_that_training_lacks_count_as_wrong_and_are_told(ricorso, runs, tmp_path):
    (tmp_path / "new.conll").write_text("Unesco B-ORG\nis O\n")
    assert "Tags that training lacked count as wrong: 'B-ORG'." in ricorso("evaluate", runs["words"], "new.conll").out
    learnt = runs["words"].parent / "names.conll"
    done = ricorso("train", "tag", learnt, "--valid", "new.conll", "--out", "new", *TINY)
    assert "tags for validation that training lacks count as wrong: 'B-ORG'" in done.err


def test_tags_that_do_not_fit_their_scheme_are_repaired_and_told(ricorso, tmp_path):
    (tmp_path / "names.conll").write_text(CONLL + "Unesco O\nis I-PER\n")
    done = ricorso("train", "tag", "names.conll", "--scheme", "IOB2", "--out", "new", *TINY)
    assert done.status == 0
    assert "1 sequences have tags that IOB2 does not allow" in done.err


def test_labels_of_series_are_not_looked_at_in_prediction(ricorso, runs, tmp_path):
    (tmp_path / "new.csv").write_text(with_cell(9, 3, ""))
    assert ricorso("predict", runs["series"], "new.csv").status == 0
