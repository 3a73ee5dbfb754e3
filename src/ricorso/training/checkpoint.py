"""Checkpoints: everything that training needs to go on as if it had never stopped."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ricorso.bundle import read_json, read_tensors, to_json, to_safetensors, verify, write_folder
from ricorso.errors import RunError

_TENSORS = "tensors.safetensors"
_CURSOR = "cursor.json"

State = None | Tensor | tuple[Tensor, ...]


@dataclass
class Cursor:
    """Where training stands, in plain numbers."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    skipped: int = 0
    skipped_in_a_row: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    clipped: int = 0
    clip_rate: float = 0.0
    first_norm: float = 0.0
    first_loss: float | None = None
    smooth_loss: float | None = None
    worse_in_a_row: int = 0
    lowered: float = 1.0
    since_best: int = 0
    since_lowered: int = 0
    averaged_from: int | None = None
    validations: int = 0
    samples: int = 0
    best_step: int | None = None
    best_loss: float | None = None
    finished: bool = False


@dataclass
class Snapshot:
    """A cursor with the tensors that belong to it: weights, their average, the optimiser, the state carried over."""

    cursor: Cursor
    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    state: State


def write_checkpoint(parent: Path, kind: str, snapshot: Snapshot) -> Path:
    """Write a checkpoint of a kind ("last" or "best"); the older ones of its kind go only when it is verified.

    The folders are numbered in the order of writing. Raises OSError when the disk refuses; the older checkpoint is
    then untouched.
    """
    older = _found(parent, kind)
    number = 1 + max((_number(path) for path in _found(parent)), default=0)
    folder = parent / f"{kind}-{number:06d}"
    write_folder(folder, {_CURSOR: _cursor_json(snapshot), _TENSORS: to_safetensors(_arrays(snapshot))})
    for path in older:
        shutil.rmtree(path, ignore_errors=True)
    return folder


def newest_checkpoint(parent: Path) -> Snapshot | None:
    """The last written checkpoint that is whole; None where there is none.

    Raises RunError when there are checkpoints but every one of them is damaged.
    """
    complaint: RunError | None = None
    for folder in sorted(_found(parent), key=_number, reverse=True):
        try:
            return read_checkpoint(folder)
        except RunError as error:
            complaint = complaint or error
    if complaint:
        raise complaint
    return None


def best_average(parent: Path, step: int) -> dict[str, Tensor] | None:
    """The averaged weights of the best checkpoint, if it is whole and was written after that step."""
    for folder in _found(parent, "best"):
        try:
            snapshot = read_checkpoint(folder)
        except RunError:
            continue
        if snapshot.cursor.step == step:
            return snapshot.average
    return None


def read_checkpoint(folder: Path) -> Snapshot:
    """A checkpoint from its folder. Raises RunError when it is damaged."""
    verify(folder, (_CURSOR, _TENSORS))
    numbers = read_json(folder / _CURSOR)
    form = numbers.pop("state", None)
    try:
        cursor = Cursor(**numbers)
    except TypeError as error:
        raise RunError(
            f"'{folder / _CURSOR}' does not describe a checkpoint ({error}); the folder is damaged."
        ) from error
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "average": {}, "optimiser": {}, "state": {}}
    for key, array in read_tensors(folder / _TENSORS).items():
        group, _, name = key.partition("/")
        if group not in groups:
            raise RunError(f"'{folder / _TENSORS}' holds the unknown tensor '{key}'; the folder is damaged.")
        groups[group][name] = torch.from_numpy(array)
    carried = tuple(groups["state"][name] for name in sorted(groups["state"], key=int))
    state: State = None if form == "none" else carried[0] if form == "tensor" else carried
    return Snapshot(cursor, groups["weights"], groups["average"], groups["optimiser"], state)


def optimiser_tensors(optimiser: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's memory by name of parameter and of quantity."""
    names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
    return {f"{names[p]}/{key}": value for p, memory in optimiser.state.items() for key, value in memory.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser its memory back."""
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, quantity = key.rpartition("/")
        optimiser.state[parameters[name]][quantity] = value


def _cursor_json(snapshot: Snapshot) -> bytes:
    form = "none" if snapshot.state is None else "tensor" if isinstance(snapshot.state, Tensor) else "tuple"
    return to_json(asdict(snapshot.cursor) | {"state": form})


def _arrays(snapshot: Snapshot) -> dict[str, Any]:
    state = snapshot.state
    carried = () if state is None else (state,) if isinstance(state, Tensor) else state
    groups = {
        "weights": snapshot.weights,
        "average": snapshot.average,
        "optimiser": snapshot.optimiser,
        "state": {str(i): part for i, part in enumerate(carried)},
    }
    return {f"{group}/{name}": t.detach().cpu().numpy() for group, part in groups.items() for name, t in part.items()}


def _found(parent: Path, kind: str = "*") -> list[Path]:
    return [path for path in parent.glob(f"{kind}-*") if path.name.rpartition("-")[2].isdigit()]


def _number(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])
