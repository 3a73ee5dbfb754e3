"""Life without llvmlite: everything runs, in a process of its own, and one warning says what is lost."""

import os
import subprocess
import sys

import pytest
import without_llvmlite

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """How each piece ended: its status, and what it said."""
    folder = tmp_path_factory.mktemp("without")
    done = subprocess.run(
        [sys.executable, without_llvmlite.__file__, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {
        name: tuple((folder / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("status", "said"))
        for name in without_llvmlite.PIECES
    }


@pytest.mark.parametrize("name", without_llvmlite.PIECES)
def test_it_runs_and_warns_once(name, outcomes):
    status, said = outcomes[name]
    assert status == "0", said
