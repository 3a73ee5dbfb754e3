"""How labelled examples are checked and cut for cross-validation."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ricorso.errors import DataError
from ricorso.tuning.folds import Part, dealt, others, write_table

if TYPE_CHECKING:
    import polars as pl

    from ricorso.data.examples import Examples
    from ricorso.tasks.classify.config import ClassifyConfig

# of the settings of a classifier: where examples and labels stand in their source
ROLES = ("text", "label", "example", "time", "features", "several", "separator", "label_until")
READING = ("encoding", "header", "drop_empty")


def check_examples(data: Path, validation: Path | None, settings: Mapping[str, Any]) -> Collection[str]:
    """The settings that mean nothing for these examples, of those that are usually searched.

    Raises DataError for examples that cannot be read or of which none can be held out, UsageError for settings.
    """
    from ricorso.data.examples import read_examples, split_examples
    from ricorso.tasks.classify.coding import Coding
    from ricorso.tasks.classify.data import continued
    from ricorso.tasks.start import LanguageModel

    examples, config = _read(data, settings)
    # of the labels; a vocabulary is each trial's own
    known = Coding.of(examples, config.model_copy(update={"level": "byte"})).labels
    if validation is not None:
        reading = {name: getattr(config, name) for name in READING}
        read_examples(validation, columns=examples.columns, known=known, **reading)
    elif config.validation_fraction:
        split_examples(examples, config.validation_fraction, config.seed)
    if config.init_from is not None:
        continued(examples, config, LanguageModel.of(config.init_from))
        return "cell", "hidden_size", "num_layers"
    return () if examples.is_text else ("word_dropout",)


def stratified(data: Path, settings: Mapping[str, Any], folds: int, folder: Path) -> list[Part]:
    """Cut examples so that each fold holds out its share of every label, while the others are trained on.

    Whatever they come from, the parts are written as Parquet files into the folder, with a row for each text, or for
    each step of a recording. Raises DataError for examples that cannot be read or are too few.
    """
    examples, config = _read(data, settings)
    assert examples.labels is not None
    held_out = dealt(examples.labels, folds, config.seed)
    if not all(held_out):
        raise DataError(
            f"{examples.where} has {len(examples)} examples, too few for {folds} folds: each should hold one out and "
            "leave another of its label to learn from."
        )
    folder.mkdir(exist_ok=True)
    parts: list[Part] = []
    for fold, rows in enumerate(held_out, 1):
        files = folder / f"{fold}-train.parquet", folder / f"{fold}-held-out.parquet"
        for path, chosen in zip(files, (others(rows, len(examples)), rows), strict=True):
            table, roles = _as_table(examples.take(chosen))
            write_table(path, table)
        parts.append(Part(*files, settings=roles))
    return parts


def _read(data: Path, settings: Mapping[str, Any]) -> "tuple[Examples, ClassifyConfig]":
    from ricorso.data.examples import read_examples
    from ricorso.tasks.classify.config import ClassifyConfig

    config = ClassifyConfig.of(settings)
    return read_examples(data, **{name: getattr(config, name) for name in (*ROLES, *READING)}), config


def _as_table(examples: "Examples") -> "tuple[pl.DataFrame, dict[str, Any]]":
    """Examples as a table, and how it is read as what they are; columns keep their names where they had any."""
    import numpy as np
    import polars as pl

    known = examples.columns
    assert examples.labels is not None
    label = known.label[0] if known.label else _free("label", (*known.text, *known.features))
    # a label as a cell, several as a list of them
    kind = pl.List(pl.String) if examples.several else pl.String
    cells = pl.Series([list(own) if examples.several else own[0] for own in examples.labels], dtype=kind)
    # header: for what else a kept model may read
    roles: dict[str, Any] = {**dict.fromkeys(ROLES), "label": [label], "several": examples.several}
    roles["header"] = known.header
    if examples.is_text:
        text = known.text[0] if known.text else _free("text", (label,))
        texts = pl.Series(examples.inputs, dtype=pl.String)
        return pl.DataFrame({text: texts, label: cells}), roles | {"text": [text]}
    example = known.example or _free("example", (label, known.time, *known.features))
    steps = [len(one) for one in examples.inputs]
    of = np.repeat(np.arange(len(steps)), steps)
    columns: dict[str, Any] = {example: of, label: cells.gather(of)}
    if known.time:
        columns[known.time] = np.concatenate([np.arange(count) for count in steps])
    values = np.concatenate(examples.inputs)
    columns |= {name: values[:, place] for place, name in enumerate(known.features)}
    return pl.DataFrame(columns), roles | {"example": example, "time": known.time, "features": list(known.features)}


def _free(name: str, taken: Collection[str | None]) -> str:
    while name in taken:
        name += "_"
    return name
