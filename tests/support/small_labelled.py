"""Small labelled examples, and the settings that learn them in a moment."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL: dict[str, Any] = {
    "hidden_size": 8, "embedding_size": 8, "batch_size": 16, "epochs": 6, "threads": 1, "dropout": 0.0,
    "input_dropout": 0.0, "word_dropout": 0.0, "learning_rate": 0.02,
}  # fmt: skip
# series have no embedding
SERIES = {name: value for name, value in SMALL.items() if name != "embedding_size"}
_SAID = {"good": ("lovely", "moving", "fine"), "bad": ("dull", "tired", "poor")}
_FILLING = ("the", "film", "was", "and", "its", "story", "in", "parts", ",", "really")


def reviews(count: int = 96) -> tuple[list[str], list[str]]:
    """Texts of three to twelve words, of which one says the label, and their labels."""
    draw = np.random.default_rng(0)
    texts, labels = [], []
    for n in range(count):
        label = "good" if n % 2 else "bad"
        words = draw.choice(_FILLING, draw.integers(2, 12)).tolist()
        words.insert(int(draw.integers(0, len(words) + 1)), str(draw.choice(_SAID[label])))
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def recordings(
    count: int = 72, features: int = 2, missing: bool = False
) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Ragged noise that rises, falls or stays, and which of these it does."""
    draw = np.random.default_rng(1)
    found, labels = [], []
    for n in range(count):
        label, slope = (("falls", -1.0), ("rises", 1.0), ("stays", 0.0))[n % 3]
        steps = int(draw.integers(6, 15))
        values = slope * np.linspace(-2, 2, steps)[:, None] + draw.normal(0, 0.3, (steps, features))
        if missing:
            values[draw.integers(0, steps), 0] = np.nan
        found.append(values.astype(np.float32))
        labels.append(label)
    return found, labels
