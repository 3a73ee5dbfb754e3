"""What a task can begin with: the vectors and layers of a language model that has read much text."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ricorso import bundle
from ricorso.data.vocabularies import Written, read_vocabulary
from ricorso.equations import Cell, portable
from ricorso.errors import CellError, RunError, UsageError

_LAYERS = "recurrent."


def vector_scale(tied: bool, width: int) -> float:
    """What vectors of symbols are multiplied by on their way in: tied ones are short, to suit the scores."""
    return width**0.5 if tied else 1.0


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """The lower part of a run of `train generate`.

    settings: its settings by name; vectors: as the first layer reads them, (symbols, width); layers: the parameters of
    the recurrent layers by name; digest: of the file of weights.
    """

    cell: Cell
    settings: dict[str, Any]
    vocabulary: Written
    vectors: NDArray[np.float32]
    layers: dict[str, NDArray[np.float32]]
    digest: str

    @classmethod
    def of(cls, folder: str | Path) -> Self:
        """From a run folder, verified.

        Raises RunError when it is damaged or unfinished, UsageError when it is no language model with vectors.
        """
        folder = Path(folder)
        names = bundle.verify(folder, (bundle.CONFIG, bundle.CELL, bundle.VOCABULARY))
        facts = bundle.read_json(folder / bundle.CONFIG)
        if facts.get("task") != "generate":
            raise UsageError(f"'{folder}' is a run of '{facts.get('task')}'; init_from needs one of 'train generate'.")
        if bundle.MODEL not in names:
            raise RunError(f"'{folder}' holds no model yet. Finish its training: ricorso resume {folder}")
        arrays = bundle.read_tensors(folder / bundle.MODEL)
        if "embedding.weight" not in arrays:
            raise UsageError(
                f"The run '{folder}' reads symbols without vectors. Train it with --embedding-size 128, or another."
            )
        try:
            settings = dict(facts["settings"])
            vectors = arrays["embedding.weight"] * vector_scale(bool(settings["tied"]), settings["embedding_size"])
            cell = portable.from_json(bundle.read_json(folder / bundle.CELL))
        except (KeyError, TypeError, CellError) as error:
            raise RunError(f"The settings of '{folder}' cannot be used: {error}") from error
        layers = {name.removeprefix(_LAYERS): own for name, own in arrays.items() if name.startswith(_LAYERS)}
        vocabulary = read_vocabulary(bundle.read_json(folder / bundle.VOCABULARY))
        digest = hashlib.sha256((folder / bundle.MODEL).read_bytes()).hexdigest()
        return cls(cell, settings, vocabulary, vectors.astype(np.float32), layers, digest)
