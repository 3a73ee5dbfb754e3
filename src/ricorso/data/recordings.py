"""Examples that are series of numbers: arrays, and tables with a row for each step of an example."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.example_columns import Asked, ExampleColumns, Found, Recordings
from ricorso.data.example_names import could_be_example, could_be_time
from ricorso.data.labels import labels_of
from ricorso.data.table import column_of, is_missing, listed, numbers_of, text_as_numbers
from ricorso.data.timestamp import could_be_time as holds_times
from ricorso.data.timestamp import could_count, read_times
from ricorso.errors import DataError, UsageError


def recordings_of_arrays(source: Any, where: str = "the data") -> Found:
    """Series from a list of arrays (steps, features) or (steps,), or an array (examples, steps, features).

    Raises DataError for an array of another shape or type, and for infinite values, UsageError for a table of numbers.

    >>> found = recordings_of_arrays([[[1, 2], [3, 4]], [[5, 6]]])
    >>> [array.shape for array in found.inputs], found.columns.features
    ([(2, 2), (1, 2)], ('feature_1', 'feature_2'))
    """
    if isinstance(source, np.ndarray) and source.dtype.kind != "O" and source.ndim != 3:
        hint = " One series of one feature each is x[:, :, None]." if source.ndim == 2 else ""
        raise UsageError(
            f"Series should come as a list of arrays (steps, features), or as an array (examples, steps, features); "
            f"got an array of shape {source.shape}.{hint}"
        )
    ids = [str(i) for i in range(1, len(source) + 1)]
    places = [f"example {i}" for i in ids]
    arrays = [_array(values, where, place) for values, place in zip(source, places, strict=True)]
    count = checked_recordings(arrays, places, where)
    features = tuple(f"feature_{i}" for i in range(1, count + 1))
    return Found(_single(arrays), None, ids, places, ExampleColumns("arrays", False, features=features))


def recordings_of_table(table: pl.DataFrame, where: str, label: tuple[str, ...], asked: Asked) -> Found:
    """Series from a table with a row for each step, a column that says of which example, and a label for each example.

    Raises DataError for a missing example, a label that changes inside an example, and values that are no numbers.
    """
    told = []
    example = asked.example
    if example is None:
        taken = {*label, *asked.features, asked.time}
        names = [name for name in table.columns if name not in taken and could_be_example(name)]
        recurring = [
            name for name in names if table[name].n_unique() < table.height and not table[name].dtype.is_float()
        ]
        if not recurring:
            raise DataError(
                f"{where} has no column that clearly says which rows are one example. It has {listed(table.columns)}. "
                f"Name one with example= (--example)."
            )
        example = recurring[0]
        told.append(f"the rows of one value of '{example}' are an example")
    if missing := table[example].null_count():
        row = int(table[example].is_null().arg_max() or 0) + 1
        raise DataError(
            f"{where}, column '{example}', row {row}: the example is missing, in {missing} of {table.height} rows. "
            f"Write it in, or remove the rows."
        )
    time, features, guessed = step_columns(table, where, {example, *label}, asked.time, asked.features)
    if asked.needs_labels and not label:
        raise DataError(
            f"{where} has no column that is clearly the label. It has {listed(table.columns)}. "
            f"Name one with label= (--label)."
        )
    codes = table[example].rank("dense").to_numpy().astype(np.int64) - 1
    first = np.full(int(codes.max()) + 1, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    place_of = np.empty_like(first)
    place_of[np.argsort(first)] = np.arange(len(first))
    codes = place_of[codes]
    keys = (read_times(table[time], where).values, codes) if time else (codes,)
    order = np.lexsort(keys)
    ends = np.cumsum(np.bincount(codes))
    values = numbers_by_step(table, features, where)[order]
    starts = np.sort(first)
    ids = table[example].gather(starts).cast(pl.String).to_list()
    places = [f"example {name!r}" for name in ids]
    cells = _constant_labels(table, label, codes, starts, places, where, asked.needs_labels)
    inputs = [values[start:end] for start, end in pairwise((0, *ends.tolist()))]
    columns = ExampleColumns("table", False, (), label, example, time, features)
    told += [f"the label is {listed(label)}"] * bool(label and label != asked.label)
    return Found(inputs, cells, ids, places, columns, (*told, *guessed))


def step_columns(
    table: pl.DataFrame, where: str, taken: set[str], time: str | None, features: Sequence[str]
) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """The column of time and those of numbers in a table with a row for each step, with what was guessed.

    Raises DataError for a column that holds mostly numbers but not only, and where there are no numbers.
    """
    for name in (*features, *([time] if time else [])):
        column_of(table, name, where)
    told = []
    free = [name for name in table.columns if name not in taken and name not in features and name != time]
    if time is None:
        usable = (name for name in free if holds_times(table[name]) or could_count(table[name]))
        time = next((name for name in usable if could_be_time(name)), None)
        if time:
            told.append(f"the steps are in the order of '{time}'")
    if features:
        return time, tuple(features), tuple(told)
    free = [name for name in free if name != time]
    found = tuple(name for name in free if _is_mostly_numbers(table[name]))
    if not found:
        raise DataError(f"{where} has no column of numbers for its series. It has {listed(table.columns)}.")
    told.append(f"{'features are' if len(found) > 1 else 'the feature is'} {listed(found)}")
    if rest := [name for name in free if name not in found]:
        told.append(f"{listed(rest)} {'is' if len(rest) == 1 else 'are'} not used")
    return time, found, tuple(told)


def numbers_by_step(table: pl.DataFrame, features: Sequence[str], where: str) -> NDArray[np.float32]:
    """The features of each row, NaN where missing. Raises DataError for text and for infinite values."""
    values = np.empty((table.height, len(features)), np.float32)
    for i, name in enumerate(features):
        with np.errstate(over="ignore"):
            values[:, i] = numbers_of(table, name, where)
        wrong = np.isinf(values[:, i])
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{where}, column '{name}', row {row + 1}: {table[name][row]} is infinite or too large. "
                f"Correct it, or leave it empty if the value is missing."
            )
    return values


def checked_recordings(arrays: Sequence[NDArray[Any]], places: Sequence[str], where: str) -> int:
    """The number of features, the same in all arrays. Raises DataError for other numbers, no steps, infinite values."""
    if not arrays:
        raise DataError(f"{where} holds no examples.")
    count = int(arrays[0].shape[1])
    for array, place in zip(arrays, places, strict=True):
        if array.shape[1] != count:
            raise DataError(
                f"{where}, {place} has {array.shape[1]} features, {places[0]} has {count}. "
                f"All examples should have the same features; fill one that was not measured with NaN."
            )
        if not len(array) or not count:
            raise DataError(
                f"{where}, {place} has no {'features' if len(array) else 'steps'}. Remove it, or give it at least one."
            )
        if np.isinf(array).any():
            step, feature = np.argwhere(np.isinf(array))[0].tolist()
            raise DataError(
                f"{where}, {place}, step {step + 1}, feature {feature + 1}: the value is infinite. "
                f"Correct it, or write NaN if it is missing."
            )
    return count


def _single(arrays: Sequence[NDArray[Any]]) -> Recordings:
    return [np.ascontiguousarray(array, np.float32) for array in arrays]


def _array(values: Any, where: str, place: str) -> NDArray[Any]:
    if isinstance(values, str | bytes) or values is None:
        raise DataError(f"{where}, {place} is {values!r:.40}; numbers (steps, features) were expected, or a text.")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}, {place}: its steps do not have the same number of features ({error}).") from error
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{where}, {place} holds {array.dtype}, not numbers. Convert it, with NaN where values are missing."
        )
    if array.ndim not in (1, 2):
        raise DataError(f"{where}, {place} has shape {array.shape}; (steps, features) was expected.")
    with np.errstate(over="ignore"):
        return array.astype(np.float32).reshape(len(array), -1 if array.size else (array.shape[1:] or (1,))[0])


def _is_mostly_numbers(column: pl.Series) -> bool:
    if column.dtype != pl.String:
        return column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)
    found = text_as_numbers(column)
    return (len(found) - found.null_count()) * 2 > int((~is_missing(column)).sum())


def _constant_labels(
    table: pl.DataFrame,
    label: tuple[str, ...],
    codes: NDArray[np.int64],
    starts: NDArray[np.int64],
    places: Sequence[str],
    where: str,
    needed: bool,
) -> list[Any] | None:
    found = labels_of(table, label, where, needed)
    if found is None:
        return None
    for name in label:
        values = table[name]
        firsts = values.gather(starts).gather(codes)
        differs = ~values.eq_missing(firsts)
        if differs.any() and not needed:
            return None
        if differs.any():
            row = int(differs.arg_max() or 0)
            first, own = (f"'{value}'" if value is not None else "none" for value in (firsts[row], values[row]))
            raise DataError(
                f"{where}, column '{name}', row {row + 1}: the label of {places[codes[row]]} changes from "
                f"{first} to {own}. A label holds for a whole example; correct it."
            )
    return [found[start] for start in starts.tolist()]
