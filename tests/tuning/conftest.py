"""A small text, and a search over it that several tests look at."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from small_search import CUT_OFF_AFTER, SPACE, TEXT, TINY, TRIALS, Copying

pytest.importorskip("optuna", reason="Optuna comes with the extra `tune`")


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "fox.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def found(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An undisturbed search; not to be changed."""
    from ricorso.tuning import tune

    out = tmp_path_factory.mktemp("tunes") / "fox"
    listener = Copying(out.with_name("cut-off"), CUT_OFF_AFTER)
    return tune("generate", text_file, trials=TRIALS, space=SPACE, settings=TINY, out=out, keep=2, listener=listener)


@pytest.fixture
def cut_off(found: Any, tmp_path: Path) -> Path:
    """The folder of that search as it was in the middle of a trial."""
    return Path(shutil.copytree(found.folder.with_name("cut-off"), tmp_path / "killed"))
