"""Labelled examples for a classifier: texts or series of numbers, from files, folders, tables and arrays."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ricorso.data.example_columns import Asked, ExampleColumns
from ricorso.data.example_source import checked_texts, found_in, labels_beside, name_of
from ricorso.data.labels import as_label, is_list, read_labels
from ricorso.data.roles import as_names
from ricorso.data.shuffle import shuffled
from ricorso.data.table import listed
from ricorso.data.text import shown
from ricorso.errors import DataError, UsageError

__all__ = ["ExampleColumns", "Examples", "read_examples", "split_examples"]

Labels = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples to learn from or to classify.

    inputs: texts, or an array (steps, features) for each series, NaN where a value is missing.
    labels: those of each example; None where the source has none. ids: what each example is called, unique or not.
    features: names of the features of series. several: whether an example may have several labels, or none.
    told: what was guessed, in sentences. where: what the source is called.
    """

    inputs: list[str] | list[NDArray[np.float32]]
    labels: Labels | None
    ids: tuple[str, ...]
    features: tuple[str, ...]
    several: bool
    columns: ExampleColumns
    told: tuple[str, ...]
    where: str

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def is_text(self) -> bool:
        """Whether the examples are texts."""
        return self.columns.is_text

    def counts(self) -> dict[str, int]:
        """How many examples have each label; labels in alphabetical order, whole numbers in theirs.

        >>> read_examples(["good", "bad", "fine"], ["10", "9", "10"]).counts()
        {'9': 1, '10': 2}
        """
        found = Counter(label for labels in self.labels or () for label in set(labels))
        whole = all(label.isdecimal() for label in found)
        return {label: found[label] for label in sorted(found, key=lambda label: (int(label) if whole else 0, label))}

    def take(self, rows: Sequence[int]) -> "Examples":
        """Some of the examples, by their places."""
        labels = None if self.labels is None else tuple(self.labels[row] for row in rows)
        inputs: Any = [self.inputs[row] for row in rows]
        return replace(self, inputs=inputs, labels=labels, ids=tuple(self.ids[row] for row in rows))


def read_examples(
    source: Any,
    labels: Any = None,
    *,
    text: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    example: str | None = None,
    time: str | None = None,
    features: Sequence[str] | None = None,
    several: bool | None = None,
    separator: str | None = None,
    label_until: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    drop_empty: bool = False,
    columns: ExampleColumns | None = None,
    known: Collection[str] = (),
    needs_labels: bool = True,
) -> Examples:
    """Examples from a file, a folder, a table, a list of texts, or arrays of numbers.

    source: a path (CSV, TSV, JSON lines, Parquet, lines `LABEL text` or `__label__LABEL text`, `.ts`; also .gz; - for
    standard input), a folder (a subfolder for each label, a file of texts for each label, or tables), a frame or dict
    of columns, a list of texts, a list of arrays (steps, features), or an array (examples, steps, features).
    labels: beside the source, one or a list for each example, or a matrix of 0 and 1.
    text, label, example, time, features: columns of a table; guessed when left out, and told. Several columns of text
    are joined by a blank, several columns of labels hold 0 or 1. example: of which series a row is.
    several, separator: whether an example may have several labels, and what stands between them in a cell.
    label_until: labels are cut where this stands, as in "DESC:manner" with ":".
    header: whether the first line of a text file names the columns. drop_empty: leave empty texts out.
    columns: how the data of training were read, to read others the same way. known: labels that a model knows: others
    are refused, and lines `LABEL text` told from texts alone. needs_labels: False where labels may be missing.
    Raises DataError for a source that cannot be read as examples, UsageError for arguments that contradict.

    >>> examples = read_examples({"review": ["good", "bad", "fine"], "stars": [5, 1, 4]})
    >>> examples.inputs, examples.labels, examples.told
    (['good', 'bad', 'fine'], (('5',), ('1',), ('4',)), ("the text is 'review'", "the label is 'stars'"))
    """
    asked = Asked(as_names(text), as_names(label), example, time, as_names(features), needs_labels and labels is None)
    where = name_of(source)
    if columns is not None:
        several, separator = columns.several, columns.separator
        label_until = label_until or columns.label_until
    found = found_in(source, where, asked, header, encoding, columns, known)
    if columns is not None and columns.is_text != found.columns.is_text:
        wanted, got = ("texts", "series of numbers")[:: 1 if columns.is_text else -1]
        raise DataError(f"{where} holds {got}; the model was trained on {wanted}.")
    if columns is not None and len(columns.features) != len(found.columns.features):
        count, learnt = len(found.columns.features), len(columns.features)
        raise DataError(
            f"{where} has {count} feature{'s' * (count != 1)} at each step, the model was trained on {learnt} "
            f"({listed(columns.features)}). Give the same features; fill one that was not measured with NaN."
        )
    if labels is not None:
        found.cells = labels_beside(labels, len(found.inputs), where)
    if found.columns.is_text:
        found = checked_texts(found, where, drop_empty)
    if found.cells is None and needs_labels:
        raise DataError(f"{where} has no labels. Give them with labels=, or in a column named by label= (--label).")
    cells = found.cells
    if cells is not None and not needs_labels and not several and not all(map(_is_one, cells)):
        cells = None
    made = replace(found.columns, several=bool(several), separator=separator, label_until=label_until)
    read = None
    if cells is not None:
        read = read_labels(cells, found.places, where, several, separator, label_until)
        made = replace(made, several=read.several, separator=read.separator)
    told = (*found.told, *(read.told if read else ()))
    own = read.labels if read else None
    if own is not None and needs_labels and known:
        _refuse_unseen(own, found.places, known, where)
    return Examples(found.inputs, own, tuple(found.ids), made.features, made.several, made, told, where)


