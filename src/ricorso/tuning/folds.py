"""How data is cut for cross-validation: by task, since what may be held out depends on what the data is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ricorso.bundle import write_file
from ricorso.data.text import read_text
from ricorso.errors import DataError

# training data and validation data; None leaves it to the task to keep some for validation
Part = tuple[Path, Path | None]


def text_blocks(data: Path, settings: Mapping[str, Any], folds: int, folder: Path) -> list[Part]:
    """Cut a text into contiguous blocks; each is held out once while the rest, joined, is trained on.

    The parts are written as files into the folder, in the encoding of the text. Raises DataError as `read_text` does,
    and for a text shorter than two symbols for each fold.
    """
    encoding = settings.get("encoding", "utf-8")
    text = read_text(data, encoding)
    if len(text) < 2 * folds:
        raise DataError(f"{data} has {len(text)} characters, too few for {folds} folds.")
    folder.mkdir(exist_ok=True)
    parts: list[Part] = []
    for fold in range(folds):
        begin, end = fold * len(text) // folds, (fold + 1) * len(text) // folds
        training, held_out = folder / f"{fold + 1}-train.txt", folder / f"{fold + 1}-held-out.txt"
        write_file(training, (text[:begin] + text[end:]).encode(encoding))
        write_file(held_out, text[begin:end].encode(encoding))
        parts.append((training, held_out))
    return parts
