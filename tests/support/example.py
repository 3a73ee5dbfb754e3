"""Examples run as if they were started by hand, in a fork of this process, which has imported what they need."""

import runpy
import sys
from pathlib import Path

import torch  # noqa: F401
from processes import apart

import ricorso.bench
import ricorso.layers  # noqa: F401

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str, folder: Path) -> str:
    """What the example prints when it ends well. folder: a place for that."""

    def work() -> None:
        sys.path.insert(0, str(EXAMPLES))
        sys.argv = [f"{name}.py", *arguments]
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")

    ended = apart(work, folder)
    assert ended.status == 0, ended.err
    return ended.out
