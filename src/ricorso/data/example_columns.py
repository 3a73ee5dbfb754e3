"""Where labelled examples stand in their source: its layout and the roles of its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from ricorso.errors import RunError

Layout = Literal["table", "lines", "prefixed", "folder", "files", "series", "arrays"]
Recordings = list[NDArray[np.float32]]


@dataclass(frozen=True)
class ExampleColumns:
    """The layout of a source of examples and the roles of its columns, so that another source is read the same way.

    layout: "table" has columns; "lines" are `LABEL text`; "prefixed" are `__label__LABEL text`; "folder" has a
    subfolder for each label; "files" has a file for each label or series; "series" is a `.ts` file; "arrays" are lists.
    text, label: several columns of text are joined; several columns of labels hold 0 or 1 each. features: of series.
    header: whether the first line of a text file names the columns. separator: between several labels of an example.
    label_until: labels are cut where this stands. is_text: whether examples are texts or series of numbers.
    """

    layout: Layout
    is_text: bool
    text: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    example: str | None = None
    time: str | None = None
    features: tuple[str, ...] = ()
    header: bool = True
    several: bool = False
    separator: str | None = None
    label_until: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The roles as data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The roles from their data. Raises RunError when the data do not describe any."""
        right = set(data) == {field.name for field in fields(cls)} and data["layout"] in get_args(Layout)
        right = right and all(isinstance(data[name], bool) for name in ("is_text", "header", "several"))
        right = right and all(_is_names(data[name]) for name in ("text", "label", "features"))
        names = ("example", "time", "separator", "label_until")
        if not right or any(not isinstance(data[name], str | None) for name in names):
            raise RunError("The column roles of the examples do not hold together; the run folder is damaged.")
        made: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return cls(**made)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


@dataclass(frozen=True)
class Asked:
    """What the user said about the columns; what is empty is guessed.

    optional: columns of labels that need not be there, because a model reads them from new data.
    """

    text: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    example: str | None = None
    time: str | None = None
    features: tuple[str, ...] = ()
    needs_labels: bool = True
    optional: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that were named."""
        single = tuple(name for name in (self.example, self.time) if name)
        return (*self.text, *self.label, *single, *self.features)


@dataclass
class Found:
    """Examples as they stand in a source: labels are cells that are yet to be read, None where there are none.

    places: what each example is called in messages, such as 'line 7'.
    """

    inputs: list[str] | Recordings
    cells: list[Any] | None
    ids: Sequence[str]
    places: Sequence[str]
    columns: ExampleColumns
    told: tuple[str, ...] = ()


def some(places: Sequence[str], shown: int = 3) -> str:
    """The first few of many places.

    >>> some(["row 2", "row 5", "row 6", "row 9"])
    'row 2, row 5, row 6 and 1 more'
    """
    more = f" and {len(places) - shown} more" if len(places) > shown else ""
    return ", ".join(places[:shown]) + more
