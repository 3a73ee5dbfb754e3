"""Compiled kernels on disk, so that a shape is compiled once per machine and version.

A file that is not exactly what was written (another key, a wrong hash) or that someone else may have put there
(another owner, a link, a folder in which everyone may replace files) is never loaded: the kernel is compiled again and,
where that is possible, the file replaced.
"""

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

# A link is not followed, and a pipe in the place of a file not waited for.
READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


def cache_folder() -> Path:
    """RICORSO_CACHE when set, else `ricorso` in the user's cache folder."""
    chosen = os.environ.get("RICORSO_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ricorso" / "kernels"


def cached(key: str, make: Callable[[], bytes]) -> bytes:
    """The bytes stored under `key`, or those of `make()`, which are then stored."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    try:
        path = cache_folder() / f"{digest[:40]}.kernel"
    except RuntimeError:  # a user without a home
        return make()
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
        if _open_to_everyone(path.parent):
            return None
        with os.fdopen(os.open(path, READ), "rb") as file:
            if not _ours(os.fstat(file.fileno())):
                return None
            content = file.read()
    except OSError:
        return None
    header, newline, code = content.partition(b"\n")
    return code if header + newline == _header(digest, code) else None


def _ours(status: os.stat_result) -> bool:
    """Whether a file is a plain one that only this user can have written, under this name alone."""
    return (
        stat.S_ISREG(status.st_mode)
        and not (hasattr(os, "getuid") and status.st_uid != os.getuid())
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        and status.st_nlink == 1
    )


def _open_to_everyone(folder: Path) -> bool:
    """Whether anyone may rename what is in a folder; where it is sticky, as temporary folders are, only owners may."""
    mode = folder.stat().st_mode
    return os.name == "posix" and bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _write(path: Path, digest: str, code: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _open_to_everyone(path.parent):
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_header(digest, code) + code)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
