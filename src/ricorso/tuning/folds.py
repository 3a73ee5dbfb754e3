"""How data is cut for cross-validation: by task, since what may be held out depends on what the data is."""

import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ricorso.bundle import write_file
from ricorso.data.text import read_text
from ricorso.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from ricorso.data.series import SeriesSet
    from ricorso.tasks.forecast.config import ForecastConfig


# of what a task chooses by its data when it is left open: what has to be alike in all folds
_THE_SAME = ("horizon", "model", "loss", "scaling", "difference")


@dataclass(frozen=True)
class Part:
    """Data to train on and validation data; None leaves it to the task to keep some. settings: how it is read."""

    data: Path
    validation: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> tuple[str, str | None, Mapping[str, Any]]:
        """The part as a `Job` has it."""
        return str(self.data), None if self.validation is None else str(self.validation), self.settings


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
        parts.append(Part(training, held_out))
    return parts


def rolling_origins(data: Path, settings: Mapping[str, Any], folds: int, folder: Path) -> list[Part]:
    """Cut series at several times; each part ends with what the task holds out, and trains on all that lies before.

    The parts are as many steps shorter than one another, counted from the end of each series, as are held out: one
    horizon, or `validation_fraction` of the longest series. They are written as Parquet files into the folder, with all
    covariates. Raises DataError for data that cannot be used or are too short for so many folds.
    """
    from ricorso.tasks.forecast.backtest import as_table, before

    known, config = _series(data, settings)
    assert config.horizon is not None
    apart = max(config.horizon, round((config.validation_fraction or 0) * max(series.steps for series in known.series)))
    folder.mkdir(exist_ok=True)
    parts: list[Part] = []
    for fold in range(folds):
        try:
            shorter = before(known, (folds - 1 - fold) * apart, config.horizon)
            _check_held_out(shorter, config)
        except DataError as error:
            raise DataError(f"{data} is too short for {folds} folds that are {apart} steps apart: {error}") from error
        table, roles = as_table(shorter)
        path = folder / f"{fold + 1}.parquet"
        write_table(path, table)
        read = {name: value for name, value in roles.items() if name in type(config).model_fields}
        parts.append(Part(path, settings={**read, **{name: getattr(config, name) for name in _THE_SAME}}))
    return parts


def check_series(data: Path, settings: Mapping[str, Any]) -> None:
    """Raise DataError for series that cannot be read, or of which nothing can be held out; UsageError for settings."""
    known, config = _series(data, settings)
    try:
        _check_held_out(known, config)
    except DataError as error:
        raise DataError(f"{data}: {error}") from error


def dealt(labels: Sequence[tuple[str, ...]], folds: int, seed: int) -> list[list[int]]:
    """The examples that each fold holds out, every label in proportion.

    Examples with the same labels are laid side by side and dealt like cards. One is held out only where each of its
    labels has another to learn from, so that the only example of a label is always trained on.

    >>> dealt([("a",), ("b",), ("a",), ("b",), ("c",)], 2, seed=0)
    [[0, 3], [1, 2]]
    """
    from ricorso.data.shuffle import shuffled

    counts = Counter(label for own in labels for label in own)
    # among several labels the rarest is the hardest to spread evenly, so it says who is whose neighbour
    rank = {label: place for place, label in enumerate(sorted(counts, key=lambda label: (counts[label], label)))}
    order = shuffled(range(len(labels)), len(labels), seed).tolist()
    order.sort(key=lambda row: sorted(rank[label] for label in labels[row]))
    held_out: list[list[int]] = []
    for fold in range(folds):
        left, own = counts.copy(), []
        for row in sorted(order[fold::folds]):
            if all(left[label] > 1 for label in labels[row]):
                own.append(row)
                left.subtract(labels[row])
        held_out.append(own)
    return held_out


def others(rows: Collection[int], total: int) -> list[int]:
    """Which of so many rows are not among these.

    >>> others([0, 2], 4)
    [1, 3]
    """
    without = set(rows)
    return [row for row in range(total) if row not in without]


def write_table(path: Path, table: "pl.DataFrame") -> None:
    """Write a table as a Parquet file, whole or not at all. Raises OSError."""
    content = io.BytesIO()
    table.write_parquet(content)
    write_file(path, content.getvalue())


def _series(data: Path, settings: Mapping[str, Any]) -> "tuple[SeriesSet, ForecastConfig]":
    from ricorso.tasks.forecast.choice import chosen
    from ricorso.tasks.forecast.config import ForecastConfig
    from ricorso.tasks.forecast.task import read

    config = ForecastConfig.of(settings)
    known = read(data, config)
    return known, chosen(known, config)[0]


def _check_held_out(known: "SeriesSet", config: "ForecastConfig") -> None:
    from ricorso.tasks.forecast.data import prepare

    if prepare(known, config).validation is None:
        raise DataError(
            f"no series is long enough to hold out {config.horizon} steps for validation; the longest has "
            f"{max(series.steps for series in known.series)}. Give longer series or a smaller horizon."
        )
