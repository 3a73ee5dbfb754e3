"""The `.ts` files of the UEA and UCR archives: a series on each line, its dimensions and its class separated by colons.

Löning et al. 2019, https://arxiv.org/abs/1909.07872; the archive: Bagnall et al. 2018, https://arxiv.org/abs/1811.00075.
"""

import numpy as np
from numpy.typing import NDArray

from ricorso.data.example_columns import ExampleColumns, Found
from ricorso.data.recordings import checked_recordings
from ricorso.errors import DataError


def read_ts(text: str, where: str) -> Found:
    """The series of a `.ts` file, '?' as NaN, with their classes if its head says `@classLabel true`.

    Raises DataError with the line for a head that is missing or says that values have time stamps, a value that is no
    number, and dimensions that differ in number or in length.

    >>> found = read_ts("@classLabel true a b\\n@data\\n1,2,3:4,5,?:a\\n", "x.ts")
    >>> found.inputs[0].shape, found.cells
    ((3, 2), ['a'])
    """
    labelled = dimensions = None
    lines = enumerate(text.split("\n"), 1)
    for number, line in lines:
        words = line.strip().split()
        key = words[0].lower() if words else ""
        if key == "@data":
            break
        if key in ("@classlabel", "@targetlabel"):
            labelled = words[1:2] == ["true"] and key == "@classlabel"
        elif key == "@dimensions" or key == "@dimension":
            dimensions = int(words[1]) if words[1:] and words[1].isdecimal() else None
        elif key == "@timestamps" and words[1:2] == ["true"]:
            raise DataError(f"{where}, line {number}: values with time stamps cannot be read. Give a table instead.")
        elif key and not key.startswith(("#", "@")):
            raise DataError(
                f"{where}, line {number}: a line '@data' was expected before the series, got {line[:40]!r}."
            )
    arrays, cells, places = [], [], []
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.strip().split(":")
        place = f"line {number}"
        if labelled:
            cells.append(parts.pop().strip())
        if dimensions is None:
            dimensions = len(parts)
        if len(parts) != dimensions:
            raise DataError(
                f"{where}, {place} has {len(parts)} dimensions, {dimensions} were expected"
                f"{' beside the class' if labelled else ''}. Correct the line."
            )
        arrays.append(_series(parts, where, place))
        places.append(place)
    if not arrays:
        raise DataError(f"{where} has no line '@data' with series below it.")
    checked_recordings(arrays, places, where)
    columns = ExampleColumns("series", False, features=tuple(f"feature_{i}" for i in range(1, (dimensions or 0) + 1)))
    return Found(arrays, cells if labelled else None, [str(i) for i in range(1, len(arrays) + 1)], places, columns)


def _series(parts: list[str], where: str, place: str) -> NDArray[np.float32]:
    columns = []
    for i, part in enumerate(parts, 1):
        values = part.replace("?", "nan").split(",") if part.strip() else []
        try:
            columns.append(np.array(values, np.float32))
        except ValueError as error:
            raise DataError(f"{where}, {place}, dimension {i}: numbers were expected ({error}).") from error
        if len(columns[-1]) != len(columns[0]):
            raise DataError(
                f"{where}, {place}, dimension {i} has {len(columns[-1])} values, dimension 1 has {len(columns[0])}. "
                f"The dimensions of a series should be equally long; write ? for values that are missing."
            )
    return np.stack(columns, axis=1)
