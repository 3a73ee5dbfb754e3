"""A search that takes a second or two."""

from typing import Any

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
