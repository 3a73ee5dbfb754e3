"""Write the pages that follow from the source: one for each cell with its picture, and the command-line reference.

python docs/generate.py            write them
python docs/generate.py --check    fail when a page is not what the source says
"""

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import click

from ricorso.cells import ALIASES, CATALOGUE, FAMILIES
from ricorso.cells.file import load_cell
from ricorso.cli.grammar import Group
from ricorso.cli.main import root
from ricorso.equations import Cell, render
from ricorso.equations.picture import picture
from ricorso.equations.summary import count, count_in_words, recurrence, starting

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
NOTE = "<!-- Made by docs/generate.py from the source; `make docs` writes it anew. -->\n\n"
INPUTS, UNITS = 32, 64
READING = "Products of vectors are elementwise. $W$ and $b$ belong to the input, $R$ and $d$ to the recurrent product."
NORM = r"""
$\operatorname{norm}(y)$ is $y$ less its mean over the units, divided by $\sqrt{\operatorname{variance} + 10^{-5}}$."""
BACKWARD = r"""Derived from the equations above. $v_k$ are values of the forward step; $\delta$ and a bar stand for the
gradient of the loss with respect to what they mark. Over all steps, the $W$ of a gate collects $\delta p\, x_t^\top$,
its $R$ collects $\delta p$ times the transpose of the vector it multiplies, and biases and parameters collect
their $\delta$."""


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    made = {DOCS / "cells" / f"{cell.name}.md": cell_page(cell) for cell in CATALOGUE.values()}
    made[DOCS / "cells" / "README.md"] = catalogue_page()
    made[DOCS / "reference" / "command-line.md"] = command_line_page()
    made[DOCS / "reference" / "speed.md"] = speed_page()
    pictures = {DOCS / "cells" / f"{cell.name}.svg": picture(cell) for cell in CATALOGUE.values()}
    pictures[DOCS / "guides" / "leaky.svg"] = picture(load_cell(str(DOCS / "guides" / "mycell.py")))
    return {path: NOTE + text for path, text in made.items()} | pictures


