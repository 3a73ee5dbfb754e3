import json
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from ricorso.bundle import read_json
from ricorso.cli.setting import read_config_file
from ricorso.tasks.generate.config import GenerateConfig

TINY = ["--hidden-size", "8", "--sequence-length", "16", "--batch-size", "4", "--sample-length", "20", "--threads", "1"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "ricorso", "train", "generate", *map(str, arguments)]


def test_a_trained_run_is_whole(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"config.json", "model.safetensors", "cell.json", "vocabulary.json", "metrics.jsonl", "report.html"} <= names
    assert "report.html" in read_json(trained / "manifest.json")["files"]


def test_it_says_where_everything_is_and_what_comes_next(ricorso, text_file):
    outcome = ricorso("train", "generate", text_file, *TINY, "--epochs", "1")
    assert outcome.status == 0
    assert "Validation loss" in outcome.out
    assert "runs/fox/report.html" in outcome.out
    assert "ricorso generate runs/fox" in outcome.out
    assert "parameters" in outcome.err


def test_a_second_run_gets_its_own_folder(ricorso, text_file):
    for folder in ("runs/fox", "runs/fox-2"):
        outcome = ricorso("train", "generate", text_file, *TINY, "--epochs", "1", "--json")
        assert json.loads(outcome.out)["run"] == folder


def test_json_is_one_object_on_standard_output(ricorso, text_file, tmp_path):
    outcome = ricorso("train", "generate", text_file, *TINY, "--epochs", "2", "--out", tmp_path / "run", "--json")
    told = json.loads(outcome.out)
    assert told["finished"] is True
    assert told["epochs"] == 2
    assert told["validation_loss"] > 0
    assert len(told["sample"]) > 0


def test_every_setting_is_an_option_with_its_help_and_default(ricorso):
    text = " ".join(ricorso("train", "generate", "--help").out.split())
    for name, field in GenerateConfig.model_fields.items():
        assert f"--{name.replace('_', '-')} " in text
        assert " ".join(field.description.split()[:3]) in text
        if field.default is not None:
            assert "[default:" in text
    assert f"[default: {GenerateConfig.model_fields['num_layers'].default}]" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [("s.json", '{"hidden_size": 12, "cell": "gru"}'), ("s.toml", 'hidden_size = 12\ncell = "gru"\n')],
)
def test_settings_come_from_a_file_and_options_go_before_it(ricorso, text_file, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    options = ["--sequence-length", "16", "--batch-size", "4", "--epochs", "1", "--samples", "0", "--threads", "1"]
    outcome = ricorso("train", "generate", text_file, "--config", name, "--cell", "carry", "--out", "run", *options)
    assert outcome.status == 0
    settings = read_json(tmp_path / "run" / "config.json")["settings"]
    assert (settings["hidden_size"], settings["cell"]) == (12, "carry")


def test_a_run_serves_as_settings(trained):
    assert read_config_file(trained / "config.json")["hidden_size"] == 8


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("a.json", '{"hiden_size": 3}', 2, "Did you mean 'hidden_size'?"),
        ("b.json", '{"hidden_size": ', 1, "b.json, line 1, column 17: not JSON"),
        ("c.json", "[1, 2]", 1, "holds a list; a table of settings was expected"),
        ("d.toml", "hidden_size = ", 1, "d.toml is not TOML"),
        ("e.toml", 'hidden_size = "large"', 2, "hidden_size should be a valid integer, got 'large'"),
        ("f.yaml", "hidden_size: 3", 2, "ends in .json or .toml"),
        ("g.json", None, 1, "There is no file 'g.json'"),
        ("h.json", b"\xff\xfe{", 1, "is not UTF-8 text (byte 0)"),
    ],
)
def test_a_bad_settings_file(ricorso, text_file, tmp_path, name, content, status, message):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    outcome = ricorso("train", "generate", text_file, "--config", name)
    assert outcome.status == status
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "options", "status", "message"),
    [
        (None, [], 1, "There is no file 'text.txt'"),
        (b"", [], 1, "text.txt is empty"),
        (b"a", [], 1, "too short"),
        (b"only a few characters", [], 1, f"needs at least {GenerateConfig().resolved().sequence_length + 1}"),
        (b"PK\x03\x04\0\0\0\0", [], 1, "looks like a binary file"),
        (b"first line\nsm\xf6rg\xe5s\n", [], 1, "text.txt, line 2, column 3: byte 0xf6 is not valid utf-8"),
        (b"some text " * 99, ["--encoding", "utf-9"], 2, "There is no text encoding 'utf-9'"),
        (b"some text " * 99, ["--cell", "gruu"], 2, "Did you mean 'gru'?"),
        (b"some text " * 99, ["--hidden-size", "0"], 2, "hidden_size should be greater than or equal to 1, got 0"),
        (b"some text " * 99, ["--level", "letter"], 2, "'letter' is not one of 'character', 'byte', 'bpe', 'word'"),
        (b"some text " * 99, ["--valid", "other.txt"], 1, "There is no file 'other.txt'"),
        (b"some text " * 99, ["--out", "text.txt"], 2, "'text.txt' exists already"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing_behind(ricorso, tmp_path, content, options, status, message):
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)
    before = sorted(tmp_path.iterdir())
    outcome = ricorso("train", "generate", "text.txt", *options)
    assert outcome.status == status
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_existing_run_is_not_overwritten(ricorso, text_file, trained):
    manifest = (trained / "manifest.json").read_bytes()
    outcome = ricorso("train", "generate", text_file, "--out", trained)
    assert outcome.status == 2
    assert "nothing was overwritten" in outcome.err
    assert (trained / "manifest.json").read_bytes() == manifest


def test_standard_input_is_read(text_file, tmp_path):
    arguments = command("-", *TINY, "--epochs", "1", "--samples", "0")
    with text_file.open("rb") as file:
        done = subprocess.run(arguments, stdin=file, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "runs/text" in done.stdout


def test_ctrl_c_leaves_a_checkpoint_and_the_command_that_resumes(ricorso, text_file, tmp_path):
    arguments = command(text_file, *TINY, "--epochs", "3000", "--samples", "0", "--out", "stopped run")
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "stopped run" / "metrics.jsonl"
    limit = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert "Traceback" not in err
    assert err.endswith("  ricorso resume 'stopped run'\n")
    assert list((tmp_path / "stopped run" / "checkpoints").iterdir())
    assert ricorso("generate", "stopped run", "--length", "5").status == 0


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file sizes to play a full disk")
def test_a_full_disk_keeps_the_checkpoint_before(text_file, tmp_path):
    arguments = command(text_file, *TINY, "--epochs", "2000", "--samples", "0", "--out", "run")
    arguments += ["--checkpoint-minutes", "1e-4", "--log-every", "1"]
    # the record of the training grows until it meets the limit; checkpoints stay below it
    limit = 60_000
    done = subprocess.run(
        arguments,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"The checkpoint of step \d+ is whole: .* ricorso resume run\n$", done.stderr)
    assert list((tmp_path / "run" / "checkpoints").iterdir())
