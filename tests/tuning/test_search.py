import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_search import CUT_OFF_AFTER, SPACE, TINY, TRIALS

import ricorso
from ricorso.cli.main import run
from ricorso.errors import DataError, RunError, TrainingError, UsageError
from ricorso.tuning import SearchInterrupted, SearchListener, continue_search, tune
from ricorso.tuning import study as studies


def told(result):
    """What must come out the same each time."""
    return [(row.number, row.state, row.loss, row.settings, row.measured) for row in result.trials]


class After(SearchListener):
    """Does something when so many trials have ended."""

    def __init__(self, count, what):
        self.count, self.what = count, what

    def on_trial_end(self, row, best):
        self.count -= 1
        if self.count == 0:
            self.what()


def test_the_same_seed_gives_the_same_search(found, text_file, tmp_path):
    again = tune("generate", text_file, trials=TRIALS, space=SPACE, settings=TINY, out=tmp_path / "again", keep=0)
    assert told(again) == told(found)
    assert [row.number for row in again.ranking] == [row.number for row in found.ranking]
    assert len({row.settings["learning_rate"] for row in found.trials}) == TRIALS
    other = tune("generate", text_file, trials=1, space=SPACE, settings={**TINY, "seed": 1}, out=tmp_path / "b", keep=0)
    assert {row.settings["learning_rate"] for row in other.trials}.isdisjoint(
        row.settings["learning_rate"] for row in found.trials
    )


def test_the_ranking_is_by_loss_and_some_trials_were_pruned(found):
    losses = [row.loss for row in found.ranking]
    assert losses == sorted(losses)
    pruned = [row for row in found.trials if row.state == "pruned"]
    assert pruned
    assert all(row.loss is None and len(row.measured) < TINY["validations"] for row in pruned)
    assert all(len(row.measured) == TINY["validations"] for row in found.ranking)
    assert len(found.ranking) + len(pruned) == TRIALS


def test_only_the_best_keep_their_runs(found):
    kept = {path.name for path in (found.folder / "trials").iterdir()}
    assert kept == {f"{row.number:04d}" for row in found.ranking[:2]}
    assert ricorso.load(found.best.folder).best_["validation_loss"] == found.best.loss
    assert [row.folder for row in found.ranking[2:]] == [None] * (len(found.ranking) - 2)


