"""What the documentation says is what the package does."""

import importlib.util
import json
import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

from ricorso.cells import CATALOGUE
from ricorso.cli.main import root, run

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "decisions").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def generator():
    """Return docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands() -> list[tuple[str, str]]:
    """Return (page, command) for every `ricorso ...` line in a shell block."""
    found = []
    for page, name in zip(PAGES, NAMES, strict=True):
        lines = "".join(blocks(page, "sh")).splitlines()
        found += [(name, line) for line in lines if line.startswith("ricorso ")]
    return found


def check(line: str) -> None:
    """Parse a command line as the package would, without running it."""
    command, arguments, parent = root, shlex.split(line)[1:], None
    while isinstance(command, click.Group) and not arguments[0].startswith("-"):
        context = click.Context(command, parent=parent, info_name="ricorso", **command.context_settings)
        _, inner, rest = command.resolve_command(context, arguments)
        assert inner is not None
        command, arguments, parent = inner, rest, context
    command.make_context(command.name, list(arguments), parent=parent)


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_shown_is_one(page, line):
    check(line)


def test_a_wrong_command_would_be_seen():
    with pytest.raises(click.UsageError):
        check("ricorso train generate x --hiden-size 3")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_shown_is_python(page):
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")


SHOWN = [
    "README.md",
    "README.zh.md",
    "docs/guides/a-cell-of-your-own.md",
    "docs/guides/faster-torch-models.md",
    "docs/guides/sequences-of-different-lengths.md",
    "docs/guides/streams.md",
    "docs/guides/vanishing-gradients.md",
]


# units -> fewer, for which other tests have kernels compiled anyway
FEWER = {"32": "8", "64": "8", "128": "8", "256": "16"}


def with_few_units(code: str) -> str:
    """Return the code with layers of few units, and without the seconds that are spent on measuring."""
    return re.sub(r"\b(32|64|128|256)\b", lambda found: FEWER[found[0]], code).replace("seconds=4", "seconds=0")


@pytest.mark.parametrize("change", [with_few_units, pytest.param(str, marks=pytest.mark.long, id="as_it_is")])
@pytest.mark.parametrize("name", SHOWN)
def test_layers_shown_run(name, change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = [code for code in blocks(ROOT / name, "python") if ".fit(" not in code]
    assert shown
    (tmp_path / "shown.py").write_text(change("\n".join(shown)), encoding="utf-8")
    runpy.run_path(str(tmp_path / "shown.py"))


def test_the_cell_of_the_guide_is_the_file_beside_it(tmp_path, monkeypatch):
    guides = ROOT / "docs" / "guides"
    shown = blocks(guides / "a-cell-of-your-own.md", "python")[0]
    assert (guides / "mycell.py").read_text(encoding="utf-8").endswith(f'"""\n\n{shown}')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mycell.py").write_text(shown, encoding="utf-8")
    lines = [line for page, line in commands() if page.endswith("own.md") and line.startswith("ricorso cells")]
    assert len(lines) == 4
    assert [run(shlex.split(line)[1:]) for line in lines] == [0] * 4
    assert (tmp_path / "leaky.svg").read_text(encoding="utf-8") == (guides / "leaky.svg").read_text(encoding="utf-8")


def test_generated_pages_are_up_to_date():
    assert generator().stale() == []


def test_an_old_page_is_noticed(monkeypatch):
    module = generator()
    changed = {path: text + "new\n" for path, text in module.pages().items()}
    monkeypatch.setattr(module, "pages", lambda: changed)
    assert len(module.stale()) == len(changed)


def test_the_number_of_cells_is_told_right():
    for name in ("README.md", "README.zh.md", "CHANGELOG.md"):
        assert f"{len(CATALOGUE)} " in (ROOT / name).read_text(encoding="utf-8")


def test_a_measured_speed_is_told_where_there_is_one(monkeypatch, tmp_path):
    module = generator()
    row = {"cell": "gru", "relative_to_lstm": 0.814, "milliseconds": 12.34}
    result = {"machine": {"processor": "some processor"}, "rows": [row], "hidden": 256, "batch": 32, "steps": 100}
    (tmp_path / "cell_speed.json").write_text(json.dumps(result), encoding="utf-8")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    told = "A training step takes 0.81 times that of the LSTM (12.3 ms on some processor with 256 units, batch 32"
    assert told in module.cell_page(CATALOGUE["gru"])
    assert "times that of the LSTM" not in module.cell_page(CATALOGUE["mgu"])
    monkeypatch.setattr(module, "RESULTS", tmp_path / "nothing")
    assert "times that of the LSTM" not in module.cell_page(CATALOGUE["gru"])


def test_every_cell_has_a_page():
    assert {path.stem for path in (ROOT / "docs" / "cells").glob("*.md")} == {*CATALOGUE, "README"}
    assert {path.stem for path in (ROOT / "docs" / "cells").glob("*.svg")} == set(CATALOGUE)