def catalogue_page() -> str:
    """Return the list of cells by family."""
    lines = ["# Cells", ""]
    for family, members in FAMILIES.items():
        lines += [f"## {family[0].upper()}{family[1:]}", "", "| name | cell | gates | states | recurrence |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for cell in members:
            name, kind = f"[`{cell.name}`]({cell.name}.md)", recurrence(cell)
            lines.append(f"| {name} | {cell.title} | {_names(cell.gates)} | {_names(cell.states)} | {kind} |")
        lines.append("")
    aliases = ", ".join(f"`{alias}` is `{name}`" for alias, name in ALIASES.items())
    lines += [
        f"Other names: {aliases}.",
        "",
        "Recurrence says how a state comes back to itself: through dense or block-diagonal recurrent matrices, or unit",
        "by unit (elementwise). Where the new state is linear in the old one, all steps can be computed at once.",
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
    sections = [_stacks_section(), _ragged_section(), _inference_section(), _streams_section(), _cells_section()]
    sections += [_loops_section(), _memory_rate_section(), _half_section()]
    return "\n".join([*lines, *(line for section in sections for line in section), ""])


def _results(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _measured(name: str) -> dict[str, Any]:
    """The results of a benchmark, or nothing where it has not left any yet."""
    return _results(name) if (RESULTS / f"{name}.json").exists() else {}


def _table(*heads: str) -> list[str]:
    return ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]


def _stacks_section() -> list[str]:
    found = _measured("layer_speed_stacks")
    if not found:
        return []
    lines = ["", "## Stacks", "", "A training step as above, beside torch.nn.", ""]
    batches = sorted({row["batch"] for stack in found["stacks"].values() for row in stack["rows"]})
    lines += _table("", "", "units", *(f"batch {batch}" for batch in batches), "geometric mean")
    for name, stack in found["stacks"].items():
        by_size = {(row["kind"], row["hidden"], row["batch"]): row["ratio"] for row in stack["rows"]}
        for kind, hidden in dict.fromkeys((row["kind"], row["hidden"]) for row in stack["rows"]):
            ratios = " | ".join(f"{by_size[kind, hidden, batch]:.2f}" for batch in batches)
            lines.append(f"| {name} | {kind} | {hidden} | {ratios} | {stack['geometric_mean_ratio'][kind]:.2f} |")
    return lines


def _ragged_section() -> list[str]:
    found = _measured("ragged")
    if not found:
        return []
    lines = ["", "## Sequences of different lengths", ""]
    lines += [
        "A training step on lengths between a quarter of the steps and all of them: how many times as fast as torch.nn",
        "with a PackedSequence, as torch.nn over the padding, and as Ricorso over the padding.",
        "",
        *_table("", "steps", "units", "batch", "torch.nn packed", "torch.nn padded", "own padded"),
    ]
    peers = ("torch", "torch_padded", "padded")
    for row in found["rows"]:
        ratios = " | ".join(f"{row['ratio'][peer]:.2f}" for peer in peers)
        lines.append(f"| {row['cell']} | {row['steps']} | {row['hidden']} | {row['batch']} | {ratios} |")
    for cell, ratios in found["geometric_mean_ratio"].items():
        means = " | ".join(f"**{ratios[peer]:.2f}**" for peer in peers)
        lines.append(f"| {cell} | geometric mean | | | {means} |")
    lines += ["", "What the peak of that step adds to the process, in MiB:", ""]
    heads = ("Ricorso", "torch.nn packed", "torch.nn padded", "own padded")
    lines += _table("", "steps", "units", "batch", *heads)
    for row in found["memory"]:
        sizes = " | ".join(f"{row['bytes'][side] / 2**20:.0f}" for side in ("ricorso", *peers))
        lines.append(f"| {row['cell']} | {row['steps']} | {row['hidden']} | {row['batch']} | {sizes} |")
    return lines


def _inference_section() -> list[str]:
    found = _measured("inference")
    if not found:
        return []
    lines = ["", "## Inference on whole batches", ""]
    lines += [
        f"{found['steps']} steps without gradients: how many times as fast as torch.nn, and as ONNX Runtime in the",
        "setting that is fastest there.",
        "",
    ]
    by_size = {(row["cell"], row["hidden"], row["batch"]): row["ratio"] for row in found["rows"]}
    batches = sorted({batch for _, _, batch in by_size})
    lines += _table("", "units", *(f"batch {batch}" for batch in batches))
    for cell, hidden in dict.fromkeys((cell, hidden) for cell, hidden, _ in by_size):
        ratios = " | ".join(_of_both(by_size[cell, hidden, batch]) for batch in batches)
        lines.append(f"| {cell} | {hidden} | {ratios} |")
    for cell, mean in found["geometric_mean_ratio"].items():
        lines.append(f"| {cell} | geometric mean | **{_of_both(mean)}** |" + " |" * (len(batches) - 1))
    return lines


def _of_both(ratio: dict[str, float]) -> str:
    return ", ".join(f"{ratio[peer]:.2f}" for peer in ("torch", "onnxruntime") if peer in ratio)


def _streams_section() -> list[str]:
    found = _measured("streaming")
    if not found:
        return []
    lines = ["", "## One step of a stream", ""]
    lines += [
        "Microseconds a step, and how many times as fast as torch.nn's LSTMCell, GRUCell or RNNCell, and as ONNX",
        f"Runtime with a model of one step; then {found['streams']:,} streams in one batch.",
        "",
        *_table("", "units", "streams", "microseconds", "torch.nn", "ONNX Runtime"),
    ]
    for row in (*found["rows"], *found["many_streams"]):
        ratios = " | ".join(
            f"{row['ratio'][peer]:.2f}" if peer in row["ratio"] else "" for peer in ("torch", "onnxruntime")
        )
        taken = f"{row['ricorso']['median_s'] * 1e6:,.1f}"
        lines.append(f"| {row['cell']} | {row['hidden']} | {row['batch']:,} | {taken} | {ratios} |")
    lines += [
        "",
        "How many times as fast all streams are in one batch as one after the other, by our steps and by torch.nn's;",
        "how many times as fast as our own they could be at most, at the whole product rate of the machine, and their",
        "share of that rate:",
        "",
        *_table("", "units", "one by one", "torch.nn one by one", "one by one, at most", "product rate"),
    ]
    for row in found["in_one_batch_against_one_by_one"]:
        figures = f"{row['ratio']:.1f} | {row['ratio_to_torch']:.1f} | {row['most']:.1f}"
        lines.append(f"| {row['cell']} | {row['hidden']} | {figures} | {row['share_of_product_rate']:.0%} |")
    return lines


def _cells_section() -> list[str]:
    speed, compiled = _results("cell_speed"), _results("compile_time")
    first = {row["cell"]: row for row in compiled["rows"]}
    lines = ["", "## Every cell", ""]
    lines += [
        f"A training step of one layer, {speed['hidden']} units, batch {speed['batch']}, {speed['steps']} steps,",
        "measured in turn with the LSTM. The second figure compares with the time that the cell's matrix products",
        "alone would take at the rate that the LSTM reaches; cells without recurrent products do little but move",
        "memory. The last two: seconds until a cell that is new to this machine can be trained, and milliseconds once",
        "it is in the cache.",
        "",
        "| cell | time, LSTM = 1 | time, own products = 1 | compile, s | load, ms |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in speed["rows"]:
        relative = f"{row['relative_to_lstm']:.2f} | {row['times_its_products_at_the_lstm_share']:.2f}"
        times = first.get(row["cell"])
        shown = f"{times['first_s']:.1f} | {times['from_cache_s'] * 1e3:.0f}" if times else " | "
        lines.append(f"| {row['cell']} | {relative} | {shown} |")
    return lines


def _loops_section() -> list[str]:
    rows = _results("cell_speed")["loops"]
    ways = list(rows[0]["times_faster_than"])
    lines = ["", "## Beside a torch loop", ""]
    lines += ["How many times faster a training step is than the same cell written as a loop over time in torch.", ""]
    lines += ["| cell | units | batch | " + " | ".join(ways) + " |", "| --- " * (3 + len(ways)) + "|"]
    for row in rows:
        ratios = " | ".join(f"{row['times_faster_than'][way]:.1f}" for way in ways)
        lines.append(f"| {row['cell']} | {row['hidden']} | {row['batch']} | {ratios} |")
    return lines


def _memory_rate_section() -> list[str]:
    rates, long = _results("memory_rate"), _results("long_sequence")
    lines = ["", "## Cells without recurrent products", ""]
    lines += ["Share of the rate at which this machine adds two vectors that fit no cache, the projections apart.", ""]
    lines += ["| cell | forward | backward | together |", "| --- | --- | --- | --- |"]
    for row in rates["rows"]:
        shares = row["share_of_memory_rate"]
        lines.append(
            f"| {row['cell']} | {shares['forward']:.0%} | {shares['backward']:.0%} | {shares['together']:.0%} |"
        )
    sizes = f"{long['steps']:,} steps, batch {long['batch']}, {long['hidden']} units"
    lines += ["", "## A very long sequence", ""]
    lines += [f"Training an LSTM on {sizes}: the peak of the whole process, and the time of the step.", ""]
    lines += ["| segment | MiB | seconds | largest relative difference of gradients |", "| --- | --- | --- | --- |"]
    for row in long["rows"]:
        size = f"{row['segment'] or 'none'} | {row['peak_bytes'] / 2**20:.0f} | {row['seconds']:.1f}"
        lines.append(f"| {size} | {row['largest_relative_difference']:.0e} |")
    return lines


def _half_section() -> list[str]:
    lines = ["", "## bfloat16", ""]
    lines += ["A training step beside float32, on a processor that multiplies bfloat16 (AVX-512 BF16).", ""]
    lines += ["| cell | units | batch | times faster | relative error by norm |", "| --- | --- | --- | --- | --- |"]
    for row in _results("half_precision")["rows"]:
        shown = f"{row['ratio']:.2f} | {row['largest_relative_error_by_norm']:.3f}"
        lines.append(f"| {row['cell']} | {row['hidden']} | {row['batch']} | {shown} |")
    return lines


def _rate_row(row: dict[str, Any]) -> str:
    speed = row["characters_per_second"]
    return f"| {row['kind']} | {speed['ricorso']:,.0f} | {speed['torch']:,.0f} | {row['ratio']:.2f} |"


def cell_page(cell: Cell) -> str:
    """Return the page of one cell: its equations, a picture, what it trains, the derived backward step, its use."""
    parts = [
        f"# {cell.title} (`{cell.name}`)",
        f"{cell.paper}.",
        _declared(cell),
        f"![The data flow of {cell.title}]({cell.name}.svg)",
        "## One step",
        f"$$\n{render.latex(cell)}\n$$",
        _reading(cell),
        f"As text, the way `ricorso cells {cell.name}` prints it:",
        f"```text\n{render.text(cell)}\n```",
        "## What it trains",
        _trained(cell),
        *_starts(cell),
        *_speed(cell),
        "## Its backward step",
        BACKWARD,
        f"$$\n{render.adjoint_latex(cell)}\n$$",
        "## Use",
        f"""```python
from ricorso import Recurrent

layer = Recurrent("{cell.name}", input_size={INPUTS}, hidden_size={UNITS})
```""",
        f"```sh\nricorso train generate my-book.txt --cell {cell.name}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _declared(cell: Cell) -> str:
    lines = [f"Gates: {_names(cell.gates)}. States: {_names(cell.states)}; the first is the output."]
    if cell.parameters:
        lines.append(f"Parameters: {_names(cell.parameters)}.")
    if cell.signals:
        lines.append(f"Signals, given with each step: {_names(cell.signals)}.")
    return "\n".join([*lines, f"Recurrence: {recurrence(cell)}."])


def _reading(cell: Cell) -> str:
    text = READING
    if r"\operatorname{norm}" in render.latex(cell):
        text += NORM
    if cell.heads > 1:
        text += f"\n$R$ has {cell.heads} blocks on its diagonal; `heads` of a layer sets another number."
    return text


def _trained(cell: Cell) -> str:
    example = count(cell, INPUTS, UNITS)
    numbers = {
        "weights": example.weights,
        "biases": example.biases,
        "per unit": example.per_unit,
        "shared by all units": example.shared,
    }
    told = ", ".join(f"{name} {number:,}" for name, number in numbers.items() if number)
    return (
        f"For I inputs and H units: {count_in_words(cell)}.\n"
        f"With {INPUTS} inputs and {UNITS} units: {told}; together {example.total:,}."
    )


def _starts(cell: Cell) -> list[str]:
    parts = []
    for heading, long in (("Where it starts:", False), ("With a `horizon`, the length of dependencies:", True)):
        lines = starting(cell, long)
        if lines:
            parts += [heading, "\n".join(f"- `{line}`" for line in lines)]
    return [*parts, "Other biases and parameters start at 0, input weights uniformly around it."]


def _speed(cell: Cell) -> list[str]:
    """A line on the measured speed, where the benchmark has left its result."""
    file = RESULTS / "cell_speed.json"
    if not file.exists():
        return []
    measured = json.loads(file.read_text(encoding="utf-8"))
    for row in measured["rows"]:
        if row["cell"] == cell.name:
            size = f"{measured['hidden']} units, batch {measured['batch']}, {measured['steps']} steps"
            taken = f"{row['milliseconds']:.1f} ms on {measured['machine']['processor']} with {size}"
            return [f"A training step takes {row['relative_to_lstm']:.2f} times that of the LSTM ({taken})."]
    return []


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
    for path in (DOCS / "cells").iterdir():
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