def test_the_command_trains_the_best_again(found, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(found.command)
    assert words[:3] == ["ricorso", "train", "generate"]
    assert run([*words[1:], "--samples", "0", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["validation_loss"] == found.best.loss
    assert answer["run"] == "runs/fox-best"


def test_the_question_is_on_disk(found, text_file):
    question = json.loads((found.folder / "tune.json").read_text())
    assert question["settings"] == TINY
    assert question["data"]["path"] == str(text_file)
    assert len(question["data"]["sha256"]) == 64
    assert question["space"]["learning_rate"] == {"low": 1e-3, "high": 1e-1, "log": True, "step": None}
    assert {"ricorso", "torch", "optuna", "python"} <= set(question["versions"])
    lines = (found.folder / "study.journal").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_the_journal_is_data_and_nothing_else():
    from optuna.storages.journal import JournalFileBackend
    from optuna.storages.journal._base import BaseJournalSnapshot

    # a backend with snapshots would load serialised Python objects
    assert not issubclass(JournalFileBackend, BaseJournalSnapshot)


# --- cut off and continued


def test_a_killed_search_goes_on_as_if_nothing_had_been(found, cut_off):
    assert '"state":0' not in (cut_off / "study.journal").read_text().splitlines()[-1]
    with (cut_off / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code":7,"wor')  # the line that was being written
    (cut_off / "study.journal.lock").symlink_to("study.journal")
    result = continue_search(cut_off)
    assert told(result) == told(found)
    assert [row.interrupted for row in result.trials] == [0] * CUT_OFF_AFTER + [1, 0]
    assert {path.name for path in (cut_off / "trials").iterdir()} == {f"{row.number:04d}" for row in found.ranking[:2]}


def test_the_same_call_continues_and_another_is_refused(found, text_file, tmp_path):
    def search(trials, **changes):
        options = {"space": SPACE, "settings": TINY, "out": tmp_path / "t", "keep": 0} | changes
        return tune("generate", text_file, trials=trials, **options)

    search(3)
    assert told(search(5)) == told(found)[:5]
    with pytest.raises(UsageError, match="holds another search; it differs in settings, seed"):
        search(5, settings={**TINY, "seed": 3})
    with pytest.raises(UsageError, match="it differs in space"):
        search(5, space={"dropout": "0..0.5"})
    assert told(continue_search(tmp_path / "t", trials=6)) == told(found)[:6]
    assert told(continue_search(tmp_path / "t")) == told(found)[:6]


def test_a_stop_keeps_what_is_done(found, text_file, tmp_path):
    stop = After(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SearchInterrupted, match="ricorso tune --resume"):
        tune("generate", text_file, trials=5, space=SPACE, settings=TINY, out=tmp_path / "t", keep=0, listener=stop)
    assert (tmp_path / "t" / "report.html").exists()
    assert told(continue_search(tmp_path / "t")) == told(found)[:5]


def test_changed_data_is_not_searched_on(text_file, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes(text_file.read_bytes())
    tune("generate", copy, trials=1, space=SPACE, settings=TINY, out=tmp_path / "t", keep=0)
    copy.write_text("Something else\n" * 100)
    with pytest.raises(RunError, match="has changed since this search began"):
        continue_search(tmp_path / "t", trials=2)


def test_a_damaged_journal_is_told(text_file, tmp_path):
    tune("generate", text_file, trials=1, space=SPACE, settings=TINY, out=tmp_path / "t", keep=0)
    (tmp_path / "t" / "study.journal").write_text("no journal\nat all\n")
    with pytest.raises(RunError, match="is damaged"):
        continue_search(tmp_path / "t", trials=2)
    with pytest.raises(RunError, match=r"has no tune\.json"):
        continue_search(tmp_path)


# --- workers, folds, samplers


def test_two_workers_share_the_trials(found, text_file, tmp_path):
    result = tune(
        "generate", text_file, trials=4, space=SPACE, settings=TINY, out=tmp_path / "t", workers=2, pruner="none"
    )
    # the first proposals depend on nothing but their number, and a training on nothing but its settings
    assert told(result) == told(found)[:4]
    assert result.best.folder.is_dir()


CHILD = """
import json, os, signal, sys
from pathlib import Path
from ricorso.tuning import SearchListener, tune

class Deadly(SearchListener):
    ended = 0
    def on_trial_end(self, row, best):
        self.ended += 1
    def on_progress(self, number, share):
        if self.ended >= job["ended"]:
            os.kill(os.getpid(), signal.SIGKILL)

job = json.loads(sys.argv[1])
tune("generate", Path(job["text"]), trials=job["trials"], space=job["space"], settings=job["settings"],
     out=job["out"], keep=2, workers=job["workers"], listener=Deadly())
"""


def killed(text_file, folder, trials, ended, workers):
    job = {"text": str(text_file), "out": str(folder), "space": SPACE, "settings": TINY}
    arguments = [sys.executable, "-c", CHILD, json.dumps({**job, "trials": trials, "ended": ended, "workers": workers})]
    done = subprocess.run(arguments, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs a list of processes with their folders")
def test_workers_end_with_a_killed_search(found, text_file, tmp_path):
    killed(text_file, tmp_path / "t", 4, ended=1, workers=2)
    limit = time.monotonic() + 20
    while processes_in(tmp_path) and time.monotonic() < limit:
        time.sleep(0.05)
    assert processes_in(tmp_path) == []
    result = continue_search(tmp_path / "t")
    assert told(result) == told(found)[:4]
    assert sum(row.interrupted for row in result.trials) >= 1


def processes_in(folder):
    """The processes whose working folder this is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found += [entry] if entry.readlink() == folder else []
    return found


def test_folds_hold_every_part_out_once(text_file, tmp_path):
    # parts that differ, so that the losses do
    text = tmp_path / "parts.txt"
    text.write_text("".join(f"{word} {word[::-1]}\n" * 60 for word in ("quick", "brown", "foxes")))
    result = tune(
        "generate", text, trials=2, space={"learning_rate": [0.03, 0.01]}, settings=TINY, out=tmp_path / "t", folds=3
    )
    best = result.best
    assert len(set(best.losses)) == 3
    assert best.loss == pytest.approx(sum(best.losses) / 3)
    assert best.spread > 0
    assert {path.name for path in best.folder.iterdir()} == {"fold-1", "fold-2", "fold-3"}
    model = ricorso.Generator(**result.best_settings, samples=0)
    folds = tmp_path / "t" / "folds"
    model.fit(folds / "2-train.txt", folds / "2-held-out.txt")
    assert model.best_["validation_loss"] == best.losses[1]


def test_a_grid_tries_every_point_once(text_file, tmp_path):
    space = {"learning_rate": "0.01..0.03:0.01", "num_layers": "1..2"}
    result = tune(
        "generate", text_file, trials=50, space=space, settings=TINY, out=tmp_path / "t", sampler="grid", keep=0
    )
    tried = {(row.settings["learning_rate"], row.settings["num_layers"]) for row in result.trials}
    assert tried == {(rate, layers) for rate in (0.01, 0.02, 0.03) for layers in (1, 2)}
    assert len(result.trials) == 6
    assert [row.number for row in result.trials] == list(range(6))


def test_hyperband_prunes(text_file, tmp_path):
    result = tune(
        "generate",
        text_file,
        trials=6,
        space=SPACE,
        settings={**TINY, "validations": 9},
        out=tmp_path / "t",
        pruner="hyperband",
        keep=0,
    )
    assert any(row.state == "pruned" for row in result.trials)
    assert result.ranking


# --- what goes wrong


def test_a_trial_that_fails_is_told_and_the_search_goes_on(text_file, tmp_path):
    space = {"sequence_length": [16, 100_000]}
    settings = {name: value for name, value in TINY.items() if name != "sequence_length"}
    result = tune("generate", text_file, trials=2, space=space, settings=settings, out=tmp_path / "t", sampler="grid")
    (failed,) = [row for row in result.trials if row.state == "failed"]
    assert "The text is too short" in failed.note
    assert len(result.ranking) == 1


def test_when_nothing_comes_to_its_end_the_reason_is_told(text_file, tmp_path):
    settings = {**TINY, "sequence_length": 100_000}
    with pytest.raises(TrainingError, match=r"No trial came to its end: 5 failed, .* The text is too short"):
        tune("generate", text_file, trials=50, space=SPACE, settings=settings, out=tmp_path / "t")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"data": "nothing.txt"}, DataError, r"There is no file 'nothing\.txt'"),
        ({"data": "-"}, UsageError, "standard input will not do"),
        ({"task": "generat"}, UsageError, "Did you mean 'generate'"),
        ({"trials": 0}, UsageError, "trials must be 1 or more"),
        ({"sampler": "bayes"}, UsageError, "There is no sampler 'bayes'"),
        ({"pruner": "medain"}, UsageError, "Did you mean 'median'"),
        ({"space": {"hiden_size": [1, 2]}}, UsageError, "Did you mean 'hidden_size'"),
        ({"space": {"dropout": "0..1.5"}}, UsageError, "dropout should be less than 1, got 1.5"),
        ({"space": {"cell": ["gru", "lstmm"]}}, UsageError, "Did you mean 'lstm'"),
        ({"space": {}}, UsageError, "nothing to search over"),
        ({"settings": {"cell": "lstmm"}}, UsageError, "Did you mean 'lstm'"),
        ({"settings": {"hidden_size": 0}}, UsageError, "hidden_size should be greater"),
        ({"folds": 2, "validation": "v.txt"}, UsageError, "leave out --folds or --valid"),
        ({"sampler": "grid"}, UsageError, "A grid needs the values of 'learning_rate'"),
    ],
)
def test_a_wrong_question_is_refused_and_leaves_nothing_behind(changes, kind, message, text_file, tmp_path):
    options = {"task": "generate", "data": text_file, "trials": 2, "space": SPACE, "settings": TINY} | changes
    with pytest.raises(kind, match=message):
        tune(out=tmp_path / "t", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(text_file, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="nothing was overwritten"):
        tune("generate", text_file, trials=1, space=SPACE, settings=TINY, out=tmp_path)


def test_without_optuna_one_line_says_what_to_install(text_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'ricorso\[tune\]'"):
        tune("generate", text_file, trials=1, out=tmp_path / "t")
    with pytest.raises(UsageError, match=r"pip install 'ricorso\[tune\]'"):
        studies.load_optuna()
