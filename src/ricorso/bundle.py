"""Folders that hold a model or a checkpoint: written whole or not at all, and verified before they are believed.

A sealed folder carries `manifest.json`, which lists the size and SHA-256 of its files. A run folder is a sealed folder:

    config.json          every setting, versions, where the data came from
    model.safetensors    the weights
    cell.json            the cell's equations as data
    vocabulary.json      where the task has one
    counts.safetensors   what counted symbols say of labels, where a classifier counts
    metrics.jsonl        a line per logging step
    checkpoints/         sealed folders of their own, from which training goes on
    report.html          curves and samples
    text.txt             the training text, where it was in no file of its own (validation.txt likewise)
    manifest.json        sizes and hashes of the above

Nothing in a folder is ever run as code.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import RunError, UsageError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
CONFIG = "config.json"
MODEL = "model.safetensors"
CELL = "cell.json"
VOCABULARY = "vocabulary.json"
COUNTS = "counts.safetensors"
METRICS = "metrics.jsonl"
REPORT = "report.html"
CHECKPOINTS = "checkpoints"
LOCK = ".lock"
TEXT = "text.txt"
VALIDATION_TEXT = "validation.txt"
RUN_FILES = (CONFIG, MODEL, CELL, VOCABULARY, COUNTS, METRICS, REPORT, TEXT, VALIDATION_TEXT)

_TEMPORARY = ".unfinished"

Tensors = dict[str, NDArray[Any]]


# --- writing


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a sealed folder that appears under its name only when it is complete, on the disk, and verified.

    Raises UsageError when the folder exists and is not empty, OSError when the disk refuses (nothing is left behind).
    """
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f"{folder.name}{_TEMPORARY}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        for name, content in files.items():
            _write_durably(temporary / name, content)
        _write_durably(temporary / MANIFEST, _manifest(temporary, files))
        _sync_folder(temporary)
        verify(temporary, files)
        temporary.replace(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write or replace one file; a reader sees the old content or the new one, never a part. Raises OSError."""
    temporary = path.with_name(path.name + _TEMPORARY)
    try:
        _write_durably(temporary, content)
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file whole or not at all and return its path. Raises RunError when the disk refuses."""
    target = Path(path)
    try:
        write_file(target, text.encode())
    except OSError as error:
        raise RunError(f"'{target}' could not be written: {error.strerror}.") from error
    return target


def seal(folder: Path, names: Sequence[str] = RUN_FILES) -> None:
    """Write the manifest over those of the named files that exist. Call it after changing a file of a run."""
    present = [name for name in names if (folder / name).is_file()]
    write_file(folder / MANIFEST, _manifest(folder, present))


def check_free(folder: Path) -> None:
    """Raise UsageError unless a folder of this name can be made: it must be missing or empty."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        what = "holds a run already" if (folder / CONFIG).exists() else "exists already"
        raise UsageError(f"'{folder}' {what}; nothing was overwritten. Choose another folder, or remove this one.")


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed while writing has left in a folder."""
    for path in folder.glob(f"*{_TEMPORARY}"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def to_json(value: Any) -> bytes:
    """JSON text as it is stored: readable, UTF-8, without NaN."""
    return (json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def to_safetensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays in the safetensors format."""
    from safetensors.numpy import save

    return bytes(save({name: np.asarray(array, order="C") for name, array in tensors.items()}))


# --- reading


def verify(folder: Path, names: Sequence[str] | Mapping[str, object] = (), *, others: bool = True) -> list[str]:
    """Check that a folder is what its manifest says, and that the manifest lists `names`; returns the listed names.

    others: whether the listed files that are not among `names` are checked as well.
    Raises RunError: not a sealed folder, written by a newer version, a file missing, truncated or changed.
    """
    if not folder.exists():
        raise RunError(f"There is no run folder '{folder}'. Check the path.")
    if not (folder / MANIFEST).is_file():
        raise RunError(f"'{folder}' is not a run of Ricorso: it has no {MANIFEST}.")
    manifest = read_json(folder / MANIFEST)
    version, files = manifest.get("format_version"), manifest.get("files")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise RunError(
            f"'{folder}' was written by a newer Ricorso (format {version}; this one reads up to {FORMAT_VERSION}). "
            f"Upgrade: pip install --upgrade ricorso."
        )
    if not isinstance(version, int) or not isinstance(files, dict):
        raise RunError(f"'{folder / MANIFEST}' is not a manifest of Ricorso's; the folder is damaged or is no run.")
    for name in names:
        if name not in files:
            raise RunError(f"'{folder}' has no {name}: it is incomplete. Copy the whole run again, or train anew.")
    for name, entry in files.items():
        if others or name in names:
            _verify_file(folder, name, entry)
    return list(files)


def _verify_file(folder: Path, name: str, entry: Any) -> None:
    if Path(name).name != name or not isinstance(entry, dict):
        raise RunError(f"The manifest of '{folder}' has the invalid entry {name!r}; the folder is damaged.")
    path = folder / name
    if not path.is_file():
        raise RunError(f"'{folder}' has lost its {name}. Copy the whole run again, or train anew.")
    size = path.stat().st_size
    if size != entry.get("bytes"):
        raise RunError(
            f"'{path}' has {size:,} bytes, its manifest says {entry.get('bytes')}: it is truncated or was changed. "
            f"Copy the run again, or train anew."
        )
    if _sha256(path) != entry.get("sha256"):
        raise RunError(
            f"'{path}' is not the file that was saved (its SHA-256 differs). Copy the run again, or train anew."
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises RunError when it is missing or something else."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise RunError(f"'{path}' cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"'{path}' is not valid JSON ({error}); the folder is damaged.") from error
    if not isinstance(value, dict):
        raise RunError(f"'{path}' holds a {type(value).__name__}, not a JSON object; the folder is damaged.")
    return value


def read_tensors(path: Path, expected: Mapping[str, tuple[int, ...]] | None = None) -> Tensors:
    """Named arrays from a safetensors file, floating-point ones finite.

    expected: the shape of each tensor, compared with the file's header before anything is read.
    Raises RunError when the file is damaged, a name or shape differs, or a number is not finite.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            if expected is not None:
                _compare_shapes(path, {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}, expected)  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"'{path}' cannot be read as safetensors ({error}); the folder is damaged.") from error
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RunError(f"'{path}' holds a number in '{name}' that is not finite; the folder cannot be used.")
    return tensors


def _compare_shapes(path: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name in expected.keys() | found.keys():
        if name not in found:
            raise RunError(
                f"'{path}' has no tensor '{name}', which its config.json asks for; the run does not fit together."
            )
        if name not in expected:
            raise RunError(
                f"'{path}' has a tensor '{name}' too many for its config.json; the run does not fit together."
            )
        if found[name] != expected[name]:
            raise RunError(
                f"'{path}': '{name}' has the shape {found[name]}, its config.json asks for {expected[name]}; "
                f"the run does not fit together."
            )


# --- one process at a time


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process.

    Raises RunError when another process trains in it, which is named, and when nothing can be written there.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no advisory locks of this kind; there the folder is not guarded
        yield
        return
    with _writable(folder, folder / LOCK) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(file.read())
            raise RunError(f"{owner} is training in '{folder}'. Wait for it, or stop it first.") from error
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process holds a run folder at this moment."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _owner(text: str) -> str:
    try:
        known = json.loads(text)
        return f"Process {known['process']} on {known['host']}"
    except (ValueError, KeyError, TypeError):
        return "Another process"


def _writable(folder: Path, path: Path) -> TextIO:
    """A file opened for appending and reading."""
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"Nothing can be written to '{folder}' ({error.strerror}). Make it writable, or copy the run elsewhere."
        ) from error
    file.seek(0)
    return file


# --- plumbing


def _manifest(folder: Path, names: Sequence[str] | Mapping[str, object]) -> bytes:
    entries = {name: {"bytes": (folder / name).stat().st_size, "sha256": _sha256(folder / name)} for name in names}
    return to_json({"format_version": FORMAT_VERSION, "files": entries})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
