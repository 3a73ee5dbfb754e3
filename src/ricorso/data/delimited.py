"""Delimited text (CSV, TSV) as a table of texts, checked line by line where polars is silent or vague."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ricorso.data.text import binary
from ricorso.errors import DataError, UsageError

_SEPARATORS = (",", ";", "\t", "|")
_CHUNK = 1 << 24
_WIDE_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_delimited(raw: bytes, name: str, separator: str | None = None, encoding: str = "utf-8") -> pl.DataFrame:
    """A table of texts from the bytes of a delimited file whose first line names the columns; null where empty.

    Raises DataError for a wrong encoding, a header that repeats a name or names none, and a line with too many or too
    few fields; UsageError for an unknown encoding or a separator that is not one character.

    >>> read_delimited(b"day,sold\\n1,5\\n2,\\n", "sales.csv").rows()
    [('1', '5'), ('2', None)]
    """
    raw = _as_utf8(raw, name, encoding)
    if separator is None:
        separator = _guess_separator(_first_line(raw), name)
    if len(separator.encode()) != 1:
        raise UsageError(f"separator must be one character such as ',' or ';', got {separator!r}.")
    names = _header(raw, separator, name)
    if len(names) == 1:
        raw = raw.rstrip(b"\r\n")  # blank lines at the end are no missing values
    try:
        table = pl.read_csv(raw, separator=separator, infer_schema=False, new_columns=names)
    except pl.exceptions.PolarsError as error:
        _check_fields(raw, separator, len(names), name)
        raise DataError(f"{name} cannot be read as a table: {str(error).splitlines()[0]}") from error
    # polars fills short lines with null, which only the last column shows for certain
    if table.height and table[:, -1].null_count() and table.width > 1:
        _check_fields(raw, separator, len(names), name)
        if b"\n\n" in raw or b"\n\r\n" in raw:
            table = table.filter(~pl.all_horizontal(pl.all().is_null()))
    return table


def separator_of(path: Path) -> str:
    """The separator of a delimited file, guessed from its first line."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        try:
            line = file.readline()
        except (OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read: {error}.") from error
    return _guess_separator(line, str(path))


def _as_utf8(raw: bytes, name: str, encoding: str) -> bytes:
    try:
        text = raw.decode(encoding)
    except LookupError as error:
        raise UsageError(f"There is no text encoding '{encoding}'. Common ones: utf-8, utf-16, latin-1.") from error
    except UnicodeDecodeError as error:
        wide = next((codec for mark, codec in _WIDE_MARKS.items() if raw.startswith(mark)), None)
        if wide:
            raise DataError(f"{name} is encoded as {wide}, not {encoding}; pass encoding='{wide}'.") from error
        line = raw.count(b"\n", 0, error.start) + 1
        column = len(raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode(encoding, "replace")) + 1
        raise DataError(
            f"{name}, line {line}, column {column}: byte 0x{raw[error.start]:02x} is not valid {encoding}. "
            f"Save the file as utf-8, or name its encoding, for example encoding='latin-1'."
        ) from error
    if "\0" in text:
        raise binary(name, text)
    return raw.removeprefix(b"\xef\xbb\xbf") if encoding == "utf-8" else text.removeprefix("\ufeff").encode()


def _first_line(raw: bytes) -> bytes:
    return raw[: raw.find(b"\n") % (len(raw) + 1)]


def _guess_separator(line: bytes, name: str) -> str:
    outside = b"".join(line.split(b'"')[::2]).decode("utf-8", "replace")
    best = max(_SEPARATORS, key=outside.count)
    if outside.count(best):
        return best
    return " " if Path(name.removesuffix(".gz")).suffix == ".txt" and " " in outside.strip() else ","


def _header(raw: bytes, separator: str, name: str) -> list[str]:
    lines = io.StringIO(raw[:_CHUNK].decode("utf-8", "replace"), newline="")
    try:
        names = [field.strip() for field in next(csv.reader(lines, delimiter=separator))]
    except (csv.Error, StopIteration) as error:
        raise DataError(f"{name}, line 1: column names were expected ({error}).") from error
    if not names:
        raise DataError(f"{name}, line 1 is blank; column names were expected.")
    names = [field or f"column_{i}" for i, field in enumerate(names, 1)]
    first: dict[str, int] = {}
    for i, field in enumerate(names, 1):
        if first.setdefault(field, i) != i:
            raise DataError(
                f"{name}, line 1: columns {first[field]} and {i} are both named '{field}'. Rename or remove one."
            )
    if all(_is_number(field) for field in names):
        shown = separator.join(names[:4]) + (" ..." if len(names) > 4 else "")
        raise DataError(f"{name}, line 1 holds numbers ({shown}) where column names were expected; add a header.")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_fields(raw: bytes, separator: str, width: int, name: str) -> None:
    """Raise DataError for the first line that has not as many fields as the header, or a quote that stays open."""
    for start, end, separators in _records(raw, separator):
        if raw.count(b'"', int(start[-1]), int(end[-1])) % 2:
            line = raw.count(b"\n", 0, int(start[-1])) + 1
            raise DataError(
                f"{name}, line {line}: a quote is opened in this line and never closed. Close or remove it."
            )
        wrong = np.flatnonzero((separators + 1 != width) & (end - start > 1))
        for i in wrong.tolist():
            if raw[start[i] : end[i]].strip(b"\r\n"):
                line = raw.count(b"\n", 0, int(start[i])) + 1
                found = int(separators[i]) + 1
                fields = f"{found} field{'s' * (found != 1)}, {'more' if found > width else 'fewer'}"
                raise DataError(
                    f"{name}, line {line} has {fields} than the {width} of the header. "
                    f"Correct the line, put quotes around a text that holds '{separator}', or name another separator."
                )


def _records(raw: bytes, separator: str) -> Iterator[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]]:
    """Start, end and number of separators of the records, a chunk of the file at a time; quoted text is skipped."""
    inside, begun, carried = False, 0, 0
    for offset in range(0, len(raw), _CHUNK):
        piece = np.frombuffer(raw, np.uint8, min(_CHUNK, len(raw) - offset), offset)
        quoted = np.logical_xor.accumulate(piece == ord('"')) ^ inside
        inside = bool(quoted[-1])
        separators = np.flatnonzero((piece == ord(separator)) & ~quoted)
        ends = np.flatnonzero((piece == ord("\n")) & ~quoted)
        before = np.searchsorted(separators, ends)
        if len(ends):
            counts = np.diff(before, prepend=0)
            counts[0] += carried
            stops = ends + offset + 1
            yield np.concatenate([[begun], stops[:-1]]), stops, counts
            begun, carried = int(stops[-1]), len(separators) - int(before[-1])
        else:
            carried += len(separators)
    if begun < len(raw):
        yield np.array([begun]), np.array([len(raw)]), np.array([carried])
