"""Starting several processes that train together: by torchrun, or forked from the test, which is quicker."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from ricorso.training.ranks import Ranks, of_environment

PATIENCE = 120.0


def command(*words: str, ranks: int = 1) -> list[str]:
    """A command line of ricorso, for so many processes."""
    if ranks == 1:
        return [sys.executable, "-m", "ricorso", *words]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [*launcher, "-m", "ricorso", *words]


def finish(words: list[str]) -> str:
    """Run to a good end and return the output."""
    outcome = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def children(process: int) -> list[int]:
    """The processes that a process has started, in that order."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # the name in parentheses may hold blanks
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == process:
                found.append(int(folder.name))
    return sorted(found)


def kill_with_children(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Kill a launcher and what it has launched at once; torchrun puts each of those in a session of its own."""
    if process.poll() is not None:
        return
    family = [process.pid, *children(process.pid)]
    for number in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(Path(f"/proc/{number}").exists() for number in family), "the processes end")


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)


def fork() -> int:
    """As os.fork; a child uses none of the threads of this process, about which Python 3.12 warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class Ended(NamedTuple):
    """How a forked process ended: its exit status, negative for a signal, and what it printed."""

    status: int
    out: str
    err: str


def together(count: int, work: Callable[[Ranks], int | None], folder: Path) -> list[Ended]:
    """Run the same work in forked processes that train together; how each of them ended.

    work: gets this process's place, and returns its exit status, None for 0. folder: for what they print.
    """
    folder.mkdir(exist_ok=True)
    port = _free_port()
    numbers = []
    for rank in range(count):
        number = fork()
        if number == 0:
            _be(rank, count, port, work, folder)
        numbers.append(number)
    return [_ended(number, folder / str(rank)) for rank, number in enumerate(numbers)]


def apart(work: Callable[[], int | None], folder: Path) -> Ended:
    """Run work in a forked process, which changes nothing here; how it ended. folder: for what it prints."""
    number = fork()
    if number == 0:
        _do(work, folder / "apart")
    return _ended(number, folder / "apart")


def _be(rank: int, count: int, port: int, work: Callable[[Ranks], int | None], folder: Path) -> None:
    def join() -> int | None:
        place = {"RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1"}
        os.environ.update({name: str(value) for name, value in place.items()})
        return work(of_environment())

    _do(join, folder / str(rank))


def _do(work: Callable[[], int | None], path: Path) -> None:
    status = 70
    try:
        with _printing(path):
            try:
                torch.set_num_threads(1)  # OpenMP's other threads do not survive a fork
                status = work() or 0
            except BaseException:  # noqa: BLE001 - also a failed test
                traceback.print_exc()
    finally:
        os._exit(status)


@contextlib.contextmanager
def _printing(path: Path) -> Iterator[None]:
    with path.with_suffix(".out").open("w") as out, path.with_suffix(".err").open("w") as err:
        sys.stdout, sys.stderr = out, err
        yield


def _ended(number: int, path: Path) -> Ended:
    found: list[int] = []

    def has_ended() -> bool:
        reaped, status = os.waitpid(number, os.WNOHANG)
        found.append(status)
        return reaped == number

    try:
        wait_for(has_ended, f"process {path.name} ends")
    except AssertionError:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        raise
    texts = [path.with_suffix(suffix).read_text() for suffix in (".out", ".err")]
    return Ended(os.waitstatus_to_exitcode(found[-1]), *texts)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
