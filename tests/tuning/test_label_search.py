"""Searches over classifiers and taggers: the same each time, cut off or not, with folds or data for validation."""

import json
import shlex

import polars as pl
import pytest
import small_labelled
import small_tagging
from small_search import Copying

import ricorso
from ricorso.cli.main import run
from ricorso.data.examples import read_examples
from ricorso.errors import UsageError
from ricorso.tuning import continue_search, tune
from ricorso.tuning.folds import dealt
from ricorso.tuning.rules import rules_of
from ricorso.tuning.trial import Job, Reporter, train

SETTINGS = {
    "classify": small_labelled.SMALL | {"epochs": 2, "validations": 2, "grams": 0},
    "tag": small_tagging.SMALL | {"epochs": 3, "crf": False},
}
del SETTINGS["classify"]["dropout"], SETTINGS["classify"]["learning_rate"]
del SETTINGS["tag"]["dropout"], SETTINGS["tag"]["learning_rate"]
SPACE = {"learning_rate": "1e-2..1e-1:log", "dropout": "0..0.5"}
TRIALS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Reviews of two labels, and sentences with names."""
    folder = tmp_path_factory.mktemp("labelled")
    texts, labels = small_labelled.reviews(48)
    pl.DataFrame({"review": texts, "verdict": labels}).write_csv(folder / "reviews.csv")
    small_tagging.write_columns(folder / "names.txt", small_tagging.sentences(30))
    return {"classify": folder / "reviews.csv", "tag": folder / "names.txt"}


def search(task, data, out, **changes):
    given = {"trials": TRIALS, "space": SPACE, "settings": SETTINGS[task], "folds": 2, "pruner": "none"}
    return tune(task, data[task], out=out, **given | changes)


@pytest.fixture(scope="module", params=["classify", "tag"])
def found(request, data):
    out = data["tag"].parent / f"{request.param}-search"
    result = search(request.param, data, out, listener=Copying(out.with_name(f"{request.param}-cut-off"), 1))
    return request.param, result


def told(result):
    """What must come out the same each time."""
    return [(row.number, row.state, row.losses, row.settings, row.measured) for row in result.trials]


def test_the_same_seed_gives_the_same_ranking(found, data, tmp_path):
    task, result = found
    again = search(task, data, tmp_path / "again", keep=0)
    assert told(again) == told(result)
    assert [row.number for row in again.ranking] == [row.number for row in result.ranking]
    assert all(row.loss == pytest.approx(sum(row.losses) / 2) for row in result.ranking)
    assert len({row.losses for row in result.ranking}) > 1


def test_a_search_that_was_cut_off_goes_on_as_if_nothing_had_been(found, data):
    task, result = found
    continued = continue_search(data[task].parent / f"{task}-cut-off")
    assert told(continued) == told(result)
    assert [row.interrupted for row in continued.trials] == [0, 1, 0]


class Patient(Reporter):
    def progress(self, share):
        pass

    def report(self, step, loss):
        return False


def test_a_job_that_went_through_json_trains_the_same(found, data):
    task, result = found
    rules = rules_of(task)
    parts = rules.folds(data[task], SETTINGS[task], 2, data[task].parent / f"{task}-parts")
    job = Job(task, {**SETTINGS[task], **result.best.settings}, tuple(part.told() for part in parts), None)
    assert tuple(train(Job(**json.loads(json.dumps(vars(job)))), Patient())) == result.best.losses


def test_a_fold_of_reviews_is_what_one_would_cut_by_hand(data):
    result = search("classify", data, data["classify"].parent / "by-hand", trials=1)
    whole = read_examples(data["classify"])
    rows = dealt(whole.labels, 2, 0)[1]
    train_on = whole.take([row for row in range(len(whole)) if row not in rows])
    held_out = whole.take(rows)
    labels = [[own[0] for own in one.labels] for one in (train_on, held_out)]
    fitted = ricorso.Classifier(**result.best_settings).fit(
        train_on.inputs, labels[0], valid=(held_out.inputs, labels[1])
    )
    assert fitted.best_["validation_loss"] == result.best.losses[1]


def test_the_best_can_be_loaded_and_reads_the_whole_data(found, data):
    task, result = found
    kept = ricorso.load(result.best.folder / "fold-2")
    assert kept.best_["validation_loss"] == result.best.losses[1]
    assert kept.evaluate(data[task])["accuracy"] > 0
    assert result.command.startswith(f"ricorso train {task} {data[task]} ")


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_validation_data_of_their_own_are_what_is_measured_on(task, data, tmp_path):
    result = search(task, data, tmp_path / "t", folds=1, trials=1, validation=data[task])
    kind = ricorso.Classifier if task == "classify" else ricorso.Tagger
    fitted = kind(**result.best_settings).fit(data[task], valid=data[task])
    assert result.best.losses == (fitted.best_["validation_loss"],)
    assert f"--valid {shlex.quote(str(data[task]))}" in result.command


def test_settings_that_mean_nothing_for_the_data_are_not_searched(tmp_path):
    rows = [
        {"window": n, "x": float(step), "y": n % 2 * step / 3, "label": "ab"[n % 2]}
        for n in range(8)
        for step in range(5)
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "windows.csv")
    settings = small_labelled.SERIES | {"num_layers": 1, "cell": "gru", "epochs": 1}
    fixed = {name: value for name, value in settings.items() if name not in ("input_dropout", "word_dropout")}
    result = tune("classify", tmp_path / "windows.csv", trials=1, settings=fixed, out=tmp_path / "t")
    assert list(result.best.settings) == ["input_dropout"]
    # asked for, they are
    asked = tune(
        "classify",
        tmp_path / "windows.csv",
        trials=1,
        settings=fixed,
        space={"word_dropout": [0.1]},
        out=tmp_path / "u",
    )
    assert list(asked.best.settings) == ["word_dropout"]
    with pytest.raises(UsageError, match="nothing to search over"):
        tune("classify", tmp_path / "windows.csv", trials=1, settings=fixed | {"input_dropout": 0.1})


def test_what_a_language_model_brings_is_not_searched(data, tmp_path):
    reader = {"level": "word", "embedding_size": 4, "minimum_count": 1, "samples": 0, "sequence_length": 16}
    small = {name: SETTINGS["classify"][name] for name in ("hidden_size", "batch_size", "threads")} | {"epochs": 1}
    ricorso.Generator(**reader, **small).fit("\n".join(small_labelled.reviews()[0]) + "\n", out=tmp_path / "reader")
    settings = {name: value for name, value in small.items() if name != "hidden_size"}
    result = search(
        "classify", data, tmp_path / "t", folds=1, trials=1, space=None,
        settings=settings | {"init_from": str(tmp_path / "reader")},
    )  # fmt: skip
    assert list(result.best.settings) == ["learning_rate", "dropout", "input_dropout", "word_dropout"]


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("classify", {"space": {"several": [True, False]}}, "'several' cannot be searched: it decides which examples"),
        ("classify", {"space": {"validation_fraction": "0.1..0.3"}}, "'validation_fraction' cannot be searched"),
        ("classify", {"settings": {"validation_fraction": 0.0}, "folds": 1}, "validation_fraction=0 nothing is held"),
        (
            "tag",
            {"space": {"scheme": ["IOB2", "none"]}},
            "'scheme' cannot be searched: it decides what counts as right",
        ),
        ("tag", {"space": {"tag_column": ["2", "3"]}}, "'tag_column' cannot be searched"),
        ("tag", {"validation": "v.txt"}, "leave out --folds or --valid"),
    ],
)
def test_a_wrong_question_is_refused_and_leaves_nothing_behind(task, changes, message, data, tmp_path):
    with pytest.raises(UsageError, match=message):
        search(task, data, tmp_path / "t", **changes)
    assert list(tmp_path.iterdir()) == []


def test_what_compares_only_roughly_is_warned_of(data, tmp_path):
    space = {"class_weights": ["balanced", None], "seed": [1, 2]}
    result = search("classify", data, tmp_path / "t", space=space, trials=1, folds=1)
    assert [warning.split()[0] for warning in result.warnings] == ["The", "seed"]
    assert "seed also draws what is held out" in result.report.read_text()


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_the_command_searches_and_says_how_to_train_the_best(task, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    settings = SETTINGS[task] | {"epochs": 1}
    given = [word for name, value in settings.items() for word in _option(name, value)]
    vary = ["--vary", "learning_rate=1e-2..1e-1:log", "--trials", "2", "--folds", "2"]
    assert run(["tune", task, str(data[task]), *given, *vary]) == 0
    out = capsys.readouterr().out
    assert "2 complete" in out
    command = out.splitlines()[-1].strip()
    assert run([*shlex.split(command)[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["validation_loss"] > 0


def _option(name, value):
    flag = name.replace("_", "-")
    return [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
