import gzip
from pathlib import Path

import numpy as np
import pytest

from ricorso.data.vectors import read_vectors
from ricorso.errors import DataError


def test_glove_and_word2vec(tmp_path: Path) -> None:
    plain, headed = tmp_path / "glove.txt", tmp_path / "w2v.txt.gz"
    plain.write_text("the 1 2\nä -0.5 1e-3\n", encoding="utf-8")
    headed.write_bytes(gzip.compress("2 2\nthe 1 2 \nä -0.5 1e-3\n".encode()))
    for path in (plain, headed):
        words, table = read_vectors(path)
        assert words == ["the", "ä"]
        assert table.dtype == np.float32
        np.testing.assert_allclose(table, [[1, 2], [-0.5, 1e-3]])


def test_the_beginning_only_and_the_first_of_equal_words(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("a 1\nb 2\na 3\nat name@domain.com 4\nc five\n", encoding="utf-8")
    words, table = read_vectors(path, most=3)
    assert words == ["a", "b", "at name@domain.com"]
    assert table.flatten().tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 1 2\na 1\n", "line 2: wanted a word and 2 numbers, got 2 parts"),
        ("the 1 2\na 1 x\n", "line 2: a value of the vector is no number"),
        ("the 1 nan\n", "line 1: the vector of 'the' is not finite"),
        ("5 3\n", "holds no vectors"),
        ("the\n", "line 1: wanted a word and numbers"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "v.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_vectors(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_vectors(tmp_path / "nowhere.txt")
    (tmp_path / "latin.txt").write_bytes("ä 1\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 1: byte 0xe4 is not valid UTF-8"):
        read_vectors(tmp_path / "latin.txt")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"the 1 2\n" * 1000)[:30])
    with pytest.raises(DataError, match="cannot be read"):
        read_vectors(tmp_path / "cut.gz")
