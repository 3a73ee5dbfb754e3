"""Large files of tables, read piece by piece: only the columns that are needed, each in a form that is small."""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BufferedIOBase
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from ricorso.data.compact import Kept, Numbers, Times, Words
from ricorso.data.delimited import read_delimited
from ricorso.data.roles import Columns
from ricorso.data.table import DELIMITED, Source, column_of, kind_of, scan_table, with_numbers
from ricorso.errors import DataError

# files of more bytes and tables of more cells are read in pieces, each of so many bytes or cells
_LARGE, _PIECE = 1 << 26, 1 << 25
_MANY_CELLS, _CELLS = 1 << 23, 1 << 22
_LONGEST_RECORD = 1 << 27
_GZIP_MAGIC = b"\x1f\x8b"
# gzip makes tables of numbers about so much smaller
_PACKED = 4


@dataclass(frozen=True)
class Pieces:
    """A large CSV or Parquet file, read from its beginning as often as wanted and never held whole.

    >>> Pieces.of({"y": [1, 2]}) is None
    True
    """

    path: Path

    @classmethod
    def of(cls, source: Source) -> Self | None:
        """The pieces of a file that is large and of a kind that has pieces, else None."""
        if not isinstance(source, str | Path):
            return None
        path, kind = Path(source), kind_of(source)
        if not path.is_file() or (kind not in DELIMITED and (kind != ".parquet" or path.suffix == ".gz")):
            return None
        found = cls(path)
        try:
            if kind == ".parquet":
                large = found._cells > _MANY_CELLS
            else:
                large = path.stat().st_size * (_PACKED if found._packed else 1) > _LARGE
                large &= found._packed or path.suffix != ".gz"
        except (OSError, pl.exceptions.PolarsError):
            return None  # what is wrong is told by reading it whole
        # blank lines are values where there is but one column
        return found if large and found.first.width > 1 else None

    @cached_property
    def first(self) -> pl.DataFrame:
        """The first rows with all columns, as `read_table` would have them."""
        for piece in self._tables(None):
            return with_numbers(piece) if self._texts else piece
        return pl.DataFrame()

    def read(self, columns: Columns) -> pl.DataFrame:
        """The columns that have a role, of all rows: numbers, times, and texts that are numbered (Enum).

        Raises DataError as `read_table` and `numbers_of` do, with lines and rows of the whole file.
        """
        where, first = str(self.path), self.first
        kept: dict[str, Kept] = {}
        for name in first.columns if columns.layout != "long" else _named(columns):
            column = column_of(first, name, where)
            if name in (columns.series, *columns.static):
                kept[name] = Words(where, column, names=name == columns.series, texts=self._texts)
            elif name == columns.time:
                kept[name] = Times(where, column, texts=self._texts)
            else:
                kept[name] = Numbers(where, column, exact=name not in (*columns.known, *columns.past))
        before = 0
        for piece in self._tables(list(kept)):
            for one in kept.values():
                one.add(piece, before)
            before += piece.height
        return pl.DataFrame([kept.pop(name).whole() for name in list(kept)])

    @property
    def _texts(self) -> bool:
        return kind_of(self.path) in DELIMITED

    @property
    def _packed(self) -> bool:
        with self.path.open("rb") as file:
            return file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC

    @property
    def _cells(self) -> int:
        table = scan_table(self.path)
        return int(table.select(pl.len()).collect().item()) * len(table.collect_schema())

    def _tables(self, names: list[str] | None) -> Iterator[pl.DataFrame]:
        if self._texts:
            yield from self._delimited(names)
        else:
            yield from self._parquet(names)

    def _parquet(self, names: list[str] | None) -> Iterator[pl.DataFrame]:
        table = scan_table(self.path)
        if names is not None:
            table = table.select(names)
        rows = max(_CELLS // max(len(table.collect_schema()), 1), 1)
        begin = 0
        while True:
            try:
                piece = table.slice(begin, rows).collect()
            except pl.exceptions.PolarsError as error:
                raise DataError(f"{self.path} cannot be read as a Parquet file, or is damaged: {error}.") from error
            if not piece.height:
                return
            yield piece
            begin += rows

    def _delimited(self, names: list[str] | None) -> Iterator[pl.DataFrame]:
        where = str(self.path)
        try:
            with gzip.open(self.path) if self._packed else self.path.open("rb") as file:
                records = _records(file, where)
                header, _ = next(records)
                for text, before in records:
                    try:
                        piece = read_delimited(header + text, where)
                    except DataError as error:
                        raise _further(error, where, before) from error
                    if piece.height:  # and not blank lines alone
                        yield piece if names is None else piece.select(names)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{where} cannot be read, or is a damaged gzip file: {error}.") from error


def _named(columns: Columns) -> list[str]:
    one = [name for name in (columns.time, columns.series) if name is not None]
    return list(dict.fromkeys([*one, *columns.targets, *columns.known, *columns.past, *columns.static]))


def _records(file: BufferedIOBase, where: str) -> Iterator[tuple[bytes, int]]:
    """The header of a delimited file, then whole records, about `_PIECE` bytes at a time; and how many lines before."""
    header, before, rest = _header(file), 0, b""
    yield header, 0
    while more := file.read(_PIECE):
        text = rest + more
        end = _end(text)
        if not end and len(text) > _LONGEST_RECORD:
            line = before + header.count(b"\n") + 1
            raise DataError(
                f"{where}, line {line}: a quote is opened in this line and not closed within "
                f"{len(text) >> 20} MB. Close or remove it."
            )
        if end:
            yield text[:end], before
            before += text.count(b"\n", 0, end)
        rest = text[end:]
    if rest:
        yield rest, before


def _header(file: BufferedIOBase) -> bytes:
    header = line = file.readline()
    quotes = line.count(b'"')
    while quotes % 2 and line and len(header) < _PIECE:
        line = file.readline()
        header, quotes = header + line, quotes + line.count(b'"')
    return header


def _end(text: bytes) -> int:
    """Where the last whole record ends."""
    if b'"' not in text:
        return text.rfind(b"\n") + 1
    letters = np.frombuffer(text, np.uint8)
    quoted = np.logical_xor.accumulate(letters == ord('"'))
    ends = np.flatnonzero((letters == ord("\n")) & ~quoted)
    return int(ends[-1]) + 1 if len(ends) else 0


def _further(error: DataError, where: str, before: int) -> DataError:
    """The same error so many lines later."""
    text = str(error)
    line = re.match(rf"{re.escape(where)}, line (\d+)", text)
    return DataError(f"{where}, line {int(line[1]) + before}{text[line.end() :]}") if line else error
