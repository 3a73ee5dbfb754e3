from pathlib import Path

import pytest

from ricorso.tasks.generate.task import Generator

VERSE = "the sea is blue and the sky is wide\nthe wind is cold and the moon is bright\n"
TINY = {
    "cell": "gru",
    "hidden_size": 16,
    "sequence_length": 12,
    "batch_size": 4,
    "epochs": 3,
    "validations": 4,
    "samples": 2,
    "sample_length": 20,
    "average": 0.8,
    "threads": 1,
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file of 40 lines."""
    path = tmp_path_factory.mktemp("corpus") / "verse.txt"
    path.write_text(VERSE * 20, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def fitted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """A tiny Generator with its run folder; not to be changed."""
    return Generator(**TINY).fit(corpus, out=tmp_path_factory.mktemp("runs") / "whole")
