"""Labelled examples in a table: a text in each row, or a series in the rows of an example."""

from dataclasses import replace

import polars as pl

from ricorso.data.example_columns import Asked, ExampleColumns, Found
from ricorso.data.example_names import best_label, best_text, could_be_example
from ricorso.data.labels import as_label, labels_of
from ricorso.data.recordings import recordings_of_table
from ricorso.data.table import column_of, listed, with_numbers
from ricorso.errors import DataError, UsageError


def examples_of_table(table: pl.DataFrame, where: str, asked: Asked, header: bool = True, texts: bool = False) -> Found:
    """The examples of a table. header: whether its columns have names of their own. texts: numbers stand as texts.

    Raises DataError for a column that is not there or cannot be guessed, UsageError for roles that contradict.
    """
    table = table.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    if not table.height:
        raise DataError(f"{where} has columns ({listed(table.columns)}) but no rows. Add them.")
    for name in asked.names:
        if name in table.columns or name not in asked.optional:
            column_of(table, name, where)
        if asked.names.count(name) > 1:
            raise UsageError(f"Column '{name}' cannot have two roles. Give it as one of text, label, example, time.")
    if asked.example not in table.columns:
        asked = replace(asked, example=None)
    if asked.text and (asked.features or asked.time):
        raise UsageError(
            "Examples are texts or series: give text= (--text), or features= and time= (--features, --time), not both."
        )
    label = _label(table, asked)
    text, is_series = _text(table, asked, label)
    if is_series:
        return recordings_of_table(with_numbers(table) if texts else table, where, label, asked)
    if not text:
        raise DataError(_unclear(table, where, label))
    if not label:
        label = _rest_label(table, asked, text)
    if not label and asked.needs_labels:
        raise DataError(
            f"{where} has no column that is clearly the label. It has {listed(table.columns)}. "
            f"Name one with label= (--label)."
        )
    if not header and not asked.text:
        text = tuple(
            name for name in table.columns if name in text or (name not in label and _holds_sentences(table[name]))
        )
    return _texts(table, where, asked, text, label, header)


def _texts(
    table: pl.DataFrame, where: str, asked: Asked, text: tuple[str, ...], label: tuple[str, ...], header: bool
) -> Found:
    names = [name for name in table.columns if name not in text and name not in label]
    example = asked.example or next((name for name in names if _names_rows(table[name], header)), None)
    told = []
    if not header:
        told.append("the first line is an example and names no columns; they are called column_1 and so on")
    if text != asked.text:
        told.append(f"the text is {listed(text)}" + (", joined by a blank" if len(text) > 1 else ""))
    if label and label != asked.label:
        told.append(f"the label is {listed(label)}")
    if example and not asked.example:
        told.append(f"'{example}' names the examples")
    if rest := [name for name in names if name != example]:
        told.append(f"{listed(rest)} {'is' if len(rest) == 1 else 'are'} not used")
    for name in text:
        if table[name].dtype.is_nested():
            raise DataError(
                f"{where}, column '{name}' holds {table[name].dtype}, not texts. Name another with text= (--text)."
            )
    parts = [table[name].cast(pl.String).fill_null("").to_list() for name in text]
    inputs = [" ".join(filter(None, row)) for row in zip(*parts, strict=True)] if len(parts) > 1 else parts[0]
    numbers = [str(i) for i in range(1, table.height + 1)]
    ids = (
        [as_label(value) or number for value, number in zip(table[example], numbers, strict=True)]
        if example
        else numbers
    )
    columns = ExampleColumns("table", True, text, label, example, header=header)
    cells = labels_of(table, label, where, asked.needs_labels)
    return Found(inputs, cells, ids, [f"row {i}" for i in numbers], columns, tuple(told))


def _label(table: pl.DataFrame, asked: Asked) -> tuple[str, ...]:
    if asked.label:
        return asked.label
    name = best_label(name for name in table.columns if name not in asked.names and not _has_fractions(table[name]))
    return (name,) if name else ()


def _text(table: pl.DataFrame, asked: Asked, label: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """The columns of text, and whether the table holds series instead."""
    if asked.text:
        return asked.text, False
    if asked.features or asked.time:
        return (), True
    free = [name for name in table.columns if name not in label and name != asked.example]
    words = [name for name in free if table[name].dtype == pl.String and not _all_numbers(table[name])]
    if named := best_text(words):
        return named, False
    numeric = [name for name in free if name not in words]
    marks = [asked.example] if asked.example else [name for name in table.columns if could_be_example(name)]
    recurs = any(table[name].n_unique() < table.height for name in marks)
    if recurs and any(name not in marks for name in numeric):
        return (), True
    # a column whose values come again and again is no text
    words = [name for name in words if table[name].n_unique() * 2 > table.height]
    words = [name for name in words if not could_be_example(name)] or words
    if not words:
        return (), False
    longest = max(words, key=lambda name: table[name].str.len_chars().mean() or 0)
    return (longest,), False


def _rest_label(table: pl.DataFrame, asked: Asked, text: tuple[str, ...]) -> tuple[str, ...]:
    """The one column beside the text, or else the one with the fewest different values, if these come again."""
    free = [name for name in table.columns if name not in text and name != asked.example]
    free = [name for name in free if not table[name].dtype.is_float()]
    free = [name for name in free if table[name].n_unique() > 1] or free
    free = [name for name in free if not could_be_example(name)] if len(free) > 1 else free
    if not free:
        return ()
    best = min(free, key=lambda name: table[name].n_unique())
    different = table[best].n_unique()
    return (best,) if different < table.height or (len(free) == 1 and asked.needs_labels) else ()


def _names_rows(column: pl.Series, header: bool) -> bool:
    if column.dtype.is_float() or column.dtype.is_nested() or column.null_count():
        return False
    if header:
        return could_be_example(column.name) and column.n_unique() == len(column)
    return column.n_unique() == len(column) and not column.cast(pl.String).str.contains(" ").any()


def _holds_sentences(column: pl.Series) -> bool:
    return column.dtype == pl.String and (column.str.contains(" ").sum() or 0) * 2 > len(column)


def _has_fractions(column: pl.Series) -> bool:
    return column.dtype.is_float() and bool((column != column.floor()).any())


def _all_numbers(column: pl.Series) -> bool:
    return column.cast(pl.Float64, strict=False).null_count() == column.null_count()


def _unclear(table: pl.DataFrame, where: str, label: tuple[str, ...]) -> str:
    beside = f" beside the label {listed(label)}" if label else ""
    return (
        f"{where} has neither a column of texts nor a column that says which rows belong to one series{beside}. "
        f"It has {listed(table.columns)}. Name the text with text= (--text), or the column "
        f"of the series with example= (--example)."
    )
