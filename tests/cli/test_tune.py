import json
import math
import os
import shlex
import signal

import pytest

from ricorso.cli.tune_display import TuneDisplay

pytest.importorskip("optuna", reason="Optuna comes with the extra `tune`")

TINY = ["--hidden-size", "8", "--sequence-length", "16", "--batch-size", "4", "--threads", "1", "--epochs", "1"]
VARY = ["--vary", "learning_rate=1e-3..1e-1:log", "--vary", "dropout=0..0.5"]


def test_a_search_ranks_and_says_how_to_train_the_best(ricorso, text_file):
    outcome = ricorso("tune", "generate", text_file, *TINY, *VARY, "--trials", 3)
    assert outcome.status == 0
    assert "Best: trial" in outcome.out
    assert "tunes/fox/report.html" in outcome.out
    command = outcome.out.splitlines()[-1].strip()
    assert command.startswith("ricorso train generate ")
    assert command.endswith("--out runs/fox-best")
    assert "3 trials over learning_rate 0.001..0.1:log, dropout 0..0.5" in outcome.err
    assert outcome.err.count("\ntrial ") == 3
    trained = ricorso(*shlex.split(command)[1:], "--json")
    assert f"validation loss {json.loads(trained.out)['validation_loss']:.4f}." in outcome.out


def test_json_is_one_object_and_resume_does_more(ricorso, text_file):
    first = ricorso("tune", "generate", text_file, *TINY, *VARY, "--trials", 2, "--out", "search", "--json")
    told = json.loads(first.out)
    assert (told["finished"], told["folder"], len(told["ranking"])) == (True, "search", 2)
    assert told["best"] == told["ranking"][0]
    assert told["best"]["loss"] <= told["ranking"][1]["loss"]
    assert set(told["best"]["settings"]) == {"learning_rate", "dropout"}
    again = json.loads(ricorso("tune", "--resume", "search", "--trials", 3, "--json").out)
    assert len(again["ranking"]) == 3
    assert [row for row in again["ranking"] if row["number"] < 2] == [
        row | {"folder": row["folder"] if row["number"] == again["best"]["number"] else None} for row in told["ranking"]
    ]


def test_the_space_comes_from_a_file_and_vary_before_it(ricorso, text_file, tmp_path):
    (tmp_path / "space.toml").write_text('cell = ["gru", "elman_tanh"]\ndropout = {low = 0.0, high = 0.5}\n')
    (tmp_path / "fixed.json").write_text('{"dropout": 0.3, "learning_rate": 0.02, "batch_size": 4}')
    options = [
        "--space",
        "space.toml",
        "--vary",
        "cell=gru",
        "--config",
        "fixed.json",
        "--out",
        "search",
        "--trials",
        1,
    ]
    outcome = ricorso("tune", "generate", text_file, *TINY, *options, "--json")
    assert outcome.status == 0, outcome.err
    told = json.loads(outcome.out)
    assert told["best"]["settings"]["cell"] == "gru"
    assert told["best"]["settings"]["dropout"] != 0.3
    assert "--learning-rate 0.02" in told["command"]
    assert told["command"].count("--dropout") == 1


def test_what_is_fixed_leaves_the_usual_space(ricorso, text_file):
    outcome = ricorso("tune", "generate", text_file, *TINY, "--cell", "gru", "--num-layers", 1, "--trials", 1)
    assert outcome.status == 0
    assert "over learning_rate 0.0005..0.02:log, dropout 0..0.6;" in outcome.err


def test_folds_show_the_spread(ricorso, text_file):
    outcome = ricorso("tune", "generate", text_file, *TINY, *VARY, "--trials", 1, "--folds", 2)
    assert outcome.status == 0
    assert "spread" in outcome.out


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ([], 2, "Name a task: generate, forecast, classify, tag."),
        (["generat", "x.txt"], 2, "Did you mean 'generate'?"),
        (["generate", "x.txt"], 1, "There is no file 'x.txt'"),
        (["generate", "fox", "--vary", "hiden_size=1,2"], 2, "Did you mean 'hidden_size'?"),
        (["generate", "fox", "--vary", "dropout=0..1"], 2, "dropout should be less than 1, got 1.0"),
        (["generate", "fox", "--vary", "dropout"], 2, "--vary needs NAME=VALUES, got 'dropout'"),
        (
            ["generate", "fox", "--vary", "dropout=0..0.5", "--dropout", "0.1"],
            2,
            "dropout is fixed and searched at once",
        ),
        (["generate", "fox", "--space", "s.yaml"], 2, "--space needs a file that ends in .json or .toml"),
        (["generate", "fox", "--trials", "0"], 2, "0 is not in the range"),
        (["generate", "fox", "--sampler", "cmaes"], 2, "'cmaes' is not one of 'tpe', 'random', 'grid'"),
        (["generate", "fox", "--hidden-sise", "8"], 2, "Did you mean '--hidden-size'?"),
        (["generate", "fox", *TINY, "--sequence-length", "99999"], 1, "No trial came to its end: 5 failed"),
        (["--resume", "nothing"], 1, "'nothing' is not a search of Ricorso"),
        (["--json", "generate", "fox"], 2, "Options come after the task"),
        (["--trials", "3"], 2, "--resume FOLDER is missing"),
    ],
)
def test_a_mistake_gets_one_line(ricorso, text_file, options, status, message):
    outcome = ricorso("tune", *(text_file if option == "fox" else option for option in options))
    assert outcome.status == status
    last = outcome.err.splitlines()[-1]
    assert message in last
    assert last.startswith("ricorso: ")
    assert "Traceback" not in outcome.err


