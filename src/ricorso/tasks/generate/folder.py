"""What the generate task keeps in a run folder besides its weights, and how it finds its way back in."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ricorso import bundle
from ricorso.data.vocabulary import Vocabulary
from ricorso.equations import Cell, portable
from ricorso.errors import CellError, RunError, UsageError
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.data import Source, check_same, read_source, read_vocabulary

NEEDED = (bundle.CONFIG, bundle.CELL, bundle.VOCABULARY)


def create(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a new run folder. Raises UsageError when it is in use, RunError when the disk refuses."""
    try:
        bundle.write_folder(folder, files)
    except OSError as error:
        raise RunError(f"'{folder}' could not be written: {error.strerror}.") from error


def describe(
    config: GenerateConfig,
    cell: Cell,
    vocabulary: Vocabulary,
    data: Mapping[str, Any],
) -> dict[str, bytes]:
    """The files of a run that say what it is. data: the fingerprints of its texts."""
    facts = {
        "task": "generate",
        "settings": config.model_dump(),
        "data": dict(data),
        "versions": {
            "ricorso": version("ricorso"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    }
    return {
        bundle.CONFIG: bundle.to_json(facts),
        bundle.CELL: bundle.to_json(portable.to_json(cell)),
        bundle.VOCABULARY: bundle.to_json(vocabulary.to_json()),
    }


def copies(source: Source, validation: Source | None) -> dict[str, bytes]:
    """The texts that are in no file of their own, so that training can go on without them being given again."""
    named = ((bundle.TEXT, source), (bundle.VALIDATION_TEXT, validation))
    return {name: text.text.encode() for name, text in named if text and text.path is None}


def read_settings(folder: Path) -> tuple[dict[str, Any], GenerateConfig, Cell, Vocabulary]:
    """What config.json says, and a run's settings, cell and vocabulary. Raises RunError when they cannot be used."""
    facts = bundle.read_json(folder / bundle.CONFIG)
    try:
        config = GenerateConfig.of(facts["settings"]).resolved()
        cell = portable.from_json(bundle.read_json(folder / bundle.CELL))
        _ = facts["data"]["text"], facts["data"]["validation"]
    except (KeyError, TypeError, UsageError, CellError) as error:
        raise RunError(f"The settings of '{folder}' cannot be used: {error}") from error
    return facts, config, cell, read_vocabulary(bundle.read_json(folder / bundle.VOCABULARY))


def find_again(copy: Path, text: str | Path | None, fingerprint: dict[str, Any], config: GenerateConfig) -> Source:
    """The text of a run: `text` if it is given, else where it was, else the run's own copy.

    Raises DataError when it cannot be read, RunError when it is another text.
    """
    if text is None and fingerprint["path"] is None:
        try:
            source = Source(copy.read_bytes().decode(), None)
        except (OSError, ValueError) as error:
            raise RunError(f"'{copy}' cannot be read ({error}); give the text that the run was trained on.") from error
    else:
        source = read_source(Path(fingerprint["path"]) if text is None else text, config.encoding)
    check_same(source, fingerprint)
    return source
