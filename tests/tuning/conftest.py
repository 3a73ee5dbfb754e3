"""A small text, and a search over it that several tests look at."""

from pathlib import Path
from typing import Any

import pytest
from small_search import SPACE, TEXT, TINY, TRIALS

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
    return tune("generate", text_file, trials=TRIALS, space=SPACE, settings=TINY, out=out, keep=2)
