"""A tiny text model that several tests look into."""

import pytest

from ricorso import Generator

LINES = 'He said "a quick brown fox" (or two [or 3]) to me.\n  The Lazy dog slept, and slept.\n\n'
TEXT = LINES * 30


@pytest.fixture(scope="session")
def text():
    return TEXT


@pytest.fixture(scope="session")
def generator():
    options = {"hidden_size": 8, "num_layers": 2, "batch_size": 4, "sequence_length": 16, "sample_length": 10}
    return Generator(cell="lstm", epochs=3, threads=1, **options).fit(TEXT)
