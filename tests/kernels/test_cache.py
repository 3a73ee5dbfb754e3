import os

import pytest

from ricorso.kernels.cache import cache_folder, cached


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RICORSO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_made_once_then_read(folder):
    assert cache_folder() == folder
    made = []

    def make():
        made.append(1)
        return b"code"

    assert cached("key", make) == cached("key", make) == b"code"
    assert cached("other", lambda: b"else") == b"else"
    assert len(made) == 1


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + b"X", lambda b: b"", lambda b: b"{}\n" + b])
def test_damaged_file_is_made_again(folder, damage):
    cached("key", lambda: b"code")
    (path,) = folder.glob("*.kernel")
    path.write_bytes(damage(path.read_bytes()))
    assert cached("key", lambda: b"fresh") == b"fresh"
    assert cached("key", lambda: b"never") == b"fresh"


def test_file_others_may_write_is_not_trusted(folder):
    cached("key", lambda: b"code")
    (path,) = folder.glob("*.kernel")
    os.chmod(path, 0o666)
    assert cached("key", lambda: b"fresh") == b"fresh"


def test_unwritable_folder_only_costs_time(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RICORSO_CACHE", str(tmp_path / "file" / "below"))
    assert cached("key", lambda: b"code") == b"code"
