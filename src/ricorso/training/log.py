"""The record of a training: one JSON object a line, in memory and in metrics.jsonl."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ricorso.bundle import write_file

Line = dict[str, Any]


class Log:
    """Lines of figures; each has a `kind` and the `step` it was written after.

    Kinds: step, skipped, validation, sample, diverged and end.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: list[Line] = []

    def add(self, kind: str, figures: Mapping[str, Any]) -> None:
        """Append a line; numbers that are not finite become null. Raises OSError when the disk refuses."""
        line = {"kind": kind, **{name: _storable(value) for name, value in figures.items()}}
        self.lines.append(line)
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(to_lines([line]).decode())

    def go_back(self, step: int) -> None:
        """Take over what the file holds up to a step; what came later, an end, and a line cut off are dropped."""
        if self.path and self.path.exists():
            self.lines = [line for line in read_log(self.path) if line["step"] <= step and line.get("kind") != "end"]
            write_file(self.path, to_lines(self.lines))


def to_lines(lines: Sequence[Line]) -> bytes:
    """Lines as they are stored."""
    return "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines).encode()


def read_log(path: Path) -> list[Line]:
    """The lines of a metrics.jsonl; reading ends at the first that is not whole."""
    lines: list[Line] = []
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict) or not isinstance(line.get("step"), int):
            break
        lines.append(line)
    return lines


def _storable(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
