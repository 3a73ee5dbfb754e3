"""Sentences with a tag for each word: CoNLL-U, CoNLL columns, JSON lines."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ricorso.data.json_lines import read_object
from ricorso.data.text import file_name, read_text, shown, wrong_character
from ricorso.data.tokens import split_words
from ricorso.errors import DataError, UsageError, did_you_mean

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

_JSON_LINES = (".jsonl", ".ndjson")
_NUMBER = re.compile(r"-?\d+")
# of a word, or also of a multiword token (3-4) or an empty node (8.1)
_WORD_ID, _ID = re.compile(r"\d+"), re.compile(r"\d+([-.]\d+)?")
_DOCUMENT = "-DOCSTART-"

Words = tuple[str, ...]


class Tagged(NamedTuple):
    """The words of a sentence, and a tag for each."""

    tokens: Words
    tags: Words


def read_tagged(
    path: str | Path, word_column: str | None = None, tag_column: str | None = None, encoding: str = "utf-8"
) -> list[Tagged]:
    """The sentences of a file with their tags; also .gz, and `-` for standard input.

    CoNLL-U (ten columns between tabs, the first of them numbers): word lines only, without multiword tokens and empty
    nodes; tags are UPOS. Lines of {"tokens": [...], "tags": [...]} in .jsonl. Everything else is read as columns, apart
    by tabs or else by blanks, with a word in the first and its tag in the last; blank lines and `-DOCSTART-` end a
    sentence. word_column, tag_column: which columns instead, by number from 1 (from the end: -1), and in CoNLL-U by
    name; in JSON lines, the names of the lists.

    Raises DataError with file and line for what cannot be read, UsageError for a column that cannot be.
    """
    return [one for _, one in read_numbered(path, word_column, tag_column, encoding)]


def read_numbered(
    path: str | Path, word_column: str | None = None, tag_column: str | None = None, encoding: str = "utf-8"
) -> list[tuple[int, Tagged]]:
    """What `read_tagged` finds, with the line in which each sentence begins. Raises what that raises."""
    name = file_name(path)
    found: list[tuple[int, Tagged]] = []
    for line, words, tags in _sentences(path, encoding, (word_column, tag_column)):
        if tags is None:
            raise DataError(f"{name}, line {line}: there are no tags. Give each word its tag.")
        found.append((line, Tagged(words, tags)))
    if not found:
        raise DataError(f"{name} holds no sentences; words with tags were expected.")
    return found


def read_tokens(path: str | Path, word_column: str | None = None, encoding: str = "utf-8") -> list[Words]:
    """The sentences of a file, without tags: a line of text each in .txt and `-`, else as in `read_tagged`.

    Raises DataError as that does.
    """
    if _kind(path) == ".txt" or str(path) == "-":
        lines = read_text(path, encoding).split("\n")
        found = [tuple(words) for words in (split_words(line, lower=False) for line in lines) if words]
    else:
        found = [words for _, words, _ in _sentences(path, encoding, (word_column, None), tags_wanted=False)]
    if not found:
        raise DataError(f"{file_name(path)} holds no sentences; words were expected.")
    return found


def to_columns(sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> str:
    """Words and tags as columns with a tab between them, a blank line after each sentence.

    >>> to_columns([(["Hello", "!"], ["INTJ", "PUNCT"])])
    'Hello\\tINTJ\\n!\\tPUNCT\\n\\n'
    """
    blocks = ("".join(f"{w}\t{t}\n" for w, t in zip(words, tags, strict=True)) for words, tags in sentences)
    return "".join(block + "\n" for block in blocks)


def to_json_lines(sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> str:
    """Words and tags as an object for each sentence.

    >>> to_json_lines([(["Hello"], ["INTJ"])])
    '{"tokens": ["Hello"], "tags": ["INTJ"]}\\n'
    """
    rows = ({"tokens": list(words), "tags": list(tags)} for words, tags in sentences)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _kind(path: str | Path) -> str:
    return Path(str(path).removesuffix(".gz")).suffix.lower()


# a sentence: the line it begins in, its words and, where there are any, its tags
_Found = tuple[int, Words, Words | None]
_Chosen = tuple[str | None, str | None]


def _sentences(path: str | Path, encoding: str, columns: _Chosen, tags_wanted: bool = True) -> Iterator[_Found]:
    text, name = read_text(path, encoding), file_name(path)
    if _kind(path) in _JSON_LINES:
        return _json_lines(text, name, columns, tags_wanted)
    lines = text.split("\n")
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if _kind(path) == ".csv" and "," in first and "\t" not in first:
        raise DataError(
            f"{name} is a table; sentences are read from columns between tabs or blanks, or from lines of JSON. "
            f"If it holds series, name its column of tags with column= (--column)."
        )
    cells = first.split("\t")
    if _kind(path) == ".conllu" or (len(cells) == len(CONLLU) and _ID.fullmatch(cells[0])):
        places = _place(columns[0] or "form", CONLLU), _place(columns[1] or "upos", CONLLU)
        return _blocks(lines, name, _conllu_cells, (places[0], places[1] if tags_wanted else None))
    names: Sequence[str] = ()
    separator = "\t" if "\t" in first else None
    many = len(first.split(separator))
    word, tag = _place(columns[0] or "1", names), _place(columns[1] or "-1", names)
    if tags_wanted and many == 1:
        raise DataError(
            f"{name}, line {lines.index(first) + 1}: there is one column only ({shown(first)}); a word and its tag "
            f"were expected, apart by a tab or a blank."
        )
    return _blocks(lines, name, _reader(separator, many), (word, tag if tags_wanted else None))


def _place(column: str, names: Sequence[str]) -> int:
    """The index of a column that is given by number or name. Raises UsageError."""
    if _NUMBER.fullmatch(column) and int(column):
        number = int(column)
        return number - 1 if number > 0 else number
    if column.lower() in names:
        return names.index(column.lower())
    known = f"{', '.join(names)} or a number from 1" if names else "a number from 1"
    raise UsageError(f"There is no column '{column}'; wanted {known}.{did_you_mean(column, names)}")


# what the cells of a line are; None for a line that says nothing of a word. Takes the line and where it is.
_Cells = Callable[[str, str], list[str] | None]


def _blocks(lines: list[str], name: str, cells_of: _Cells, places: tuple[int, int | None]) -> Iterator[_Found]:
    """Sentences from lines of a word each, blank lines between them."""
    word, tag = places
    words: list[str] = []
    tags: list[str] = []
    begin = 1
    for number, line in enumerate(lines, 1):
        where = f"{name}, line {number}"
        if not line.strip() or line.startswith(_DOCUMENT):
            if words:
                yield begin, tuple(words), None if tag is None else tuple(tags)
            words, tags = [], []
            continue
        cells = cells_of(line, where)
        if cells is None:
            continue
        begin = begin if words else number
        words.append(_cell(cells, word, "word", where))
        if tag is not None:
            tags.append(_cell(cells, tag, "tag", where))
    if words:
        yield begin, tuple(words), None if tag is None else tuple(tags)


def _cell(cells: list[str], place: int, what: str, where: str) -> str:
    if not -len(cells) <= place < len(cells):
        wanted = place + 1 if place >= 0 else place
        raise DataError(f"{where}: {_columns(len(cells))}; the {what} was expected in column {wanted}.")
    cell = cells[place]
    if not cell.strip():
        raise DataError(f"{where}: the {what} is empty. Write it in.")
    return cell


def _conllu_cells(line: str, where: str) -> list[str] | None:
    if line.startswith("#"):
        return None
    cells = line.split("\t")
    if len(cells) != len(CONLLU):
        raise DataError(f"{where}: {_columns(len(cells))} ({shown(line)}); CoNLL-U has {len(CONLLU)}, apart by tabs.")
    if not _ID.fullmatch(cells[0]):
        raise DataError(f"{where}: {shown(cells[0])} is no number of a word, such as 3, 3-4 or 8.1.")
    return cells if _WORD_ID.fullmatch(cells[0]) else None


def _reader(separator: str | None, many: int) -> _Cells:
    def cells_of(line: str, where: str) -> list[str] | None:
        cells = line.rstrip("\r\n").split(separator)
        if len(cells) == many:
            return cells
        if line.startswith("#"):
            return None
        raise DataError(
            f"{where}: {_columns(len(cells))} ({shown(line)}); the lines before have {many}. Correct the line."
        )

    return cells_of


def _json_lines(text: str, name: str, columns: _Chosen, tags_wanted: bool) -> Iterator[_Found]:
    word, tag = columns[0] or "tokens", columns[1] or "tags"
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        wanted = f'an object with "{word}" and "{tag}"' if tags_wanted else f'an object with "{word}"'
        row = read_object(line, where, wanted)
        if word not in row or (tags_wanted and tag not in row):
            raise DataError(f"{where}: {wanted} was expected, got {shown(line)}.")
        words, tags = _strings(row[word], word, where), None
        if tags_wanted:
            tags = _strings(row[tag], tag, where)
            if len(tags) != len(words):
                raise DataError(f"{where}: there are {len(words)} words and {len(tags)} tags; wanted a tag for each.")
        if words:
            yield number, words, tags


def _strings(value: object, what: str, where: str) -> Words:
    if not isinstance(value, list) or not all(isinstance(part, str) and part.strip() for part in value):
        raise DataError(f'{where}: "{what}" should be a list of texts that are not empty, got {shown(str(value))}.')
    for number, part in enumerate(value, 1):
        if wrong := wrong_character(part):
            raise DataError(f'{where}, "{what}", text {number}: {wrong}.')
    return tuple(value)


def _columns(count: int) -> str:
    return "there is 1 column" if count == 1 else f"there are {count} columns"
