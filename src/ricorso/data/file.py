"""The bytes of a file, with errors that say what is wrong with it."""

import gzip
import zlib
from pathlib import Path

from ricorso.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"


def read_bytes(path: str | Path) -> bytes:
    """The contents of a file; gzip is unpacked, whatever the file is called.

    Raises DataError for a file that is missing, unreadable, empty or damaged.
    """
    raw = unpack(_read(path), path)
    if not raw.strip():
        raise DataError(f"{path} is empty; a table was expected.")
    return raw


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"There is no file '{path}'. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"'{path}' is a folder; give a file inside it.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"'{path}' cannot be read: {reason}.") from error


def unpack(raw: bytes, path: str | Path) -> bytes:
    """The bytes themselves, or what they unpack to. Raises DataError for gzip that is damaged."""
    if not raw.startswith(_GZIP_MAGIC):
        if str(path).endswith(".gz") and raw:
            raise DataError(f"{path} is named .gz but is not gzip-compressed; rename it or compress it.")
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged or truncated gzip file ({error}); fetch or compress it again.") from error