def test_a_cell_file_is_run_only_when_it_was_typed(ricorso, text_file, tmp_path):
    (tmp_path / "mine.py").write_text("from ricorso.cells import GRU\nMINE = GRU\n")
    search = ["tune", "generate", text_file, *TINY, "--vary", "cell=mine.py:MINE,gru", "--out", "search"]
    assert ricorso(*search, "--trials", 1).status == 0
    (tmp_path / "mine.py").write_text("raise SystemExit('this was run')\n")
    outcome = ricorso("tune", "--resume", "search")
    assert outcome.status == 2
    assert "'mine.py:MINE', which is not run unasked" in outcome.err
    assert "--out search" in outcome.err
    again = ricorso(*search, "--trials", 1)
    assert again.status == 2
    assert "this was run" in again.err


def test_ctrl_c_keeps_the_search_and_prints_the_command_that_goes_on(ricorso, text_file, tmp_path, monkeypatch):
    monkeypatch.setattr(TuneDisplay, "on_trial_end", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    options = [*VARY, "--trials", "4000", "--out", "a search", "--keep", "0"]
    status, out, err = ricorso("tune", "generate", text_file, *TINY, *options)
    assert status == 1
    assert out == ""
    assert "Traceback" not in err
    assert err.endswith("  ricorso tune --resume 'a search'\n")
    assert (tmp_path / "a search" / "report.html").exists()


def forecast_options(*more):
    small = ["--horizon", "4", "--season", "4", "--segment", "4", "--windows-per-epoch", "60"]
    return [*small, "--hidden-size", "8", "--epochs", "1", "--threads", "1", "--batch-size", "16", *more]


@pytest.fixture
def sales(tmp_path):
    rows = [f"2024-01-{1 + t // 24:02d} {t % 24:02d}:00,{20 + 5 * math.sin(t * math.pi / 2):.3f}" for t in range(60)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["when,sold", *rows, ""]))
    return path


def test_a_forecaster_is_searched_and_the_best_trained(ricorso, sales):
    options = forecast_options("--trials", "3", "--folds", "2", "--quantiles", "0.1,0.5,0.9", "--vary", "context=8,12")
    outcome = ricorso("tune", "forecast", "sales.csv", *options, "--vary", "learning_rate=1e-3..1e-1:log")
    assert outcome.status == 0, outcome.err
    assert "Best: trial" in outcome.out
    assert "validation loss" in outcome.out.splitlines()[1]
    # once before and once with the ranking
    assert "losses of different context are not on quite the same scale" in outcome.err
    assert "losses of different context are not on quite the same scale" in outcome.out
    command = outcome.out.splitlines()[-1].strip()
    assert "--quantiles 0.1,0.5,0.9" in command
    trained = ricorso(*shlex.split(command)[1:], "--json")
    assert trained.status == 0, trained.err


def test_the_usual_space_of_a_forecaster_can_be_trained(ricorso, sales):
    options = ["--horizon", 6, "--epochs", 1, "--windows-per-epoch", 60, "--trials", 1, "--json"]
    outcome = ricorso("tune", "forecast", sales, *options)
    assert outcome.status == 0, outcome.err
    assert {"hidden_size", "cell", "linear"} <= set(json.loads(outcome.out)["best"]["settings"])


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--vary", "scaling=mean,standard"], 2, "'scaling' cannot be searched"),
        (["--valid", "v.csv"], 2, "--valid"),
        (["--horizon", "40"], 1, "longest series has 60 steps"),
        ([], 1, "sales.csv: no series is long enough to hold out 24 steps for validation; the longest has 60"),
        (["--time", "wen"], 1, "Did you mean 'when'?"),
        (["--horizon", "14", "--folds", "2"], 1, "too short for 2 folds that are 14 steps apart"),
    ],
)
def test_a_mistake_about_series_gets_one_line(ricorso, sales, tmp_path, options, status, message):
    outcome = ricorso("tune", "forecast", sales, "--epochs", 1, *options)
    assert outcome.status == status
    assert message in outcome.err.splitlines()[-1]
