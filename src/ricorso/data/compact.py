"""Columns of a table that comes in pieces, each kept in a form that takes little memory."""

from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.table import numbers_of, typed
from ricorso.data.timestamp import read_times
from ricorso.errors import DataError

# dates that are read the same way whatever stands in other rows
_PLAIN = r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?"


class Kept(Protocol):
    """A column that is kept while the table comes in pieces."""

    def add(self, table: pl.DataFrame, before: int) -> None:
        """Take the column of a piece, before which so many rows came."""

    def whole(self) -> pl.Series:
        """The column of all rows; it is kept no longer."""


class Numbers:
    """A column of numbers, NaN where missing; exact: in double precision."""

    def __init__(self, where: str, first: pl.Series, exact: bool = True) -> None:
        self._where, self._name, self._type = where, first.name, pl.Float64 if exact else pl.Float32
        self._parts: list[pl.Series] = []

    def add(self, table: pl.DataFrame, before: int) -> None:
        found = numbers_of(table, self._name, self._where, before)
        self._parts.append(pl.Series(self._name, found).cast(self._type))

    def whole(self) -> pl.Series:
        return _joined(self._parts)


class Words:
    """A column of few different values, which are numbered: names of series, or what is constant in each of them.

    names: the values are names, even where they are numbers. texts: numbers stand there as texts.

    >>> words = Words("the table", pl.Series("city", ["Bonn"]))
    >>> words.add(pl.DataFrame({"city": ["Bonn", "Rome", "Bonn"]}), 0)
    >>> words.whole().dtype, words.whole().to_list()
    (Enum(categories=['Bonn', 'Rome']), ['Bonn', 'Rome', 'Bonn'])
    """

    def __init__(self, where: str, first: pl.Series, names: bool = False, texts: bool = False) -> None:
        self._name, self._names, self._texts = first.name, names, texts
        self._type = pl.String if texts or isinstance(first.dtype, pl.Enum | pl.Categorical) else first.dtype
        self._numbers = pl.DataFrame(schema={"value": self._type, "number": pl.UInt32})
        self._parts: list[pl.Series] = []

    def add(self, table: pl.DataFrame, before: int) -> None:
        column = table[self._name].cast(self._type).alias("value").to_frame()
        new = column.unique(maintain_order=True).drop_nulls()
        new = new.join(self._numbers, on="value", how="anti", maintain_order="left")
        if new.height:
            first = self._numbers.height
            numbers = pl.Series("number", np.arange(first, first + new.height, dtype=np.uint32))
            self._numbers = pl.concat([self._numbers, new.with_columns(numbers)])
        self._parts.append(column.join(self._numbers, on="value", how="left", maintain_order="left")["number"])

    def whole(self) -> pl.Series:
        numbers = _joined(self._parts)
        values = self._numbers["value"]
        if self._texts:
            values = typed(values)
        if not self._names and values.dtype != pl.String:
            return values.gather(numbers).alias(self._name)
        # numbers may be written in several ways
        words = values.cast(pl.String).alias("word").to_frame()
        different = words.unique(maintain_order=True).drop_nulls()["word"]
        if len(different) < len(words):
            place = pl.DataFrame({"word": different, "place": np.arange(len(different), dtype=np.uint32)})
            places = words.join(place, on="word", how="left", maintain_order="left")["place"]
            numbers = places.gather(numbers)
        return different.cast(pl.Enum(different)).gather(numbers).alias(self._name)


class Times:
    """A column of times: as dates or numbers where each row can be read by itself, else as numbered texts.

    texts: numbers stand there as texts.
    """

    def __init__(self, where: str, first: pl.Series, texts: bool = False) -> None:
        self._where, self._name, self._texts = where, first.name, texts
        self._words: Words | None = None
        self._first = ""
        self._parts: list[pl.Series] = []
        if first.dtype == pl.String:
            self._first = str(first.drop_nulls().first() or "")
            self._plain = _PLAIN + ("Z$" if self._first.endswith("Z") else "$")
            if not first.drop_nulls().str.contains(self._plain).all():
                self._words = Words(where, first, names=True)
        elif isinstance(first.dtype, pl.Enum | pl.Categorical):
            self._words = Words(where, first, names=True)

    def add(self, table: pl.DataFrame, before: int) -> None:
        if self._words:
            self._words.add(table, before)
        elif self._first:
            self._parts.append(self._dates(table[self._name], before))
        else:
            self._parts.append(self._numbers(table[self._name], before) if self._texts else table[self._name])

    def whole(self) -> pl.Series:
        if self._words:
            return self._words.whole()
        if len({part.dtype for part in self._parts}) > 1:
            self._parts[:] = [part.cast(pl.Float64) for part in self._parts]
        return _joined(self._parts).alias(self._name)

    def _dates(self, texts: pl.Series, before: int) -> pl.Series:
        values = self._plain_dates(texts)
        if values is None:  # something is wrong; as many rows before as there were give it its number
            column = pl.concat([pl.Series(self._name, [self._first]).new_from_index(0, before), texts])
            values = read_times(column, self._where).values[before:]
        return pl.Series(self._name, values).cast(pl.Datetime("us"))

    def _plain_dates(self, texts: pl.Series) -> NDArray[np.int64] | None:
        """Microseconds since 1970; None where a text is missing or no date that is written like the first."""
        if texts.null_count() or not texts.str.contains(self._plain).all():
            return None
        try:
            return read_times(texts, self._where, counts=False).values
        except DataError:
            return None

    def _numbers(self, texts: pl.Series, before: int) -> pl.Series:
        found = typed(texts)
        if found.dtype != pl.String:
            return found
        wrong = next(i for i, text in enumerate(texts) if typed(texts[i : i + 1]).dtype == pl.String)
        raise DataError(
            f"{self._where}, column '{self._name}', row {before + wrong + 1}: '{texts[wrong]}' is not a time; the rows "
            f"before have numbers. Write all times in one way."
        )


def _joined(parts: list[pl.Series]) -> pl.Series:
    """The parts as one, which are given up for it."""
    whole = pl.concat(parts, rechunk=True)
    parts[:] = [whole]
    return whole
