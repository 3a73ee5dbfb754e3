"""Write the pages that follow from the source: one for each cell, and the command-line reference.

python docs/generate.py            write them
python docs/generate.py --check    fail when a page is not what the source says
"""

import difflib
import sys
from pathlib import Path

import click

from ricorso.cells import ALIASES, CATALOGUE
from ricorso.cli.grammar import Group
from ricorso.cli.main import root
from ricorso.equations import Cell, render

DOCS = Path(__file__).parent
NOTE = "<!-- Made by docs/generate.py from the source; `make docs` writes it anew. -->\n\n"


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    made = {DOCS / "cells" / f"{cell.name}.md": cell_page(cell) for cell in CATALOGUE.values()}
    made[DOCS / "cells" / "README.md"] = catalogue_page()
    made[DOCS / "reference" / "command-line.md"] = command_line_page()
    return {path: NOTE + text for path, text in made.items()}


def catalogue_page() -> str:
    """Return the list of cells."""
    lines = ["# Cells", "", "| name | cell | gates | states |", "| --- | --- | --- | --- |"]
    for cell in CATALOGUE.values():
        lines.append(
            f"| [`{cell.name}`]({cell.name}.md) | {cell.title} | {_names(cell.gates)} | {_names(cell.states)} |"
        )
    aliases = ", ".join(f"`{alias}` is `{name}`" for alias, name in ALIASES.items())
    lines += [
        "",
        f"Other names: {aliases}.",
        "",
        "Each page is made from the definition in `src/ricorso/cells`, the same expressions that the kernels are",
        "compiled from. A prime marks the new value of a state; products of vectors are elementwise.",
        "",
    ]
    return "\n".join(lines)


def cell_page(cell: Cell) -> str:
    """Return the page of one cell: forward equations, derived backward equations, how to use it."""
    return f"""# {cell.title} (`{cell.name}`)

{cell.paper}.

Gates: {_names(cell.gates)}. States: {_names(cell.states)}; the first is the output.

## One step

$$
{render.latex(cell)}
$$

As text, the way `ricorso cells {cell.name}` prints it:

```text
{render.text(cell)}
```

## Its backward step

Derived from the equations above. $v_k$ are values of the forward step; $\\delta$ and a bar stand for the gradient of
the loss with respect to what they mark.

$$
{render.adjoint_latex(cell)}
$$

## Use

```python
from ricorso import Recurrent

layer = Recurrent("{cell.name}", input_size=32, hidden_size=64)
```

```sh
ricorso train generate my-book.txt --cell {cell.name}
```
"""


def command_line_page() -> str:
    """Return the help of every command."""
    parts = [
        "# Command line",
        "",
        "Exit status: 0 when the work is done, 1 when it failed, 2 when the command was wrong. With `--json` a command",
        "prints one JSON object on standard output, also when it fails; progress and messages go to standard error.",
        "",
    ]
    for context in _contexts(root, None, "ricorso"):
        parts += [f"## {context.command_path}", "", "```text", context.get_help(), "```", ""]
    return "\n".join(parts)


def _contexts(command: click.Command, parent: click.Context | None, name: str) -> list[click.Context]:
    context = click.Context(command, parent=parent, info_name=name, terminal_width=100, **command.context_settings)
    found = [context]
    if isinstance(command, Group):
        for member in command.list_commands(context):
            inner = command.get_command(context, member)
            if inner is not None:
                found += _contexts(inner, context, member)
    return found


def _names(symbols: tuple[object, ...]) -> str:
    return ", ".join(f"`{symbol}`" for symbol in symbols)


def stale() -> list[str]:
    """Return a line for each page that differs from what the source says, and for each page without a source."""
    problems, made = [], pages()
    for path, text in made.items():
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if there != text:
            lines = difflib.ndiff(there.splitlines(), text.splitlines())
            change = next((line for line in lines if line[:2] in ("+ ", "- ")), "")
            problems.append(f"{path.relative_to(DOCS.parent)} is out of date ({change}); run `make docs`")
    for path in (DOCS / "cells").glob("*.md"):
        if path not in made:
            problems.append(f"{path.relative_to(DOCS.parent)} belongs to no cell; remove it")
    return problems


def main() -> int:
    """Write or check the pages; returns the exit status."""
    if "--check" in sys.argv[1:]:
        problems = stale()
        sys.stderr.writelines(f"{line}\n" for line in problems)
        return 1 if problems else 0
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
