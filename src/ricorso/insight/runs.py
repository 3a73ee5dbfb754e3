"""What runs there are, and how they stand: read from small files, never from weights."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from ricorso import bundle
from ricorso.errors import RunError, UsageError

ORDERS = ("loss", "time", "name")

# settings that decide what a loss is measured in, and on what
_UNITS = (
    "level", "validation_fraction", "minimum_count",
    "loss", "quantiles", "scaling", "difference", "log", "horizon", "context",
)  # fmt: skip

_CURSOR = "cursor.json"
_TENSORS = "tensors.safetensors"
_TAIL = 1 << 16
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Run:
    """A run folder as a row; what could not be read is None.

    state: finished, stopped (it goes on with `resume`), running, diverged, or damaged; of the last two `why` says more.
    """

    folder: Path
    state: str
    why: str | None = None
    task: str | None = None
    cell: str | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    parameters: int | None = None
    data: str | None = None
    steps: int | None = None
    validation_loss: float | None = None
    best_step: int | None = None
    seconds: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: Any = None

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def resume(self) -> str | None:
        """The command that goes on with a stopped training."""
        return f"ricorso resume {quote(str(self.folder))}" if self.state == "stopped" else None

    def to_json(self) -> dict[str, Any]:
        """Everything but the settings as plain data."""
        facts = {name: value for name, value in asdict(self).items() if name not in ("settings", "fingerprint")}
        return {"name": self.name, **facts, "folder": str(self.folder), "resume": self.resume}


def is_run(folder: Path) -> bool:
    """Whether a folder is a run, or what is left of one; else it may be a folder of runs."""
    return any((folder / name).is_file() for name in (bundle.MANIFEST, bundle.CONFIG, bundle.MODEL, bundle.METRICS))


def find(folder: Path) -> list[Path]:
    """A run itself, or the folders in a folder of runs. Raises RunError where there is no such folder."""
    if not folder.is_dir():
        raise RunError(f"There is no folder '{folder}'. Check the path.")
    if is_run(folder):
        return [folder]
    found = (path for path in folder.iterdir() if path.is_dir())
    # what is being written has a name of its own until it is whole
    return sorted(path for path in found if not path.name.startswith(".") and path.suffix != ".unfinished")


def arranged(runs: Iterable[Run], order: str = "loss") -> list[Run]:
    """Runs by validation loss, best first; by time trained, longest first; or by name. Raises UsageError.

    >>> runs = [Run(Path("b"), "stopped", seconds=3.0), Run(Path("a"), "finished", validation_loss=1.5)]
    >>> [run.name for run in arranged(runs, "loss")], [run.name for run in arranged(runs, "time")]
    (['a', 'b'], ['b', 'a'])
    """
    if order not in ORDERS:
        raise UsageError(f"Runs are sorted by one of {', '.join(ORDERS)}, not by '{order}'.")
    by_name = sorted(runs, key=lambda run: str(run.folder))
    if order == "loss":
        return sorted(by_name, key=lambda run: math.inf if run.validation_loss is None else run.validation_loss)
    return by_name if order == "name" else sorted(by_name, key=lambda run: -(run.seconds or 0.0))


def look(folder: Path) -> Run:
    """How a run stands; one that is damaged, or no run at all, says so in its state."""
    facts: dict[str, Any] = {}
    try:
        bundle.verify(folder, (bundle.CONFIG, bundle.CELL), others=False)
        facts = _facts(folder)
        running = bundle.is_locked(folder)
        cursor = _cursor(folder)
        facts |= _progress(folder, cursor, running) | {"parameters": _parameters(folder)}
        why = None if running else _divergence(folder)
        return Run(folder, "diverged" if why else _state(folder, cursor, running), why, **facts)
    except (RunError, OSError) as error:
        return Run(folder, "damaged", _clause(error, folder), **facts)


def differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The settings in which runs differ, each with its value in every run; None for one whose settings are not known.

    >>> one = Run(Path("one"), "finished", settings={"cell": "gru", "dropout": 0.1})
    >>> differing([one, Run(Path("two"), "finished", settings={"cell": "gru", "dropout": 0.2})])
    {'dropout': [0.1, 0.2]}
    """
    known = [run.settings for run in runs if run.settings]
    names = dict.fromkeys(name for settings in known for name in settings)
    return {
        name: [run.settings.get(name) for run in runs]
        for name in names
        if any(name not in settings or settings[name] != known[0].get(name) for settings in known)
    }


def comparable(runs: Sequence[Run]) -> bool:
    """Whether the losses of runs were measured on the same data in the same unit, as far as is known."""
    known = [run for run in runs if run.settings]
    facts = [(run.task, run.fingerprint, [run.settings.get(unit) for unit in _UNITS]) for run in known]
    return all(fact == facts[0] for fact in facts)


# --- what the files say


