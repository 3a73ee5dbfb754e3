"""Small sentences with names, and a small tagger."""

from pathlib import Path
from typing import Any

import numpy as np

SMALL: dict[str, Any] = {
    "hidden_size": 8, "embedding_size": 8, "character_size": 8, "character_hidden": 8, "batch_size": 8, "epochs": 20,
    "learning_rate": 0.03, "threads": 1, "dropout": 0.1, "average": 0.9, "validations": 3,
}  # fmt: skip

_FIRST = ("Anna", "Paul", "Mary", "John", "Rosa")
_LAST = ("Miller", "Smith", "Stone", "Baker")
_PLACES = ("Rome", "Oslo", "Paris", "New York", "Lima")
_VERBS = ("sees", "likes", "visits")

Pairs = list[tuple[list[str], list[str]]]


def sentences(count: int = 60, seed: int = 0) -> Pairs:
    """Persons of one or two words do something in a place."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words: list[str] = []
        tags: list[str] = []
        names = [str(draw.choice(_FIRST)), str(draw.choice(_LAST))][: int(draw.integers(1, 3))]
        for part, kind in (
            (names, "PER"),
            ([str(draw.choice(_VERBS))], ""),
            (str(draw.choice(_PLACES)).split(), "LOC"),
        ):
            words += part
            tags += [f"{'I' if n else 'B'}-{kind}" if kind else "O" for n in range(len(part))]
        found.append(([*words, "."], [*tags, "O"]))
    return found


def write_columns(path: Path, pairs: Pairs) -> Path:
    """A file of two columns."""
    lines = ["".join(f"{word} {tag}\n" for word, tag in zip(*pair, strict=True)) for pair in pairs]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
