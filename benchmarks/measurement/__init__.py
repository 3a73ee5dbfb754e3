"""What every benchmark shares: the package's way of measuring, and a JSON result with machine and commit."""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ricorso.bench.machine import described, memory_rate, product_rate
from ricorso.bench.question import OURS, Answer, Question, ask, largest_difference
from ricorso.bench.timing import Timing, alternate, geometric_mean, timing

__all__ = [
    "OURS",
    "Answer",
    "Timing",
    "alternate",
    "asked",
    "beside_kept",
    "geometric_mean",
    "largest_difference",
    "means",
    "memory_rate",
    "options",
    "product_rate",
    "save",
    "say_machine",
    "shown",
    "timing",
]

RESULTS = Path(__file__).parent.parent / "results"


def options(about: str, seconds: float = 2.0) -> argparse.ArgumentParser:
    """A parser that knows the time for each measurement."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seconds", type=float, default=seconds, help=f"for each measurement [default: {seconds:g}]")
    return parser


def asked(question: Question, seconds: float, rate: float | None = None) -> Answer:
    """The answer; a benchmark stops where results differ."""
    answer = ask(question, seconds, rate)
    if answer.refusal:
        sys.exit(f"{answer.section}, {answer.cell}, {answer.hidden} units, batch {answer.batch}: {answer.refusal}")
    return answer


def shown(answer: Answer) -> str:
    """One line about an answer."""
    ours = answer.times[OURS].median * 1e3
    ratios = "  ".join(f"x{answer.ratio(peer):6.2f} {peer}" for peer in answer.peers)
    share = f"  {answer.share:4.0%} of the product rate" if answer.share is not None else ""
    size = f"{answer.cell:5}{answer.steps:5}{answer.hidden:5}{answer.batch:5}"
    return f"{size}  {ours:9.3f} ms  {ratios}{share}  {answer.path}"


def means(answers: list[Answer]) -> dict[str, dict[str, float]]:
    """The geometric mean of the ratios for each cell and peer."""
    found: dict[str, dict[str, float]] = {}
    for cell in dict.fromkeys(answer.cell for answer in answers):
        own = [answer for answer in answers if answer.cell == cell]
        peers = dict.fromkeys(peer for answer in own for peer in answer.peers)
        found[cell] = {
            peer: geometric_mean([answer.ratio(peer) for answer in own if peer in answer.times]) for peer in peers
        }
    told = [f"{cell} x{mean:.2f} {peer}" for cell, of_peers in found.items() for peer, mean in of_peers.items()]
    print("geometric means:", ", ".join(told))
    return found


def say_machine(rate: float) -> None:
    print(f"product rate {rate / 1e9:.0f} GFLOP/s, {torch.get_num_threads()} threads")


def save(name: str, result: Mapping[str, Any]) -> None:
    """Write results/NAME.json with the machine, the versions and the commit."""
    RESULTS.mkdir(exist_ok=True)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    told = {"benchmark": name, **described(), "commit": _commit(), "date": date, **result}
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")


def beside_kept(name: str, rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """These rows, behind those of the last result with other values of `key`, which get the commit and date of then."""
    path = RESULTS / f"{name}.json"
    last = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": []}
    measured = {row[key] for row in rows}
    of_then = {part: last.get(part) for part in ("commit", "date")}
    return [of_then | row for row in last["rows"] if row[key] not in measured] + rows


def _commit() -> str:
    try:
        command = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=RESULTS).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
