"""Compiled kernels on disk, so that a shape is compiled once per machine and version.

A file that is not exactly what was written (another key, a wrong hash, another owner) is never loaded: the kernel
is compiled again and the file replaced.
"""

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """RICORSO_CACHE when set, else `ricorso` in the user's cache folder."""
    chosen = os.environ.get("RICORSO_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ricorso" / "kernels"


def cached(key: str, make: Callable[[], bytes]) -> bytes:
    """The bytes stored under `key`, or those of `make()`, which are then stored."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    path = cache_folder() / f"{digest[:40]}.kernel"
    found = _read(path, digest)
    if found is not None:
        return found
    made = make()
    # Without a writable cache the kernel is only compiled again next time.
    with contextlib.suppress(OSError):
        _write(path, digest, made)
    return made


def _header(digest: str, code: bytes) -> bytes:
    return json.dumps({"key": digest, "sha256": hashlib.sha256(code).hexdigest()}).encode() + b"\n"


def _read(path: Path, digest: str) -> bytes | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if hasattr(os, "getuid") and status.st_uid != os.getuid():
                return None
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
            content = file.read()
    except OSError:
        return None
    header, newline, code = content.partition(b"\n")
    return code if header + newline == _header(digest, code) else None


def _write(path: Path, digest: str, code: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_header(digest, code) + code)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
