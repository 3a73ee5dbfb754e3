"""Small series and a small forecaster."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

SMALL: dict[str, Any] = {
    "horizon": 4, "season": 4, "context": 12, "segment": 4, "hidden_size": 8, "batch_size": 16, "epochs": 4,
    "windows_per_epoch": 200, "threads": 1, "dropout": 0.0, "learning_rate": 0.01,
}  # fmt: skip


def table(series: int = 3, steps: int = 60, targets: int = 1, gap: bool = False) -> pl.DataFrame:
    """Waves of four hours on levels of their own."""
    draw = np.random.default_rng(0)
    rows = []
    for n in range(series):
        for t in range(steps):
            value = 10.0 * (n + 1) + 5 * np.sin(np.pi * t / 2) + draw.normal(0, 0.1)
            row = {"id": f"s{n}", "when": datetime(2024, 1, 1) + timedelta(hours=t), "y": value}
            if targets == 2:
                row["z"] = -value
            if gap and t == 20:
                row["y"] = None
            rows.append(row)
    return pl.DataFrame(rows)
