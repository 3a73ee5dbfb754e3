"""Tables from files, frames and dicts, with errors that say where the trouble is."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.delimited import read_delimited, separator_of
from ricorso.data.file import read_bytes
from ricorso.data.json_lines import read_json_lines
from ricorso.data.text import shown
from ricorso.errors import DataError, UsageError, did_you_mean

Source = str | Path | pl.DataFrame | pl.LazyFrame | Mapping[str, Any] | Any

DELIMITED = (".csv", ".tsv", ".txt")
_SHOWN, _LONG = 8, 60
_SAMPLE = 1000
_JSON_LINES = (".jsonl", ".ndjson")
_KINDS = "CSV (.csv, .tsv, .txt), JSON lines (.jsonl, .ndjson) or Parquet (.parquet), each also as .gz"


def read_table(source: Source, *, separator: str | None = None, encoding: str = "utf-8") -> pl.DataFrame:
    """A table from a file (CSV, JSON lines or Parquet, also .gz), a polars or pandas frame, or a dict of columns.

    The first line of a CSV file names the columns. A column of a CSV file is numeric when every value in it is a
    number or missing (empty, NA, NaN, null, ?); numbers with leading zeros, as in '007', stay text.
    separator: of a CSV file; guessed from its first line when not given.
    Raises DataError for a file that cannot be read as a table, with its line and column where they are known,
    UsageError for another kind of source.

    >>> read_table({"month": ["1949-01", "1949-02"], "passengers": [112, 118]}).shape
    (2, 2)
    """
    if isinstance(source, str | Path):
        table = _from_file(source, separator, encoding)
    elif isinstance(source, pl.LazyFrame):
        table = source.collect()
    elif isinstance(source, pl.DataFrame):
        table = source
    elif isinstance(source, Mapping):
        table = _from_columns(source)
    elif hasattr(source, "to_dict") and hasattr(source, "columns") and hasattr(source, "index"):
        table = _from_columns(_pandas_columns(source))
    else:
        raise UsageError(
            f"A table can be read from a path, a polars or pandas frame or a dict of columns, "
            f"not from {type(source).__name__}."
        )
    if not table.width:
        raise DataError(f"{source_name(source)} has no columns.")
    if not table.height:
        raise DataError(f"{source_name(source)} has columns ({listed(table.columns)}) but no rows. Add them.")
    return table


def scan_table(path: str | Path, *, separator: str | None = None) -> pl.LazyFrame:
    """A CSV or Parquet file as a lazy table, for files larger than memory; types are guessed from the first rows.

    Raises DataError for a file that is missing or of another kind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sales.csv"
    ...     _ = path.write_text("day,sold\\n1,5\\n2,7\\n")
    ...     scan_table(path).select(pl.col("sold").sum()).collect().item()
    12
    """
    path = Path(path)
    kind = kind_of(path)
    if kind in _JSON_LINES:
        raise DataError(f"{path} can only be read whole (read_table); scan_table takes CSV and Parquet.")
    if not path.is_file():
        raise DataError(f"There is no file '{path}'. Check the path.")
    if kind == ".parquet":
        return pl.scan_parquet(path)
    return pl.scan_csv(path, separator=separator or separator_of(path), infer_schema_length=10_000)


def source_name(source: Source) -> str:
    """What a source is called in messages: its path, or 'the table'.

    >>> source_name("sales.csv"), source_name({"y": [1]})
    ('sales.csv', 'the table')
    """
    return str(source) if isinstance(source, str | Path) else "the table"


def column_of(table: pl.DataFrame, name: str, where: str) -> pl.Series:
    """A column by its name. Raises DataError naming the columns there are when it is missing."""
    if name not in table.columns:
        raise DataError(
            f"{where} has no column '{name}'.{did_you_mean(name, table.columns)} It has {listed(table.columns)}."
        )
    return table[name]


def numbers_of(table: pl.DataFrame, name: str, where: str, before: int = 0) -> NDArray[np.float64]:
    """A column as numbers, NaN where missing; `before` rows of the table came earlier.

    Raises DataError with the row of the first value that is no number.
    """
    column = column_of(table, name, where)
    if column.dtype == pl.String:
        found = text_as_numbers(column)
        wrong = (found.is_null() & ~is_missing(column)).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            value = column[row]
            comma = " Write decimals with a point." if "," in value else ""
            raise DataError(
                f"{where}, column '{name}', row {before + row + 1}: {value!r} is not a number.{comma} "
                f"Correct it, or leave the column out."
            )
        column = found
    elif not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise DataError(f"{where}, column '{name}' holds {column.dtype}, not numbers. Leave it out or convert it.")
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def is_missing(texts: pl.Series) -> pl.Series:
    """Where a column of text says in one of the usual ways that there is no value."""
    return texts.is_null() | texts.str.strip_chars().str.to_lowercase().is_in(_MISSING)


_MISSING = ["", "na", "n/a", "nan", "null", "none", "?"]


def text_as_numbers(texts: pl.Series) -> pl.Series:
    """A column of text as numbers, null where a text is none."""
    found = texts.cast(pl.Float64, strict=False)
    if found.null_count() > texts.null_count():
        found = texts.str.strip_chars().cast(pl.Float64, strict=False)
    return found.fill_nan(None)


def _from_file(path: str | Path, separator: str | None, encoding: str) -> pl.DataFrame:
    kind = kind_of(path)
    raw = read_bytes(path)
    if kind in DELIMITED:
        return with_numbers(read_delimited(raw, str(path), separator, encoding))
    if kind in _JSON_LINES:
        return read_json_lines(raw, str(path))
    try:
        return pl.read_parquet(BytesIO(raw))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} cannot be read as a Parquet file, or is damaged: {error}.") from error


def kind_of(path: str | Path) -> str:
    """The kind of a file by its name: its suffix without .gz. Raises DataError for a kind that cannot be read."""
    kind = Path(str(path).removesuffix(".gz")).suffix.lower()
    if kind not in (*DELIMITED, *_JSON_LINES, ".parquet"):
        raise DataError(f"'{path}' is named as no kind of table that can be read. Known are {_KINDS}.")
    return kind


def with_numbers(texts: pl.DataFrame) -> pl.DataFrame:
    """A table of texts with numbers in the columns that hold nothing else."""
    return pl.DataFrame([typed(column) for column in texts])


def typed(texts: pl.Series) -> pl.Series:
    """A column of text as whole numbers or numbers if all of it is, else the text with null where it is empty."""
    if not _all_numbers(texts.head(_SAMPLE)) or not _all_numbers(texts):
        empty = texts == ""
        return texts.set(empty, None) if empty.any() else texts
    found = text_as_numbers(texts)
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() > found.null_count():
        return found
    return texts if texts.str.contains(r"^[+-]?0[0-9]").any() else whole


def _all_numbers(texts: pl.Series) -> bool:
    found = text_as_numbers(texts)
    return found.null_count() == texts.null_count() or bool((found.is_not_null() | is_missing(texts)).all())


def _from_columns(columns: Mapping[str, Any]) -> pl.DataFrame:
    made = [_column(str(name), values) for name, values in columns.items()]
    lengths = {len(column) for column in made}
    if len(lengths) > 1:
        sizes = ", ".join(f"'{column.name}' {len(column)}" for column in made)
        raise DataError(f"The columns of a table must be equally long; these are not: {sizes}.")
    try:
        return pl.DataFrame(made)
    except pl.exceptions.DuplicateError as error:
        raise DataError(f"The table has two columns of the same name: {listed([c.name for c in made])}.") from error


def _column(name: str, values: Any) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.alias(name)
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        if values.ndim != 1:
            raise DataError(f"Column '{name}' has {values.ndim} dimensions; a column has one.")
        return pl.Series(name, values)
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise DataError(f"Column '{name}' is {values!r}; a list or an array of values was expected.")
    try:
        # whole numbers become numbers next to fractions, and text next to text
        made = pl.Series(name, list(values), strict=False)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise DataError(f"Column '{name}' holds values that cannot stand in one column ({error}).") from error
    if made.dtype == pl.Object:
        raise DataError(f"Column '{name}' holds {type(made[0]).__name__}; numbers, texts or times were expected.")
    return made


def _pandas_columns(frame: Any) -> dict[str, Any]:
    """The columns of a pandas frame, and its index where that holds times or names."""
    columns: dict[str, Any] = {}
    if len({str(name) for name in frame.columns}) < len(list(frame.columns)):
        raise DataError(f"The table has two columns of the same name: {listed(map(str, frame.columns))}.")
    index = frame.index.to_numpy()
    if index.dtype.kind in "MO" or frame.index.name is not None:
        columns[str(frame.index.name or "time")] = _plain(index, None)
    for name in frame.columns:
        values = frame[name]
        columns[str(name)] = _plain(values.to_numpy(), values.isna().to_numpy() if hasattr(values, "isna") else None)
    return columns


def _plain(values: NDArray[Any], missing: NDArray[np.bool_] | None) -> Any:
    if values.dtype.kind != "O":
        return values
    nothing = missing if missing is not None else np.zeros(len(values), bool)
    return [None if gone else value for value, gone in zip(values.tolist(), nothing.tolist(), strict=True)]


def listed(names: Iterable[str]) -> str:
    """A few names in quotes.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" if len(name) <= _LONG else shown(name) for name in names[:_SHOWN]) + more
