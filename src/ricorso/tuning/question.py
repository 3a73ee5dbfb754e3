"""What a search asks: everything that decides its outcome, as `tune.json` holds it."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from ricorso.bundle import read_json, to_json, write_file
from ricorso.errors import DataError, RunError, UsageError
from ricorso.tuning import space as spaces
from ricorso.tuning.rules import rules_of
from ricorso.tuning.space import Space

FILE = "tune.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Question:
    """A search: the task, its data, what is fixed, what is searched, and how.

    data, validation: path, size and hash. settings: those given, the same in every trial. threads: of each trial.
    trials: how many in all; keep: how many of the best keep their run folders; neither changes what a trial does.
    """

    task: str
    data: Mapping[str, Any]
    validation: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    space: Mapping[str, Any]
    sampler: str
    pruner: str
    folds: int
    seed: int
    threads: int
    trials: int
    keep: int

    def to_space(self) -> Space:
        """What is searched. Raises UsageError."""
        return spaces.read_space(self.space, rules_of(self.task).load_config())

    def check_same(self, other: Self, folder: Path) -> None:
        """Raise UsageError unless another question has the same answers, trial by trial."""
        mine, theirs = (_essence(question) for question in (self, other))
        different = [name for name, value in mine.items() if theirs[name] != value]
        if different:
            raise UsageError(
                f"'{folder}' holds another search; it differs in {', '.join(different)}. "
                f"Choose another --out, or continue that one with: ricorso tune --resume {folder}"
            )

    def check_data(self) -> None:
        """Raise DataError or RunError unless the data is where it was, and unchanged."""
        for known in (self.data, self.validation):
            if known is not None and fingerprint(Path(known["path"]))["sha256"] != known["sha256"]:
                raise RunError(f"'{known['path']}' has changed since this search began; bring it back, or search anew.")

    def write(self, folder: Path) -> None:
        """Put the question into a folder. Raises RunError when the disk refuses."""
        versions = {name: version(name) for name in ("ricorso", "torch", "optuna")}
        facts = {"format_version": FORMAT_VERSION, **asdict(self)}
        facts["versions"] = {**versions, "python": platform.python_version(), "machine": platform.machine()}
        try:
            write_file(folder / FILE, to_json(facts))
        except OSError as error:
            raise RunError(f"'{folder}' could not be written: {error.strerror}.") from error

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The question of a folder. Raises RunError when there is none, or it is damaged or too new."""
        if not (folder / FILE).is_file():
            raise RunError(f"'{folder}' is not a search of Ricorso: it has no {FILE}.")
        facts = read_json(folder / FILE)
        written = facts.pop("format_version", None)
        if isinstance(written, int) and written > FORMAT_VERSION:
            raise RunError(f"'{folder}' was written by a newer Ricorso. Upgrade: pip install --upgrade ricorso.")
        facts.pop("versions", None)
        try:
            question = cls(**facts)
            rules = rules_of(question.task)
            spaces.check_space(question.to_space(), question.settings, rules.load_config())
            _ = question.data["path"], question.data["sha256"]
        except (TypeError, KeyError, UsageError) as error:
            raise RunError(f"'{folder / FILE}' cannot be used: {error}") from error
        return question


def fingerprint(path: Path) -> dict[str, Any]:
    """Where a file or folder is, its size and hash, of a folder over the names and contents of its files.

    Raises DataError when it cannot be read.
    """
    try:
        if not path.is_dir():
            size, digest = path.stat().st_size, _digest(path)
        else:
            size, whole = 0, hashlib.sha256()
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                size += file.stat().st_size
                whole.update(f"{file.relative_to(path).as_posix()}\0{_digest(file)}\n".encode())
            digest = whole.hexdigest()
        return {"path": str(path.resolve()), "bytes": size, "sha256": digest}
    except FileNotFoundError as error:
        raise DataError(f"There is no file '{path}'. Check the path.") from error
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from error


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _essence(question: Question) -> dict[str, Any]:
    facts = asdict(replace(question, trials=0, keep=0, threads=0))
    for name in ("data", "validation"):
        facts[name] = facts[name] and facts[name]["sha256"]
    return facts