def _facts(folder: Path) -> dict[str, Any]:
    config = bundle.read_json(folder / bundle.CONFIG)
    settings, data = config.get("settings"), config.get("data")
    if not isinstance(settings, dict) or not isinstance(data, dict):
        raise RunError(f"'{folder / bundle.CONFIG}' does not describe a run")
    named = [part for part in data.values() if isinstance(part, dict) and "path" in part]
    path = named[0]["path"] if named else None
    return {
        "task": _words(config.get("task")),
        "cell": _words(settings.get("cell")),
        "hidden_size": _whole(settings.get("hidden_size")),
        "num_layers": _whole(settings.get("num_layers")),
        "data": Path(path).name if isinstance(path, str) else None,
        # as numbers these are none that JSON knows
        "settings": json.loads(json.dumps(settings), parse_constant=str),
        "fingerprint": _without_paths(data),
    }


def _state(folder: Path, cursor: Mapping[str, Any] | None, running: bool) -> str:
    if running:
        return "running"
    ended = cursor is None or cursor.get("finished") is True
    if not (folder / bundle.MODEL).exists() or not ended:
        return "stopped"
    _check_sizes(folder)
    return "finished"


def _divergence(folder: Path) -> str | None:
    """Why a training gave up; None where it did not, or has gone on since."""
    last, _ = _tail(folder / bundle.METRICS)
    return str(last.get("reason") or "training has diverged") if last.get("kind") == "diverged" else None


def _progress(folder: Path, cursor: Mapping[str, Any] | None, running: bool) -> dict[str, Any]:
    last, end = _tail(folder / bundle.METRICS)
    known = dict(cursor) if cursor else {"step": 0}
    if cursor is None and end:
        names = {"step": "steps", "seconds": "seconds", "best_loss": "validation_loss", "best_step": "best_step"}
        known = {name: end.get(there) for name, there in names.items()}
    elif running and (_whole(last.get("step")) or 0) > (_whole(known.get("step")) or 0):
        known |= {name: last[name] for name in ("step", "seconds") if name in last}
    return {
        "steps": _whole(known.get("step")),
        "seconds": number(known.get("seconds")),
        "validation_loss": number(known.get("best_loss")),
        "best_step": _whole(known.get("best_step")),
    }


def _cursor(folder: Path) -> dict[str, Any] | None:
    """Where the newest whole checkpoint stands; None where there is none. Raises RunError when all are damaged."""
    complaint: RunError | None = None
    for checkpoint in _checkpoints(folder):
        try:
            bundle.verify(checkpoint, (_CURSOR,), others=False)
            _check_sizes(checkpoint)
            return bundle.read_json(checkpoint / _CURSOR)
        except RunError as error:
            complaint = complaint or error
    if complaint:
        raise complaint
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """The newest first."""
    found = (folder / bundle.CHECKPOINTS).glob("*-*")
    numbered = [path for path in found if path.name.rpartition("-")[2].isdigit()]
    return sorted(numbered, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)


def _check_sizes(folder: Path) -> None:
    """Raise RunError where a file is not as long as the manifest says; what is in it is left for loading to check."""
    for name, entry in bundle.read_json(folder / bundle.MANIFEST)["files"].items():
        path = folder / Path(name).name
        if not path.is_file():
            raise RunError(f"'{folder}' has lost its {path.name}")
        size, told = path.stat().st_size, entry.get("bytes") if isinstance(entry, dict) else None
        if size != told:
            said = f"{told:,}" if isinstance(told, int) else told
            raise RunError(f"'{path}' has {size:,} bytes, its manifest says {said}: it is truncated or was changed")


def _parameters(folder: Path) -> int | None:
    """How many numbers the model has, from the header of its weights or of a checkpoint's."""
    places = [(folder / bundle.MODEL, "")] + [(path / _TENSORS, "weights/") for path in _checkpoints(folder)]
    path, prefix = next(((path, prefix) for path, prefix in places if path.is_file()), (None, ""))
    return None if path is None else _size(path, prefix)


def _size(path: Path, prefix: str) -> int:
    """The numbers in the tensors of a safetensors file whose names begin so. Raises RunError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        entries = json.loads(header)
        tensors = [entry for name, entry in entries.items() if name.startswith(prefix) and name != "__metadata__"]
        return sum(math.prod(map(int, entry["shape"])) for entry in tensors)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"'{path}' does not begin with a header of safetensors") from error


def _tail(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last line of a metrics.jsonl that can be read, and the last that tells of an end; empty for none."""
    if not path.is_file():
        return {}, {}
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        texts = file.read().split(b"\n")
    found = []
    for text in texts:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            found.append(line)
    ends = [line for line in found if line.get("kind") == "end"]
    return (found[-1] if found else {}), (ends[-1] if ends else {})


def _without_paths(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    return {name: _without_paths(value) for name, value in data.items() if name != "path"}


def _clause(error: Exception, folder: Path) -> str:
    """What is wrong, without the folder and without advice."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    text = str(error).replace(f"'{folder}/", "'").removeprefix(f"'{folder}' ")
    for end in (". ", "; ", " ("):
        text = text.partition(end)[0]
    return text.rstrip(".").removeprefix("is ")


def _words(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A value from a file as a finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
