import errno
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ricorso import bundle
from ricorso.errors import RunError, UsageError

WEIGHTS = bundle.to_safetensors({"w": np.arange(6.0).reshape(2, 3)})
FILES = {"config.json": b'{"task": "x"}\n', "model.safetensors": WEIGHTS}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    bundle.write_folder(tmp_path / "run", FILES)
    return tmp_path / "run"


def rewrite_manifest(run: Path, **changes: object) -> None:
    path = run / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_written_folder_verifies_and_reads_back(run: Path) -> None:
    assert bundle.verify(run, ["config.json"]) == list(FILES)
    assert bundle.read_json(run / "config.json") == {"task": "x"}
    tensors = bundle.read_tensors(run / "model.safetensors", {"w": (2, 3)})
    np.testing.assert_array_equal(tensors["w"], np.arange(6.0).reshape(2, 3))
    assert not list(run.parent.glob("*.unfinished"))


def test_scalars_keep_their_shape(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(bundle.to_safetensors({"s": np.array(3.0, np.float32), "t": np.ones((3, 2)).T}))
    tensors = bundle.read_tensors(tmp_path / "t")
    assert tensors["s"].shape == ()
    assert tensors["t"].shape == (2, 3)


def test_an_existing_folder_is_never_overwritten(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a run already"):
        bundle.write_folder(run, FILES)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        bundle.write_folder(tmp_path / "file", FILES)
    (tmp_path / "empty").mkdir()
    bundle.write_folder(tmp_path / "empty", FILES)
    assert bundle.verify(tmp_path / "empty")


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        bundle.verify(tmp_path / "missing")
    with pytest.raises(RunError, match="not a run"):
        bundle.verify(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="not a run"):
        bundle.verify(tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: (run / "model.safetensors").unlink(), "lost its model"),
        (lambda run: os.truncate(run / "model.safetensors", 40), "truncated"),
        (lambda run: (run / "config.json").write_text('{"task": "y"}\n'), "SHA-256"),
        (lambda run: (run / "manifest.json").write_text("{"), "not valid JSON"),
        (lambda run: (run / "manifest.json").write_bytes(b"\xff\xfe"), "not valid JSON"),
        (lambda run: (run / "manifest.json").write_text("[]"), "not a JSON object"),
        (lambda run: (run / "manifest.json").write_text("{}"), "not a manifest"),
        (lambda run: rewrite_manifest(run, format_version=2, files="another form"), "newer Ricorso"),
        (lambda run: rewrite_manifest(run, format_version=2), "newer Ricorso"),
        (lambda run: rewrite_manifest(run, files={"../x": {}, "config.json": {}}), "invalid entry"),
        (lambda run: rewrite_manifest(run, files={"config.json": 3}), "invalid entry"),
        (lambda run: rewrite_manifest(run, files={}), "incomplete"),
    ],
)
def test_damage_is_seen(run: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    change(run)
    with pytest.raises(RunError, match=message):
        bundle.verify(run, ["config.json"])


def test_only_the_named_files_when_others_do_not_matter(run: Path) -> None:
    (run / "model.safetensors").write_bytes(b"other")
    bundle.verify(run, ["config.json"], others=False)
    with pytest.raises(RunError):
        bundle.verify(run, ["model.safetensors"], others=False)


def test_sealing_takes_in_what_changed(run: Path) -> None:
    bundle.write_file(run / "report.html", b"<p>")
    bundle.write_file(run / "config.json", b"{}")
    bundle.seal(run)
    assert set(bundle.verify(run)) == {*FILES, "report.html"}


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"w": (2, 2)}, "shape"),
        ({"v": (2, 3)}, "'[vw]'"),
        ({"w": (2, 3), "v": (1,)}, "no tensor 'v'"),
        ({}, "too many"),
    ],
)
def test_tensors_must_be_the_expected_ones(run: Path, expected: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(RunError, match=message):
        bundle.read_tensors(run / "model.safetensors", expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_must_be_finite(tmp_path: Path, bad: float) -> None:
    (tmp_path / "t").write_bytes(bundle.to_safetensors({"w": np.array([1.0, bad])}))
    with pytest.raises(RunError, match="not finite"):
        bundle.read_tensors(tmp_path / "t")


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, FILES["model.safetensors"][:-1]])
def test_broken_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(RunError, match="safetensors"):
        bundle.read_tensors(tmp_path / "t")


def test_json_is_never_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        bundle.to_json({"x": float("nan")})


def test_a_disk_that_refuses_leaves_nothing_new_and_nothing_lost(run: Path) -> None:
    bundle.write_file(run / "config.json", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            bundle.write_file(run / "config.json", b"x" * 10_000)
        with pytest.raises(OSError, match="too large"):
            bundle.write_folder(run.parent / "second", FILES | {"big": b"x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (run / "config.json").read_bytes() == b"old"
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert not list(run.glob("*.unfinished"))


def test_everything_is_on_the_disk_before_the_name_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = 0
    real = os.fsync

    def fsync(handle: int) -> None:
        nonlocal synced
        synced += 1
        real(handle)

    seen: list[int] = []
    rename = Path.replace
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", lambda self, target: (seen.append(synced), rename(self, target))[1])
    bundle.write_folder(tmp_path / "run", FILES)
    assert seen == [4], "two files, the manifest and the folder come before the rename"
    assert synced == 5, "the parent comes after it"


def test_what_was_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = bundle._write_durably

    def lossy(path: Path, content: bytes) -> None:
        real(path, content[:-1] if path.name == "config.json" else content)

    monkeypatch.setattr(bundle, "_write_durably", lossy)
    manifest = bundle.to_json({"format_version": 1, "files": {"config.json": {"bytes": 14, "sha256": "?"}}})
    monkeypatch.setattr(bundle, "_manifest", lambda folder, names: manifest)
    with pytest.raises(RunError, match="truncated"):
        bundle.write_folder(tmp_path / "run", {"config.json": FILES["config.json"]})
    assert list(tmp_path.iterdir()) == []


def test_no_space_is_told_as_it_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        bundle.write_file(run / "config.json", b"new")
    assert (run / "config.json").read_bytes() == FILES["config.json"]


def test_one_process_at_a_time(run: Path) -> None:
    code = f"from pathlib import Path\nfrom ricorso.bundle import locked\nwith locked(Path({str(run)!r})): print('in')"
    with bundle.locked(run):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"Process {os.getpid()} on {socket.gethostname()} is training" in other.stderr
        assert bundle.is_locked(run)
    assert not bundle.is_locked(run)
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.stdout == "in\n"
