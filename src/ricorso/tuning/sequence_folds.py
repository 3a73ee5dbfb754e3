"""How tagged sequences are checked and cut for cross-validation."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ricorso.bundle import write_file
from ricorso.errors import DataError
from ricorso.tuning.folds import Part, dealt, others, write_table

if TYPE_CHECKING:
    from ricorso.tasks.tag.config import TagConfig
    from ricorso.tasks.tag.data import Labelled

# of the settings of a tagger: where sequences and tags stand in their source
ROLES = ("word_column", "tag_column", "column", "example", "encoding")


def check_sequences(data: Path, validation: Path | None, settings: Mapping[str, Any]) -> Collection[str]:
    """The settings that mean nothing for these sequences, of those that are usually searched.

    Raises DataError for sequences that cannot be read or of which none can be held out, UsageError for settings.
    """
    from ricorso.tasks.tag.data import check_learnable, check_tags, read, scheme_for, split
    from ricorso.tasks.tag.tagset import TagSet

    whole, config = _read(data, settings)
    held_out = None if validation is None else read(validation, config, whole.names)
    scheme = scheme_for(whole, config)
    for one in (whole, held_out):
        if one is not None:
            check_tags(one, scheme, config)
    check_learnable(whole, held_out, TagSet.of(whole.tags, scheme, config.learn_as))
    if held_out is None and config.validation_fraction and split(whole, config)[1] is None:
        raise DataError(f"{data} holds {_count(whole)}, of which none can be held out.{_hint(config)}")
    if whole.series:
        return "word_dropout", "character_hidden"
    return () if config.characters else ("character_hidden",)


def whole_sequences(data: Path, settings: Mapping[str, Any], folds: int, folder: Path) -> list[Part]:
    """Cut tagged data between sequences, every tag in proportion; those held out once are else trained on.

    The parts are written into the folder so that the same settings read them: sentences as JSON lines, series as
    Parquet files. Raises DataError for sequences that cannot be read or are too few.
    """
    from ricorso.tasks.tag.data import scheme_for

    whole, config = _read(data, settings)
    held_out = dealt([tuple(sorted(set(tags))) for tags in whole.tags], folds, config.seed)
    if not all(held_out):
        raise DataError(
            f"{data} holds {_count(whole)}, too few for {folds} folds: each should hold one out and leave others with "
            f"its tags to learn from.{_hint(config)}"
        )
    # found out in all of them, it is the same in each part
    marking = {"scheme": scheme_for(whole, config) or "none"}
    kind = "parquet" if whole.series else "jsonl"
    folder.mkdir(exist_ok=True)
    parts: list[Part] = []
    for fold, rows in enumerate(held_out, 1):
        files = folder / f"{fold}-train.{kind}", folder / f"{fold}-held-out.{kind}"
        for path, chosen in zip(files, (others(rows, len(whole.tags)), rows), strict=True):
            write = _write_series if whole.series else _write_sentences
            write(path, whole.take(chosen), config)
        parts.append(Part(*files, settings=marking))
    return parts


def _read(data: Path, settings: Mapping[str, Any]) -> "tuple[Labelled, TagConfig]":
    from ricorso.tasks.tag.config import TagConfig
    from ricorso.tasks.tag.data import read

    config = TagConfig.of(settings)
    return read(data, config), config


def _write_sentences(path: Path, sentences: "Labelled", config: "TagConfig") -> None:
    # under the names by which the settings look for them, and in characters that every encoding has
    names = config.word_column or "tokens", config.tag_column or "tags"
    pairs = zip(sentences.sequences, sentences.tags, strict=True)
    lines = [json.dumps(dict(zip(names, pair, strict=True))) + "\n" for pair in pairs]
    write_file(path, "".join(lines).encode(config.encoding))


def _write_series(path: Path, series: "Labelled", config: "TagConfig") -> None:
    import numpy as np
    import polars as pl

    values = np.concatenate(series.sequences)
    columns: dict[str, Any] = {name: values[:, place] for place, name in enumerate(series.names)}
    columns[str(config.column)] = [tag for tags in series.tags for tag in tags]
    if config.example is not None:
        columns[config.example] = np.repeat(np.arange(len(series.tags)), [len(tags) for tags in series.tags])
    write_table(path, pl.DataFrame(columns))


def _count(whole: "Labelled") -> str:
    return "a single sequence" if len(whole.tags) == 1 else f"{len(whole.tags)} sequences"


def _hint(config: "TagConfig") -> str:
    if config.column is None or config.example is not None:
        return ""
    return " Name the column that says which rows belong together with --example."
