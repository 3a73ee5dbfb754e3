"""A way to run commands inside the test process, and a tiny trained run to run them on."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ricorso.cli.main import run

TEXT = "The quick brown fox jumps over the lazy dog.\nPack my box with five dozen liquor jugs!\n"
TINY = ["--hidden-size", "8", "--sequence-length", "16", "--batch-size", "4", "--sample-length", "20", "--threads", "1"]


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def ricorso(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line in an empty working folder and return its exit status and output."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        return Outcome(status, *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of a few thousand characters."""
    path = tmp_path_factory.mktemp("text") / "fox.txt"
    path.write_text(TEXT * 40, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained_once(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained from the command line; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "fox"
    assert run(["train", "generate", str(text_file), *TINY, "--epochs", "4", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """A copy of the trained run that a test may damage."""
    return Path(shutil.copytree(trained_once, tmp_path / "fox"))
