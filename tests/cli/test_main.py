import errno
import json
import os
import subprocess
import sys

import click
import pytest

from ricorso.cli import main
from ricorso.errors import DataError


def test_without_arguments_it_shows_help(ricorso):
    outcome = ricorso()
    assert outcome.status == 0
    assert "train" in outcome.out
    assert "demo" in outcome.out


@pytest.mark.parametrize("command", main.MEMBERS)
def test_every_command_has_help_with_an_example(ricorso, command):
    outcome = ricorso(command, "--help")
    assert outcome.status == 0
    assert f"Example: ricorso {command}" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "There is no command 'trian'. Did you mean 'train'?"),
        (["--versoin"], "There is no option '--versoin'. Did you mean '--version'?"),
        (["train"], "Name a task: classify, generate, forecast, tag."),
        (["train", "genrate", "x"], "There is no task 'genrate'. Did you mean 'generate'?"),
        (["train", "generate"], "Missing argument 'DATA'."),
        (["train", "generate", "x", "--hiden-size", "3"], "Did you mean '--hidden-size'?"),
        (["train", "generate", "x", "--epochs", "some"], "'some' is not a valid integer"),
        (["generate", "x", "y"], "unexpected extra argument (y)"),
        (["cells", "lstn"], "There is no cell 'lstn'. Did you mean 'lstm'?"),
    ],
)
def test_a_wrong_command_gets_one_line_and_status_2(ricorso, arguments, message):
    outcome = ricorso(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("ricorso: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_with_json_an_error_is_an_object(ricorso):
    outcome = ricorso("generate", "nowhere", "--json")
    told = json.loads(outcome.out)
    assert outcome.status == told["status"] == 1
    assert "nowhere" in told["error"]
    assert outcome.err == f"ricorso: {told['error']}\n"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("The data are odd."), 1, "The data are odd."),
        (KeyboardInterrupt(), 1, "Stopped."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model"), 1, "No space left on device (model)."),
        (click.UsageError("No"), 2, "No."),
    ],
)
def test_every_failure_is_told_in_one_line(ricorso, monkeypatch, error, status, message):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(main.root, "main", fail)
    outcome = ricorso("cells")
    assert outcome == (status, "", f"ricorso: {message}\n")


def test_a_programming_error_keeps_its_traceback(ricorso, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(main.root, "main", fail)
    with pytest.raises(ZeroDivisionError):
        ricorso("cells")


def test_a_reader_that_leaves_is_no_trouble():
    code = (
        "import os, sys; from ricorso.cli.main import main; os.close(1); r, w = os.pipe(); os.close(r); os.dup2(w, 1)"
    )
    code += "; sys.argv = ['ricorso', 'cells']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ""


def test_python_m_ricorso_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "ricorso", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ricorso ")
