"""What both long-memory tasks share: cells trained one after another under the same conditions, and what is reported.

Each cell gets the same number of iterations with the same batches, and is then measured on fresh sequences.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from curves import draw
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ricorso import Recurrent
from ricorso.bench import machine
from ricorso.training.schedule import Schedule

BESIDE = "elman_sigmoid"
WARM_UP, CLIP, TESTED, POINTS = 0.02, 1.0, 1000, 50
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Task:
    """A task and what is known about it.

    draw: from a number of sequences to the layer's input and the target. loss: from the model's output at the steps
    `read`, (time, batch, output_size), and the target. guessing: the loss of the best answer without a memory.
    """

    name: str
    draw: Callable[[int], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    input_size: int
    output_size: int
    read: slice
    guessing: float
    published: dict[str, str]


class Model(nn.Module):
    """One recurrent layer and a small network that reads its output."""

    def __init__(self, task: Task, cell: str, hidden: int, horizon: float | None):
        super().__init__()
        self.layer = Recurrent(cell, task.input_size, hidden, horizon=horizon)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, task.output_size))
        self.read = task.read

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][self.read])


def parser(question: str, **defaults: object) -> argparse.ArgumentParser:
    """The command line of a task; `defaults` are the task's settings."""
    found = argparse.ArgumentParser(description=question, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    found.add_argument("--cell", nargs="+", help="cells of the catalogue; NAME:STEPS for another horizon, :0 for none")
    found.add_argument("--steps", type=int, help="T, how far back the network has to remember")
    found.add_argument("--hidden", type=int, help="units")
    found.add_argument("--batch", type=int, default=32, help="sequences in a batch")
    found.add_argument("--iterations", type=int, help="training steps, for every cell")
    found.add_argument("--rate", type=float, help="largest learning rate")
    found.add_argument("--seed", type=int, nargs="+", default=[0], help="every cell is trained once for each")
    found.add_argument("--threads", type=int, help="processor threads; torch's own choice without it")
    found.add_argument("--json", type=Path, help="where to write the figures")
    found.add_argument("--picture", type=Path, help="where to write the learning curves, as SVG")
    found.set_defaults(**defaults)
    return found


def run(task: Task, chosen: argparse.Namespace) -> None:
    """Train every chosen cell and the sigmoid Elman network beside them; print, write and draw what came out."""
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    cells = list(dict.fromkeys([*chosen.cell, BESIDE]))
    console.print(f"{task.name.capitalize()}, T={chosen.steps:,}; guessing gives {task.guessing:.4f}")
    rows = [one(task, cell, seed, chosen) for cell in cells for seed in chosen.seed]
    console.print(table(task, rows))
    for who, figure in task.published.items():
        console.print(f"  published: {who}: {figure}")
    if chosen.json:
        chosen.json.write_text(json.dumps(described(task, chosen, rows), indent=1) + "\n", encoding="utf-8")
    if chosen.picture:
        title = f"{task.name.capitalize()}, T={chosen.steps:,}: loss over iterations"
        curves = [(row["cell"], row["curve"]) for row in rows if row["seed"] == chosen.seed[0]]
        each = rows[0]["iterations_a_point"]
        chosen.picture.write_text(draw(title, curves, each, ("guessing", task.guessing)), encoding="utf-8")


def one(task: Task, cell: str, seed: int, chosen: argparse.Namespace) -> dict:
    """Train one cell from one seed; return its row of the result."""
    name, _, wanted = cell.partition(":")
    horizon = float(wanted or chosen.steps) or None
    torch.manual_seed(seed)
    model = Model(task, name, chosen.hidden, horizon)
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.0)
    task.loss(model(task.draw(chosen.batch)[0]), task.draw(chosen.batch)[1]).backward()  # compiles outside the clock
    torch.manual_seed(seed)
    every, recent, curve, start = max(1, chosen.iterations // POINTS), [], [], time.perf_counter()
    for iteration in range(1, chosen.iterations + 1):
        optimiser.param_groups[0]["lr"] = Schedule("cosine", chosen.rate, WARM_UP).rate(iteration / chosen.iterations)
        x, target = task.draw(chosen.batch)
        loss = task.loss(model(x), target)
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        if torch.isfinite(norm):
            optimiser.step()
        recent.append(loss.item())
        if iteration % every == 0:
            curve.append(float(f"{sum(recent) / len(recent):.4g}"))
            recent = []
            if len(curve) % (POINTS // 10) == 0:
                passed = time.perf_counter() - start
                console.print(f"  {cell}  iteration {iteration:,}  loss {curve[-1]:.6f}  {passed:.0f} s")
    seconds = time.perf_counter() - start
    return {
        "cell": cell,
        "horizon": horizon,
        "seed": seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": seconds,
        "test_loss": measured(task, model),
        "iterations_a_point": every,
        "curve": curve,
    }


@torch.no_grad()
def measured(task: Task, model: Model) -> float:
    """The mean loss over fresh sequences, the same for every model."""
    torch.manual_seed(2**31)
    model.eval()
    parts = [task.draw(100) for _ in range(math.ceil(TESTED / 100))]
    return sum(task.loss(model(x), target).item() for x, target in parts) / len(parts)


def table(task: Task, rows: list[dict]) -> Table:
    """The rows for a reader."""
    found = Table("cell", "seed", "parameters", "minutes", "test loss", "share of guessing")
    for row in rows:
        minutes, loss = f"{row['seconds'] / 60:.1f}", row["test_loss"]
        share = f"{loss / task.guessing:.2g}"
        found.add_row(row["cell"], str(row["seed"]), f"{row['parameters']:,}", minutes, f"{loss:.6f}", share)
    return found


def described(task: Task, chosen: argparse.Namespace, rows: list[dict]) -> dict:
    """The result with the machine and the versions, as the benchmarks write theirs."""
    kept = ("steps", "hidden", "batch", "iterations", "rate")
    return {
        "benchmark": task.name.replace(" ", "_"),
        **machine.described(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        **{name: getattr(chosen, name) for name in kept},
        "budget": "the same number of iterations for every cell",
        "tested_on": TESTED,
        "guessing": task.guessing,
        "published": task.published,
        "rows": rows,
    }
