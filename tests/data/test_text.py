import gzip
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ricorso.data.text import is_file_name, read_text
from ricorso.errors import DataError, UsageError


def write(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_reads_utf8_without_mark_and_with_plain_line_breaks(tmp_path: Path) -> None:
    assert read_text(write(tmp_path, b"\xef\xbb\xbfgr\xc3\xbcn\r\nblau\rrot\n")) == "grün\nblau\rrot\n"


def test_reads_gzip_by_content_whatever_the_name(tmp_path: Path) -> None:
    packed = gzip.compress("多行\n文本".encode())
    assert read_text(write(tmp_path, packed, "a.txt.gz")) == read_text(write(tmp_path, packed, "a.txt")) == "多行\n文本"


def test_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"piped\n")))
    assert read_text("-") == "piped\n"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "gb18030"])
def test_reads_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = "hôtel\n" if encoding == "latin-1" else "床前明月光\n"
    assert read_text(write(tmp_path, text.encode(encoding)), encoding) == text


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["empty"]),
        (b"\xef\xbb\xbf", ["byte order mark"]),
        (b"first\nsecond \xe9t\xe9", ["line 2, column 8", "0xe9", "utf-8", "latin-1"]),
        ("grün\nüüü\xff".encode()[:-2] + b"\xff", ["line 2, column 4", "0xff"]),
        (b"\xff\xfeh\0i\0", ["utf-16"]),
        (b"ELF\x01\0\0\0text", ["binary", "line 1, column 5"]),
        (b"\x7fELF\xff\0\0", ["binary", "line 1, column 6"]),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], ["gzip", "truncated"]),
        (gzip.compress(b"x" * 1000, mtime=0)[:15] + b"garbage", ["gzip"]),
    ],
)
def test_bad_content_is_named(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_text(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_missing_folder_and_false_gz(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        read_text(tmp_path / "missing.txt")
    with pytest.raises(DataError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(DataError, match="not gzip"):
        read_text(write(tmp_path, b"plain", "a.gz"))
    with pytest.raises(DataError, match="cannot be read"):
        read_text("nul\0in name")


def test_unknown_encoding_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no text encoding 'utf-9'"):
        read_text(write(tmp_path, b"x"), "utf-9")


def test_what_is_a_file_name() -> None:
    assert is_file_name(Path("two\nlines"))
    assert is_file_name("-")
    assert not is_file_name("a\nb")
    assert is_file_name("folder/" * 100 + "a.txt")
    assert not is_file_name("folder/" * 1000)
    assert not is_file_name("诗" * 100)
