"""Threads for kernels: an OpenMP runtime that is already in the process, or Python's threads.

Using the runtime of the caller's BLAS matters: two pools of spinning threads on the same cores slow each other down.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

Part = Callable[[object, int, int], None]


@dataclass(frozen=True)
class Team:
    """Addresses of an OpenMP runtime; all zero: Python's threads do the work."""

    fork: int = 0
    thread_number: int = 0
    team_size: int = 0

    @cached_property
    def arguments(self) -> dict[str, int]:
        return {
            "fork": self.fork,
            "thread_number": self.thread_number,
            "team_size": self.team_size,
            "yield_processor": _yield_address(),
        }


def openmp_team(library: str) -> Team:
    """The team of an OpenMP runtime with the GNU entry points; `Team()` where it cannot be used."""
    try:
        runtime = ctypes.CDLL(library)
        names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
        return Team(*(ctypes.cast(getattr(runtime, name), ctypes.c_void_p).value or 0 for name in names))
    except (OSError, AttributeError):
        return Team()


@cache
def _yield_address() -> int:
    if os.name != "posix":
        return 0
    return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0


def run_in_threads(part: Part, arguments: object, size: int) -> None:
    """Call `part(arguments, number, size)` for every number, each in a thread of its own."""
    workers = [threading.Thread(target=part, args=(arguments, number, size)) for number in range(1, size)]
    for worker in workers:
        worker.start()
    part(arguments, 0, size)
    for worker in workers:
        worker.join()
