"""Write the pages that follow from the source: one for each cell, and the command-line reference.

python docs/generate.py            write them
python docs/generate.py --check    fail when a page is not what the source says
"""

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import click

from ricorso.cells import ALIASES, CATALOGUE
from ricorso.cli.grammar import Group
from ricorso.cli.main import root
from ricorso.equations import Cell, render

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
NOTE = "<!-- Made by docs/generate.py from the source; `make docs` writes it anew. -->\n\n"


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    made = {DOCS / "cells" / f"{cell.name}.md": cell_page(cell) for cell in CATALOGUE.values()}
    made[DOCS / "cells" / "README.md"] = catalogue_page()
    made[DOCS / "reference" / "command-line.md"] = command_line_page()
    made[DOCS / "reference" / "speed.md"] = speed_page()
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


def speed_page() -> str:
    """Return the figures that the benchmarks left in benchmarks/results."""
    layers, characters, generation, memory = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("layer_speed", "character_model", "generation", "training_memory")
    )
    machine = layers["machine"]
    lines = [
        "# Speed beside torch.nn",
        "",
        f"Measured on {machine['processor']} ({machine['architecture']}) with {machine['threads']} threads,",
        f"torch {layers['versions']['torch']}, float32; both sides in turn in one process, medians. Above 1 Ricorso",
        "is ahead. `make bench` measures again; the full results are in `benchmarks/results`.",
        "",
        "## A training step of one layer",
        "",
        "Forward and backward over 100 steps, as many inputs as units. In brackets the share of the rate at which the",
        "same machine multiplies two large matrices.",
        "",
    ]
    batches = sorted({row["batch"] for row in layers["rows"]})
    lines.append("| | units | " + " | ".join(f"batch {batch}" for batch in batches) + " |")
    lines.append("| --- " * (2 + len(batches)) + "|")
    found = {(row["kind"], row["hidden"], row["batch"]): row for row in layers["rows"]}
    for kind, mean in layers["geometric_mean_ratio"].items():
        for hidden in sorted({row["hidden"] for row in layers["rows"]}):
            cells = [found[kind, hidden, batch] for batch in batches]
            shown = " | ".join(f"{c['ratio']:.2f} ({c['share_of_product_rate']:.0%})" for c in cells)
            lines.append(f"| {kind} | {hidden} | {shown} |")
        lines.append(f"| {kind} | geometric mean | **{mean:.2f}** |" + " |" * (len(batches) - 1))
    lines += ["", "## A character model", ""]
    lines += ["Training with Adam, 256 units, sequences of 25, batch 128, 65 symbols; torch.nn on one-hot vectors.", ""]
    lines += ["| | characters a second | torch.nn | ratio |", "| --- | --- | --- | --- |"]
    lines += [_rate_row(row) for row in characters["rows"]]
    lines += ["", "Writing one stream of text, 256 units, 256 symbols, sampled with a temperature:", ""]
    lines += ["| | characters a second | torch.nn in a loop | ratio |", "| --- | --- | --- | --- |"]
    lines += [_rate_row(row) for row in generation["rows"]]
    lines += ["", "## Memory of a training step", ""]
    lines += [f"{memory['steps']} steps, batch {memory['batch']}, {memory['hidden']} units; growth of the peak.", ""]
    lines += ["| | MiB | torch.nn | share |", "| --- | --- | --- | --- |"]
    for row in memory["rows"]:
        sizes = f"{row['ricorso_bytes'] / 2**20:.0f} | {row['torch_bytes'] / 2**20:.0f}"
        lines.append(f"| {row['kind']} | {sizes} | {row['share']:.2f} |")
    return "\n".join([*lines, ""])


def _rate_row(row: dict[str, Any]) -> str:
    speed = row["characters_per_second"]
    return f"| {row['kind']} | {speed['ricorso']:,.0f} | {speed['torch']:,.0f} | {row['ratio']:.2f} |"


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
