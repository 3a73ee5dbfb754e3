"""Word vectors from text files, as word2vec and GloVe write them."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"


def read_vectors(path: str | Path, most: int | None = None) -> tuple[list[str], NDArray[np.float32]]:
    """Words and their vectors, (words, width), in the order of the file, which is read no further than `most` words.

    A line is a word and its numbers, blanks between them; a first line of two whole numbers, as word2vec writes it, is
    left out. Of a word that comes twice the first vector counts. Also .gz.
    Raises DataError with file and line for what cannot be read.
    """
    words: dict[str, int] = {}
    rows: list[NDArray[np.float32]] = []
    width = 0
    for number, raw in enumerate(_lines(path), 1):
        where = f"{path}, line {number}"
        try:
            line = raw.decode().rstrip()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{where}: byte 0x{raw[error.start]:02x} is not valid UTF-8. Save the file as UTF-8."
            ) from error
        cells = line.split(" ") if " " in line else line.split("\t")
        if not line or (number == 1 and len(cells) == 2 and all(cell.isdecimal() for cell in cells)):
            continue
        width = width or len(cells) - 1
        if width < 1 or len(cells) <= width:
            wanted = f"a word and {width} numbers" if width > 0 else "a word and numbers"
            raise DataError(f"{where}: wanted {wanted}, got {len(cells)} parts ({line[:40]!r}).")
        # a few files hold words with blanks in them
        word, values = " ".join(cells[:-width]), cells[-width:]
        try:
            row = np.array(values, np.float32)
        except ValueError as error:
            raise DataError(f"{where}: a value of the vector is no number ({error}).") from error
        if not np.isfinite(row).all():
            raise DataError(f"{where}: the vector of '{word}' is not finite.")
        if word in words:
            continue
        words[word] = len(rows)
        rows.append(row)
        if most is not None and len(rows) == most:
            break
    if not rows:
        raise DataError(f"{path} holds no vectors; lines of a word and its numbers were expected.")
    return list(words), np.stack(rows)


def _lines(path: str | Path) -> Iterator[bytes]:
    try:
        with Path(path).open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
        with gzip.open(path) if packed else Path(path).open("rb") as file:
            yield from file
    except FileNotFoundError as error:
        raise DataError(f"There is no file '{path}'. Check the path.") from error
    except (OSError, EOFError) as error:
        raise DataError(f"'{path}' cannot be read: {error}.") from error
