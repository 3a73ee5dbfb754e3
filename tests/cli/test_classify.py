import csv
import io
import json

import pytest
from small_labelled import reviews

SMALL = [
    "--hidden-size", "8", "--embedding-size", "8", "--epochs", "6", "--batch-size", "16", "--threads", "1",
    "--learning-rate", "0.02", "--dropout", "0", "--input-dropout", "0", "--word-dropout", "0",
]  # fmt: skip


def table(path, rows=slice(None)):
    texts, labels = reviews()
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("review", "sentiment"), *zip(texts[rows], labels[rows], strict=True)],
        )
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from ricorso.cli.main import run as command

    folder = tmp_path_factory.mktemp("classify")
    data = table(folder / "reviews.csv")
    assert command(["train", "classify", str(data), "--out", str(folder / "run"), *SMALL]) == 0
    return folder / "run"


def test_training_tells_how_good_it_is_and_what_comes_next(ricorso, tmp_path):
    told = ricorso("train", "classify", table(tmp_path / "reviews.csv"), "--out", "run", *SMALL)
    assert told.status == 0
    assert "accuracy" in told.out
    assert "bag of words" in told.out
    assert "ricorso predict run FILE --explain" in told.out
    assert "the label is 'sentiment'" in told.err
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Labels, learnt from reviews.csv (86 examples): gru, 1 layer of 8 units in both directions." in page
    assert "bag of words" in page
    assert 'id="confusion"' in page


def test_validation_examples_come_from_a_file_of_their_own(ricorso, tmp_path):
    train, valid = table(tmp_path / "train.csv", slice(20, None)), table(tmp_path / "valid.csv", slice(20))
    told = ricorso("train", "classify", train, "--valid", valid, "--out", "run", "--json", *SMALL)
    assert told.status == 0, told.err
    assert json.loads(told.out)["evaluation"]["examples"] == 20


def test_a_table_gets_labels_and_reasons(ricorso, run, tmp_path):
    data = table(tmp_path / "new.csv", slice(6))
    rows = list(csv.DictReader(io.StringIO(ricorso("predict", run, data, "--explain").out)))
    assert list(rows[0]) == ["id", "label", "p(bad)", "p(good)", "because"]
    assert [row["label"] for row in rows] == ["bad", "good"] * 3
    assert rows[0]["because"].split()[0] in ("dull", "tired", "poor")
    assert float(rows[0]["p(bad)"]) + float(rows[0]["p(good)"]) == pytest.approx(1, abs=1e-5)
    lines = ricorso("predict", run, data, "--json").out.splitlines()
    assert json.loads(lines[1])["label"] == "good"
    told = ricorso("predict", run, data, "--out", "labels.parquet")
    assert "6 rows written to labels.parquet" in told.err
    assert (tmp_path / "labels.parquet").exists()


def test_lines_of_standard_input_get_labels(ricorso, run, monkeypatch):
    class Given:
        buffer = io.BytesIO(b"a lovely film\nthe story was dull, really\n")

    monkeypatch.setattr("sys.stdin", Given())
    rows = list(csv.DictReader(io.StringIO(ricorso("predict", run, "-").out)))
    assert [row["label"] for row in rows] == ["good", "bad"]


def test_labels_are_measured(ricorso, run, tmp_path):
    data = table(tmp_path / "new.csv", slice(40))
    told = ricorso("evaluate", run, data)
    assert told.status == 0
    assert "precision" in told.out
    assert "bag of words" not in told.out
    figures = json.loads(ricorso("evaluate", run, data, "--json").out)
    assert figures["examples"] == 40
    assert figures["labels"]["good"]["support"] == 20
    one = tmp_path / "one.csv"
    one.write_text("review,sentiment\na lovely film,good\n")
    assert json.loads(ricorso("evaluate", run, one, "--json").out)["roc_auc"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "RUN"], "DATA is missing: what should"),
        (["predict", "RUN", "new.csv", "--paths", "3"], "--paths is for runs of the task forecast; 'RUN' is a run of"),
        (["predict", "RUN", "new.csv", "--quantiles", "0.1"], "--quantiles is for runs of the task forecast"),
        (["predict", "RUN", "new.csv", "--anomalies"], "--anomalies is for runs of the task forecast"),
        (["evaluate", "RUN", "new.csv", "--origins", "3"], "--origins is for series; 'RUN' is a run of"),
        (["generate", "RUN"], "is a run of the task classify; this is for generate"),
        (["train", "classify", "new.csv", "--pooling", "median"], "median"),
        (["train", "classify", "new.csv", "--label", "stars"], "stars"),
    ],
)
def test_mistakes_get_one_line(ricorso, run, tmp_path, words, message):
    table(tmp_path / "new.csv")
    outcome = ricorso(*(str(run) if word == "RUN" else word for word in words))
    assert outcome.status in (1, 2)
    assert message.replace("RUN", str(run)) in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("review,sentiment\na film,good\nanother,good\n", "every example has the label 'good'"),
        ("review,sentiment\na film,good\n,bad\nc,bad\n", "1 of 3 texts are empty (row 2)"),
        ("review,sentiment\na film,good\nb,\nc,bad\n", "1 of 3 examples have no label (row 2)"),
        ("", "is empty"),
    ],
)
def test_files_that_cannot_be_learnt_are_told(ricorso, tmp_path, content, message):
    (tmp_path / "data.csv").write_text(content)
    outcome = ricorso("train", "classify", "data.csv", *SMALL)
    assert outcome.status == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "runs").exists()
