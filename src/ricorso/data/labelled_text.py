"""Text files of labelled examples: delimited, with and without a header, `LABEL text` and `__label__LABEL text`."""

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import polars as pl

from ricorso.data.delimited import read_delimited
from ricorso.data.example_names import could_be_label, could_be_text
from ricorso.errors import DataError

PREFIX = "__label__"
_SEPARATORS = (",", ";", "|")
_SAMPLE = 1000
_LOOKED_AT = 1 << 16
_WORD = re.compile(r"([^ \t]+)[ \t]*")
_LONGEST_NAME = 60
_LONGEST_FIELD = (1 << 31) - 1


def delimiter_of(text: str, kind: str, asked: Collection[str]) -> str | None:
    """What separates the fields of a text file, None where its lines have no fields.

    kind: the suffix of its name. asked: names of columns that the first line may hold.
    """
    first = _first_line(text)
    if kind == ".tsv" or "\t" in first:
        return "\t"
    best = _best_separator(text, first)
    if kind == ".csv":
        return best
    names = [name.strip().strip('"') for name in first.split(best)]
    named = any(could_be_label(name) for name in names) and any(could_be_text(name) for name in names)
    return best if named or any(name in asked for name in names) else None


def _best_separator(text: str, first: str) -> str:
    """The mark that all lines hold equally often, the first of these in a line; else the most frequent in the first."""
    sample = "".join(text[:_LOOKED_AT].split('"')[::2]).split("\n")
    lines = [line for line in (sample if len(text) <= _LOOKED_AT else sample[:-1]) if line.strip()]
    even = [mark for mark in _SEPARATORS if lines and mark in lines[0] and len({one.count(mark) for one in lines}) == 1]
    if even:
        return min(even, key=lines[0].index)
    outside = "".join(first.split('"')[::2])
    return max(_SEPARATORS, key=outside.count)


def read_fields(
    text: str, where: str, delimiter: str, header: bool | None, asked: Collection[str]
) -> tuple[pl.DataFrame, bool]:
    """A table of texts, null where empty, and whether its first line names the columns; guessed when None.

    Columns without a name are called column_1 and so on. Quotes are part of the text in files separated by tabs whose
    quotes do not enclose fields. Raises DataError for lines with more or fewer fields than the first, and open quotes.
    """
    literal = delimiter == "\t" and _quotes_are_text(text)
    if header is None:
        header = _has_header([row for _, row in islice(_rows(text, where, delimiter, literal), _SAMPLE)], asked)
    if header and not literal:
        return read_delimited(text.encode(), where, delimiter), True
    rows: list[list[str | None]] = []
    for line, row in _rows(text, where, delimiter, literal):
        if rows and len(row) != len(rows[0]):
            found = f"{len(row)} field{'s' * (len(row) != 1)}"
            raise DataError(
                f"{where}, line {line} has {found}, the first line has {len(rows[0])}. "
                f"Correct the line, or put quotes around a text that holds {delimiter!r}."
            )
        rows.append([field or None for field in row])
    names = [f"column_{i}" for i in range(1, len(rows[0]) + 1)]
    if header:
        names = [(field or "").strip() or name for field, name in zip(rows.pop(0), names, strict=True)]
        if len(set(names)) < len(names):
            raise DataError(f"{where}, line 1: two columns are named alike. Rename or remove one.")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row"), header


def read_prefixed(text: str) -> tuple[list[int], list[list[str]], list[str]]:
    """The numbers, labels and texts of lines that start with `__label__LABEL`, once or several times.

    >>> read_prefixed("__label__sport __label__news They won.\\n")
    ([1], [['sport', 'news']], ['They won.'])
    """
    numbers, labels, texts = [], [], []
    for number, line in _lines(text):
        own: list[str] = []
        begin = 0
        while line.startswith(PREFIX, begin) and (word := _WORD.match(line, begin)):
            own.append(word[1].removeprefix(PREFIX))
            begin = word.end()
        numbers.append(number)
        labels.append(own)
        texts.append(line[begin:])
    return numbers, labels, texts


def read_lines(
    text: str, where: str, known: Collection[str], needs_labels: bool
) -> tuple[list[int], list[str] | None, list[str]]:
    """The numbers, labels and texts of lines `LABEL text`; a label ends at the first blank.

    Where no labels are needed and the lines do not start with known ones, each line is a text.
    Raises DataError for a line of one word, and where nearly every line starts with another word.

    >>> read_lines("NUM How far is it?\\n", "questions.txt", (), True)
    ([1], ['NUM'], ['How far is it?'])
    """
    lines = list(_lines(text))
    numbers = [number for number, _ in lines]
    halves = [line.lstrip().partition(" ") for _, line in lines]
    if not needs_labels and not (known and all(label in known for label, _, _ in halves)):
        return numbers, None, [line for _, line in lines]
    for number, (label, _, rest) in zip(numbers, halves, strict=True):
        if not rest.strip():
            raise DataError(
                f"{where}, line {number}: a label, a blank and a text were expected, got {label[:40]!r}. "
                f"Correct or remove the line, or name a table .csv, .tsv or .jsonl."
            )
    labels = [label for label, _, _ in halves]
    if len(set(labels)) * 2 > len(labels) > 3 and not known:
        raise DataError(
            f"{where}: lines `LABEL text` were expected, but the first words of the lines hardly ever come again "
            f"({', '.join(labels[:3])} ...). Put a label in front of each line, or give a table."
        )
    return numbers, labels, [rest.strip() for _, _, rest in halves]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _first_line(text: str) -> str:
    return next((line for _, line in _lines(text)), "")


def _rows(text: str, where: str, delimiter: str, literal: bool) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line and the fields of each record."""
    if literal or '"' not in text:
        yield from ((number, line.split(delimiter)) for number, line in _lines(text))
        return
    limit = csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{where}, line {line}: a quote is opened and not closed as it should ({error}). "
            f"Close it at the end of the field, and write a quote inside a text twice."
        ) from error
    finally:
        csv.field_size_limit(limit)


def _quotes_are_text(text: str) -> bool:
    """Whether the quotes in a file separated by tabs belong to its texts: some do not enclose a whole field."""
    if '"' not in text:
        return False
    if all(_encloses(field) for line in text.split("\n") if '"' in line for field in line.split("\t")):
        return False
    return len({line.count("\t") for _, line in _lines(text)}) == 1


def _encloses(field: str) -> bool:
    if '"' not in field:
        return True
    inner = field[1:-1]
    return len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', "")


def _has_header(rows: Sequence[Sequence[str]], asked: Collection[str]) -> bool:
    names = [field.strip() for field in rows[0]]
    if any(name in asked for name in names):
        return True
    if any(name[:1].isdigit() or name.startswith('"') or len(name) > _LONGEST_NAME for name in names):
        return False
    # a short text may end in such a word
    if any(" " not in name and (could_be_label(name) or could_be_text(name)) for name in names):
        return True
    if any(map(could_be_label, names)) and any(map(could_be_text, names)):
        return True
    if len(set(filter(None, names))) < len(list(filter(None, names))):
        return False
    columns = list(zip(*(row for row in rows[1:] if len(row) == len(names)), strict=True))
    return any(_is_under(name, values) for name, values in zip(names, columns, strict=False))


def _is_under(name: str, values: Sequence[str]) -> bool:
    """Whether the values of a column are of another kind than what stands above them."""
    different = set(values)
    if not name or different <= {""}:
        return False
    return all(_is_number(value) for value in different) or (
        len(different) * 2 <= len(values) and name not in {value.strip() for value in different}
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
