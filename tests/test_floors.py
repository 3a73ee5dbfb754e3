"""A floor imports only from lower floors: every import in the source is walked, lazy ones included."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

FLOORS = {
    "errors": 0,
    "equations": 1,
    "cells": 2,
    "kernels": 3,
    "engine": 4,
    "layers": 5,
    "data": 6,
    "decoding": 6,
    "bundle": 6,
    "pages": 6,
    "check": 6,
    "weights": 6,
    "bench": 6,
    "exchange": 6,
    "training": 7,
    "tasks": 8,
    "insight": 9,
    "tuning": 9,
    "deploy": 9,
    "serve": 10,
    "cli": 11,
}

WITHOUT_TORCH = {"errors", "equations", "cells", "kernels", "decoding"}


def part_of(module: str) -> str | None:
    """Return the part of the house that a dotted module name belongs to; None for the package's own face."""
    names = module.split(".")
    return names[1] if len(names) > 1 and names[1] not in ("__init__", "__main__") else None


def task_of(module: str) -> str | None:
    """Return the task folder of a dotted module name, or None; what tasks share lies beside the folders."""
    names = module.split(".")
    if len(names) < 3 or names[1] != "tasks" or (SOURCE / "ricorso" / "tasks" / f"{names[2]}.py").is_file():
        return None
    return names[2]


def imported(code: str) -> list[str]:
    """Return every module that a source text imports, as dotted names; relative imports as '.'."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append(".")
            elif node.module == "ricorso":
                found += [f"ricorso.{alias.name}" for alias in node.names]
            else:
                found.append(node.module or "")
    return found


def violations(module: str, code: str) -> list[str]:
    """Return what a module's imports break, one line each."""
    part, problems = part_of(module), []
    for target in imported(code):
        if target == ".":
            problems.append(f"{module} uses a relative import")
        elif target.split(".")[0] == "torch" and part in WITHOUT_TORCH:
            problems.append(f"{module} imports torch")
        elif target.split(".")[0] != "ricorso" or part is None:
            continue
        else:
            other = part_of(target)
            if other not in FLOORS:
                problems.append(f"{module} imports {target}, which is on no floor")
            elif other == part:
                if task_of(module) and task_of(target) not in (None, task_of(module)):
                    problems.append(f"{module} imports another task: {target}")
            elif FLOORS[other] >= FLOORS[part]:
                problems.append(f"{module} (floor {FLOORS[part]}) imports {target} (floor {FLOORS[other]})")
    return problems


def modules() -> list[tuple[str, Path]]:
    """Return (dotted name, path) of every module in the source."""
    paths = sorted((SOURCE / "ricorso").rglob("*.py"))
    return [(".".join(path.relative_to(SOURCE).with_suffix("").parts), path) for path in paths]


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_module_imports_only_from_below(module: str, path: Path) -> None:
    assert part_of(module) is None or part_of(module) in FLOORS, f"{module} lies on no floor of the house"
    assert violations(module, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "code", "problem"),
    [
        ("ricorso.cells.gru", "from ricorso.layers import GRU", "floor 2"),
        ("ricorso.cells.gru", "def f():\n    import ricorso.engine.loop", "floor 4"),
        ("ricorso.data.text", "from ricorso.decoding.sample import draw", "floor 6"),
        ("ricorso.kernels.llvm", "from torch import nn", "imports torch"),
        ("ricorso.engine.loop", "from . import naive", "relative"),
        ("ricorso.layers.gru", "from ricorso import load", "on no floor"),
        ("ricorso.tasks.tag.task", "from ricorso.tasks.generate.config import Config", "another task"),
    ],
)
def test_a_wrong_import_is_seen(module: str, code: str, problem: str) -> None:
    (found,) = violations(module, code)
    assert problem in found


def test_a_right_import_passes() -> None:
    code = "import torch\nfrom ricorso import errors\nfrom ricorso.engine.naive import run\nimport ricorso.layers.gru"
    assert violations("ricorso.layers.recurrent", code) == []