def _is_one(cell: Any) -> bool:
    """Whether a cell holds a label, and not several."""
    return len(cell) == 1 if is_list(cell) else as_label(cell) != ""


def _refuse_unseen(labels: Labels, places: Sequence[str], known: Collection[str], where: str) -> None:
    for own, place in zip(labels, places, strict=True):
        for label in own:
            if label not in known:
                raise DataError(
                    f"{where}, {place}: the label {shown(label)} was not there in training. Known: {listed(known)}. "
                    f"Correct it, leave the example out, or train anew with such examples."
                )


def split_examples(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Examples for training and examples held out, drawn by the seed; both keep their order.

    One label each: every label gives its share, as near as whole examples allow. Each label keeps an example in
    training. Raises UsageError for a fraction that is not between 0 and 1, DataError where none can be held out.

    >>> train, held_out = split_examples(read_examples(list("abcdef"), [0, 1, 0, 1, 0, 1]), 0.3, seed=1)
    >>> len(train), sorted(held_out.labels)
    (4, [('0',), ('1',)])
    """
    if not 0 < fraction < 1:
        raise UsageError(f"The fraction of examples held out should be between 0 and 1, got {fraction}.")
    total = len(examples)
    wanted = max(1, round(fraction * total))
    labels = examples.labels or ((),) * total
    order = shuffled(range(total), total, seed).tolist()
    if examples.labels is not None and not examples.several:
        order = _in_shares(order, labels)
    left = Counter(label for own in labels for label in own)
    held: set[int] = set()
    for row in order:
        if len(held) < min(wanted, total - 1) and all(left[label] > 1 for label in labels[row]):
            held.add(row)
            left.subtract(labels[row])
    if not held:
        column = f" (column {listed(examples.columns.label)})" if examples.columns.label else ""
        raise DataError(
            f"{examples.where}: none of the {total} examples can be held out for validation, since each label{column} "
            f"has only one. Give more examples, validation data of their own (--valid), or none "
            f"(validation_fraction=0, --validation-fraction 0)."
        )
    return examples.take([i for i in range(total) if i not in held]), examples.take(sorted(held))


def _in_shares(order: list[int], labels: Labels) -> list[int]:
    """The order changed so that its beginning, however long, holds of each label its share."""
    counts = Counter(labels)
    seen: Counter[tuple[str, ...]] = Counter()
    dues = []
    for row in order:
        dues.append((seen[labels[row]] + 0.5) / counts[labels[row]])
        seen[labels[row]] += 1
    return [row for _, row in sorted(zip(dues, order, strict=True), key=lambda pair: pair[0])]
