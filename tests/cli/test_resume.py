import json

from ricorso.bundle import read_json, verify
from ricorso.cli import run_folder
from ricorso.training.loop import Training

TINY = ["--hidden-size", "8", "--sequence-length", "16", "--batch-size", "4", "--samples", "0", "--threads", "1"]


def stop_after(step, monkeypatch):
    """Let the next training be stopped after a step, as Ctrl-C would."""
    original = Training._look_around

    def look(self):
        original(self)
        if self.cursor.step == step:
            self.stop.made = True

    monkeypatch.setattr(Training, "_look_around", look)


def test_a_stopped_training_ends_as_if_it_had_not_stopped(ricorso, text_file, tmp_path, monkeypatch):
    options = ["train", "generate", text_file, *TINY, "--epochs", "3", "--json", "--out"]
    straight = json.loads(ricorso(*options, "straight").out)
    with monkeypatch.context() as patch:
        stop_after(20, patch)
        stopped = ricorso(*options, "stopped")
    told = json.loads(stopped.out)
    assert stopped.status == 1
    assert told == {"run": "stopped", "finished": False, "resume": "ricorso resume stopped"}
    resumed = json.loads(ricorso(*told["resume"].split()[1:], "--json").out)
    assert resumed["finished"] is True
    assert resumed["validation_loss"] == straight["validation_loss"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "stopped")]
    assert weights[0] == weights[1]


def test_the_text_may_have_moved(ricorso, tmp_path, text_file, monkeypatch):
    (tmp_path / "here.txt").write_bytes(text_file.read_bytes())
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        ricorso("train", "generate", "here.txt", *TINY, "--epochs", "1", "--out", "run")
    (tmp_path / "here.txt").rename(tmp_path / "there.txt")
    lost = ricorso("resume", "run")
    assert lost.status == 1
    assert "here.txt" in lost.err
    assert ricorso("resume", "run", "--data", "there.txt").status == 0


def test_a_finished_training_has_nothing_to_continue(ricorso, trained):
    before = read_json(trained / "manifest.json")["files"]["model.safetensors"]
    outcome = ricorso("resume", trained)
    assert outcome.status == 0
    assert "had finished already" in outcome.out
    assert read_json(trained / "manifest.json")["files"]["model.safetensors"] == before


def test_a_report_that_cannot_be_written_loses_nothing(ricorso, trained, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ricorso.insight.report.write_file", refuse)
    outcome = ricorso("resume", trained, "--json")
    assert outcome.status == 0
    assert json.loads(outcome.out)["report"] is None
    assert "No space left on device" in outcome.err
    verify(trained)


def test_run_folders_are_named_after_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for data, folder in [
        ("a/my book.txt.gz", "my-book"),
        ("-", "text"),
        ("源.txt", "源"),
        ("???", "text"),
        ("v1.2.txt", "v1.2"),
    ]:
        assert str(run_folder.free_folder(data)) == f"runs/{folder}"
