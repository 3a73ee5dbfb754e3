"""A search that takes a second or two."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ricorso.tuning import SearchListener, TrialRow

TEXT = "The quick brown fox jumps over the lazy dog.\nPack my box with five dozen liquor jugs!\n" * 16
TINY: dict[str, Any] = {
    "hidden_size": 8,
    "sequence_length": 16,
    "batch_size": 4,
    "threads": 1,
    "epochs": 1,
    "validations": 3,
}
SPACE = {"learning_rate": "1e-3..1e-1:log", "dropout": "0..0.6", "num_layers": [1, 2]}
# more than the sampler begins with at random
TRIALS = 13
CUT_OFF_AFTER = 11


class Copying(SearchListener):
    """Copies the folder of a search in the middle of a trial, as it would lie there had the machine gone down."""

    def __init__(self, copy: Path, ended: int) -> None:
        self.copy, self._left = copy, ended

    def on_start(self, info: Mapping[str, Any]) -> None:
        self._folder = info["folder"]

    def on_trial_end(self, row: TrialRow, best: TrialRow | None) -> None:
        self._left -= 1

    def on_progress(self, number: int, share: float) -> None:
        if self._left == 0 and not self.copy.exists():
            shutil.copytree(self._folder, self.copy)
