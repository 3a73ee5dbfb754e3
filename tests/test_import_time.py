"""Heavy libraries stay out of the way until they are needed."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "polars", "sympy", "plotly", "llvmlite", "pydantic", "tokenizers")


def loaded_by(code: str) -> list[str]:
    """Return which heavy libraries a fresh interpreter has loaded after running the code."""
    report = f"\nimport sys; print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1].split()[1:]


def test_import_is_light() -> None:
    assert loaded_by("import ricorso") == []


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["train", "--help"], ["generate", "--help"], ["resume", "--help"], ["tune", "--help"]],
)
def test_help_is_light(arguments: list[str]) -> None:
    assert loaded_by(f"from ricorso.cli.main import run\nassert run({arguments!r}) == 0") == []


def test_the_check_sees_a_heavy_library() -> None:
    assert "sympy" in loaded_by("import sympy")
