import os
import stat
import tempfile
from pathlib import Path

import pytest
import torch

from ricorso.engine import arguments
from ricorso.kernels import compiled as kernels
from ricorso.kernels.cache import cache_folder, cached
from ricorso.layers import Recurrent

posix = pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RICORSO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def stored(folder, key="key", code=b"code"):
    """The file under which `code` is kept for `key`."""
    before = set(folder.glob("*.kernel"))
    assert cached(key, lambda: code) == code
    (path,) = set(folder.glob("*.kernel")) - before
    return path


def assert_made_again(key="key"):
    """What is on disk is not taken, and what is made instead is kept."""
    assert cached(key, lambda: b"fresh") == b"fresh"
    assert cached(key, lambda: b"never") == b"fresh"


def test_made_once_then_read(folder):
    assert cache_folder() == folder
    made = []

    def make():
        made.append(1)
        return b"code"

    assert cached("key", make) == cached("key", make) == b"code"
    assert cached("other", lambda: b"else") == b"else"
    assert len(made) == 1


def flipped(place):
    def flip(content):
        changed = bytearray(content)
        changed[place] ^= 1
        return bytes(changed)

    return flip


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-1], lambda b: b"", lambda b: b"{}\n" + b, lambda b: b + b"X", lambda b: b.partition(b"\n")[0],
        lambda b: b.replace(b"\n", b""), flipped(0), flipped(12), flipped(-1), flipped(-6),
    ],
)  # fmt: skip
def test_a_damaged_file_is_made_again(folder, damage):
    path = stored(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert_made_again()


def test_a_file_of_another_key_is_made_again(folder):
    path, other = stored(folder), stored(folder, "other", b"else")
    path.write_bytes(other.read_bytes())
    assert_made_again()
    assert cached("other", lambda: b"never") == b"else"


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_made_again(folder, mode):
    path = stored(folder)
    path.chmod(mode)
    assert_made_again()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_a_file_of_another_owner_is_not_taken(folder, monkeypatch):
    stored(folder)
    monkeypatch.setattr(os, "getuid", lambda: -2)
    assert cached("key", lambda: b"fresh") == b"fresh"


@posix
@pytest.mark.skipif(os.name == "posix" and os.getuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_made_again(folder):
    stored(folder).chmod(0)
    assert_made_again()


@posix
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_link_is_replaced_and_what_it_leads_to_left_alone(folder, tmp_path, link):
    path = stored(folder)
    elsewhere = path.rename(tmp_path / "elsewhere")
    link(elsewhere, path)
    before = elsewhere.read_bytes()
    assert_made_again()
    assert elsewhere.read_bytes() == before
    assert not path.is_symlink()


@posix
def test_a_pipe_in_its_place_is_replaced(folder):
    path = stored(folder)
    path.unlink()
    os.mkfifo(path)
    assert_made_again()


def test_a_folder_in_its_place_only_costs_time(folder):
    path = stored(folder)
    path.unlink()
    path.mkdir()
    assert cached("key", lambda: b"fresh") == b"fresh"
    assert cached("key", lambda: b"again") == b"again"
    assert list(folder.iterdir()) == [path]


@posix
def test_a_folder_in_which_everyone_may_write_is_not_used_unless_it_is_sticky(folder):
    stored(folder)
    folder.chmod(0o777)
    assert cached("key", lambda: b"fresh") == b"fresh"
    assert cached("new", lambda: b"new") == b"new"
    assert len(list(folder.iterdir())) == 1
    folder.chmod(0o1777)
    assert cached("key", lambda: b"never") == b"code"


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_file_where_the_folder_should_be_only_costs_time(monkeypatch, tmp_path, where):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RICORSO_CACHE", str(tmp_path / where))
    assert cached("key", lambda: b"code") == b"code"


def test_a_folder_that_cannot_be_written_only_costs_time(folder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    stored(folder)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert cached("other", lambda: b"else") == b"else"
    assert cached("key", lambda: b"never") == b"code"


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert cached("key", lambda: b"code") == b"code"
    assert list(folder.iterdir()) == []


def test_a_user_without_a_home_only_waits(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("RICORSO_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cached("key", lambda: b"code") == b"code"


@pytest.mark.parametrize("damage", [flipped(-100), lambda b: b[: len(b) // 2]])
def test_kernels_are_right_after_they_were_made_again(folder, monkeypatch, damage):
    made = []
    compile_object = kernels.compile_object
    monkeypatch.setattr(kernels, "compile_object", lambda *shape: made.append(shape) or compile_object(*shape))
    layer, x = Recurrent("elman_tanh", 2, 8), torch.randn(3, 2, 2)

    def run():
        # as in a process that has loaded no kernels
        monkeypatch.setattr(arguments, "compiled", kernels.compiled.__wrapped__)
        output = layer(x)[0]
        return [output, *torch.autograd.grad(output.sin().sum(), layer.parameters())]

    wanted = run()
    files = {path: path.read_bytes() for path in folder.iterdir()}
    count = len(made)
    assert count
    for path, content in files.items():
        path.write_bytes(damage(content))
    assert all(torch.equal(a, b) for a, b in zip(run(), wanted, strict=True))
    assert len(made) > count
    assert {path: path.read_bytes() for path in folder.iterdir()} == files
    count = len(made)
    assert all(torch.equal(a, b) for a, b in zip(run(), wanted, strict=True))
    assert len(made) == count
