import json

from ricorso.bundle import verify


def test_it_tells_what_was_found(ricorso, trained, text_file):
    outcome = ricorso("inspect", trained, text_file, "--steps", 20)
    assert outcome.status == 0
    assert outcome.err == ""
    for part in ("Gradient: ", "sigmoid(z)", "spectral radius, r", "inside a word", "recurrent kernels", "report.html"):
        assert part in outcome.out


def test_the_report_gets_a_section_and_the_run_stays_whole(ricorso, trained, text_file):
    before = (trained / "report.html").read_text(encoding="utf-8")
    assert "A look inside" not in before
    assert ricorso("inspect", trained, text_file, "--steps", 20).status == 0
    after = (trained / "report.html").read_text(encoding="utf-8")
    assert "A look inside" in after
    for heading in ("Learning", "What it wrote", "The cell", "Settings"):
        assert f"<h2>{heading}</h2>" in after
    assert "report.html" in verify(trained)
    assert ricorso("generate", trained, "--length", 5).status == 0


def test_as_json(ricorso, trained):
    told = json.loads(ricorso("inspect", trained, "--json", "--steps", 20, "--prompt", "The quick ").out)
    assert told["run"] == str(trained)
    assert told["layers"][0]["gates"]["units"] == 8
    assert told["saliency"]["text"] == "The quick "


def test_the_same_seed_looks_at_the_same_place(ricorso, trained, text_file):
    def norms(seed):
        told = json.loads(ricorso("inspect", trained, text_file, "--json", "--steps", 8, "--seed", seed).out)
        return told["layers"][0]["norms"]

    assert norms(1) == norms(1)


def test_a_unit_over_the_text(ricorso, trained, text_file):
    assert ricorso("inspect", trained, text_file, "--steps", 20, "--unit", 5).status == 0
    assert "h[5] of layer 1" in (trained / "report.html").read_text(encoding="utf-8")
    outcome = ricorso("inspect", trained, text_file, "--unit", 8)
    assert outcome.status == 2
    assert "units 0 to 7" in outcome.err


def test_mistakes(ricorso, trained, tmp_path):
    assert "no run folder" in ricorso("inspect", "nowhere").err
    outcome = ricorso("inspect", trained, "nowhere.txt")
    assert (outcome.status, outcome.out) == (1, "")
    (tmp_path / "short.txt").write_text("too short", encoding="utf-8")
    assert "more than 32" in ricorso("inspect", trained, "short.txt").err
    assert ricorso("inspect", trained, "--steps", 1).status == 2


def test_the_text_of_the_run_is_gone(ricorso, text_file, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes(text_file.read_bytes())
    tiny = ("--hidden-size", 8, "--sequence-length", 16, "--batch-size", 4, "--epochs", 1, "--sample-length", 5)
    assert ricorso("train", "generate", copy, *tiny, "--threads", 1, "--out", "run").status == 0
    copy.unlink()
    outcome = ricorso("inspect", "run")
    assert outcome.status == 1
    assert "Name one: ricorso inspect RUN TEXT" in outcome.err


def test_a_report_that_cannot_be_written(ricorso, trained, text_file, monkeypatch):
    def refuse(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ricorso.insight.report.write_file", refuse)
    outcome = ricorso("inspect", trained, text_file, "--steps", 20)
    assert outcome.status == 0
    assert "No space left" in outcome.err
    assert "Gradient: " in outcome.out
    assert "Pictures" not in outcome.out


def test_help_has_an_example(ricorso):
    outcome = ricorso("inspect", "--help")
    assert "Example: ricorso inspect runs/my-book" in outcome.out
    assert "--unit" in outcome.out
