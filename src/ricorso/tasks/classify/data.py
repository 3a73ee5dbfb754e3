"""Examples as batches, and what is chosen from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ricorso.data.examples import Examples
from ricorso.errors import UsageError
from ricorso.tasks.classify.coding import Coding, Steps, chosen_level, mean_length
from ricorso.tasks.classify.config import CHOSEN, MORE_PASSES, PASSES, ClassifyConfig
from ricorso.tasks.start import LanguageModel

_MANY_WORDS = 50_000


@dataclass(frozen=True)
class ClassifyBatch:
    """Symbols (time, batch) or features (time, batch, numbers), zero after each end; lengths (batch); targets
    (batch, labels); what counting says of the labels (batch, labels), if it is asked; the epoch it belongs to."""

    steps: Tensor
    lengths: Tensor
    targets: Tensor
    counted: Tensor | None
    epoch: int = 0


@dataclass(frozen=True, eq=False)
class Encoded:
    """Examples as numbers: steps of each, targets and what counting says of them (examples, labels)."""

    steps: tuple[Steps, ...]
    targets: NDArray[np.bool_]
    counted: NDArray[np.float32] | None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each example."""
        return np.array([len(own) for own in self.steps], np.int64)

    def batch(self, numbers: NDArray[np.int64]) -> ClassifyBatch:
        """Some examples side by side."""
        steps, lengths = side_by_side([self.steps[n] for n in numbers.tolist()])
        counted = None if self.counted is None else torch.from_numpy(self.counted[numbers])
        return ClassifyBatch(steps, lengths, torch.from_numpy(self.targets[numbers].astype(np.float32)), counted)


@dataclass(frozen=True)
class ClassifyData:
    """What is trained on and what is validated on."""

    train: Encoded
    validation: Encoded | None


def side_by_side(sequences: Sequence[Steps]) -> tuple[Tensor, Tensor]:
    """Sequences (steps, ...) as one tensor (time, batch, ...), zero after each end, and their lengths (batch)."""
    lengths = [len(own) for own in sequences]
    first = sequences[0]
    whole = np.zeros((len(sequences), max(lengths), *first.shape[1:]), np.int64 if first.ndim == 1 else np.float32)
    for row, own in enumerate(sequences):
        whole[row, : len(own)] = own
    return torch.from_numpy(np.ascontiguousarray(whole.swapaxes(0, 1))), torch.tensor(lengths)


def encoded(examples: Examples, coding: Coding) -> Encoded:
    """Labelled examples as numbers."""
    assert examples.labels is not None
    steps = tuple(coding.encode(one) for one in examples.inputs)
    return Encoded(steps, coding.targets(examples.labels), coding.counted(steps))


def continued(examples: Examples, config: ClassifyConfig, start: LanguageModel) -> ClassifyConfig:
    """The config of a model that starts from a language model: what must be alike is as there.

    Raises UsageError for recordings, and for a setting that was given and is another there.
    """
    if not examples.is_text:
        raise UsageError("init_from is for texts; these are recordings.")
    update: dict[str, Any] = {"cell": start.cell.name, "bidirectional": False}
    for name in ("level", "embedding_size", "hidden_size", "num_layers", "layer_norm"):
        given, there = getattr(config, name), start.settings[name]
        if given not in (there, ClassifyConfig.model_fields[name].default):
            raise UsageError(f"{name} is {there} in the run to start from, got {given}. Leave it out.")
        update[name] = there
    update["init_from"] = str(Path(str(config.init_from)).resolve())
    update["unfreeze_epochs"] = 1 if config.unfreeze_epochs is None else config.unfreeze_epochs
    return config.model_copy(update=update)


def chosen(examples: Examples, config: ClassifyConfig) -> tuple[ClassifyConfig, list[str]]:
    """The config with everything chosen that was left open, and why, in sentences."""
    update: dict[str, Any] = {"several": examples.several}
    told = []
    kind, passes, length = "series", MORE_PASSES, None
    if examples.is_text:
        texts = [str(text) for text in examples.inputs]
        kind = config.level or chosen_level(texts)
        if config.level is None:
            update["level"] = kind
            told.append(f"a step is a {kind}")
        if config.minimum_count is None:
            size = sum(text.count(" ") for text in texts)
            update["minimum_count"] = 2 if kind == "word" and size > _MANY_WORDS else 1
        passes, length = MORE_PASSES if examples.several else PASSES, mean_length(texts, kind)
    for name, value in CHOSEN[kind].items():
        if getattr(config, name) is None:
            update[name] = value
    return config.model_copy(update=update).for_size(len(examples.inputs), passes, length), told
