"""Reading a text file, with errors that say where the trouble is."""

import sys
from pathlib import Path

from ricorso.data.file import unpack
from ricorso.errors import DataError, UsageError

_WIDE_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# what file systems allow
_LONGEST_PATH = 4096
_LONGEST_NAME = 255
_SHOWN = 40


def read_text(source: str | Path, encoding: str = "utf-8") -> str:
    """The text of a file; `-` reads standard input, gzip is unpacked, a byte order mark is dropped, CRLF becomes LF.

    Raises DataError for a file that is missing, unreadable, binary, empty or wrongly encoded (with line and column),
    UsageError for an unknown encoding.
    """
    name = file_name(source)
    codec = _codec(encoding)
    raw = unpack(_read(source, name), name)
    if not raw:
        raise DataError(f"{name} is empty; a text to work on was expected.")
    text = _decode(raw, name, codec).removeprefix("\ufeff").replace("\r\n", "\n")
    if not text:
        raise DataError(f"{name} holds nothing but a byte order mark; a text to work on was expected.")
    return text


def file_name(path: str | Path) -> str:
    """What a file is called in messages.

    >>> file_name("-"), file_name("a.txt")
    ('standard input', 'a.txt')
    """
    return "standard input" if str(path) == "-" else str(path)


def is_file_name(text_or_path: str | Path) -> bool:
    """Whether an argument that may be a text or a file names a file: a Path, or one line short enough.

    >>> is_file_name("corpus.txt"), is_file_name("Two lines\\nof text")
    (True, False)
    """
    if isinstance(text_or_path, Path):
        return True
    if "\n" in text_or_path or len(text_or_path) > _LONGEST_PATH:
        return False
    parts = text_or_path.replace("\\", "/").split("/")
    return all(len(part.encode("utf-8", "replace")) <= _LONGEST_NAME for part in parts)


def shown(text: str) -> str:
    """A text in quotes, its beginning where it is long.

    >>> shown(" good "), shown("x" * 50)[-7:]
    ("' good '", "xxx...'")
    """
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def describe_character(character: str) -> str:
    """A symbol as an error message shows it: quoted, with its code points.

    >>> describe_character("é")
    "'é' (U+00E9)"
    """
    return f"{character!r} ({' '.join(f'U+{ord(c):04X}' for c in character)})"


def _codec(encoding: str) -> str:
    try:
        "".encode(encoding)
    except LookupError as error:
        raise UsageError(
            f"There is no text encoding '{encoding}'. Common ones: utf-8, utf-16, latin-1, gb18030."
        ) from error
    return encoding


def _read(source: str | Path, name: str) -> bytes:
    if name == "standard input":
        return sys.stdin.buffer.read()
    path = Path(source)
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = "" if isinstance(source, Path) else " (a text given in place of a file needs a line break in it)"
        raise DataError(f"There is no file '{name}'. Check the path{hint}.") from error
    except IsADirectoryError as error:
        raise DataError(f"'{name}' is a folder; give a text file inside it.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"'{name}' cannot be read: {reason}.") from error


def _decode(raw: bytes, name: str, encoding: str) -> str:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        wide = next((codec for mark, codec in _WIDE_MARKS.items() if raw.startswith(mark)), None)
        if wide:
            raise DataError(
                f"{name} is encoded as {wide}, not {encoding}; pass encoding='{wide}' (--encoding)."
            ) from error
        if b"\0" in raw:
            raise binary(name, raw.decode("latin-1")) from error
        line, column = _position(raw, error.start, encoding)
        raise DataError(
            f"{name}, line {line}, column {column}: byte 0x{raw[error.start]:02x} is not valid {encoding}. "
            f"Save the file as {encoding}, or name its encoding, for example encoding='latin-1' (--encoding)."
        ) from error
    if "\0" in text:
        raise binary(name, text)
    return text


def binary(name: str, text: str) -> DataError:
    """What is said of a file with a zero byte in it. text: what stands in the file."""
    before = text[: text.index("\0")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return DataError(
        f"{name} looks like a binary file (a zero byte in line {line}, column {column}); a text file was expected. "
        f"Remove the byte, or save the data as text, a table as CSV."
    )


def wrong_character(text: str) -> str | None:
    """What no text may hold and this one does, in words; None where all is well.

    >>> wrong_character("fine"), wrong_character("a\\0")
    (None, 'a zero byte stands at character 2. Remove it; it is no part of any text')
    """
    if "\0" in text:
        return f"a zero byte stands at character {text.index(chr(0)) + 1}. Remove it; it is no part of any text"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        what = "is half a character (a lone surrogate). Read the text with its right encoding"
        return f"character {error.start + 1} {what}"
    return None


def _position(raw: bytes, start: int, encoding: str) -> tuple[int, int]:
    before = raw[:start].decode(encoding, errors="replace").removeprefix("\ufeff")
    return before.count("\n") + 1, len(before) - before.rfind("\n")
