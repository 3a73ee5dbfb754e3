"""JSON lines: an object in each line, with errors that name the line."""

import json
from io import BytesIO
from typing import Any, Never

import polars as pl

from ricorso.data.text import shown
from ricorso.errors import DataError


def read_json_lines(raw: bytes, where: str) -> pl.DataFrame:
    """A table with a row for each line. Raises DataError for what is no JSON lines, with the line where it is known.

    >>> read_json_lines(b'{"y": 1}\\n{"y": 2}\\n', "a.jsonl")["y"].to_list()
    [1, 2]
    """
    try:
        return pl.read_ndjson(BytesIO(raw), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        for number, line in enumerate(raw.split(b"\n"), 1):
            if line.strip():
                read_object(line, f"{where}, line {number}", 'an object such as {"y": 1}', nan=False)
        raise DataError(f"{where} cannot be read as a JSON lines file, or is damaged: {error}.") from error


def read_object(line: str | bytes, where: str, wanted: str, nan: bool = True) -> dict[str, Any]:
    """The object in a line. wanted: what it should be, for messages. nan: whether NaN, as Python writes it, is allowed.

    Raises DataError for a line that is not utf-8, not JSON, or something else than an object.

    >>> read_object('{"y": null}', "a.jsonl, line 1", "an object")
    {'y': None}
    """
    try:
        text = line if isinstance(line, str) else line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}, column {error.start + 1}: not valid utf-8. Save the file as utf-8.") from error
    if text.lstrip()[:1] != "{":
        raise DataError(f"{where}: {wanted} was expected, got {shown(text.strip())}.")
    try:
        found: dict[str, Any] = json.loads(text, parse_constant=float if nan else _refuse)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}, column {error.colno}: not JSON ({error.msg}); {wanted} was expected.") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{where}: not JSON that can be read: {reason}.") from error
    return found


def _refuse(name: str) -> Never:
    raise ValueError(f"{name} is no value of JSON; write null where a value is missing")
