"""Threads for kernels that run beside torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from ricorso.kernels.team import Team, openmp_team

# With fewer multiplications a product is over before a second thread has begun.
WORTH_SHARING = 1_000_000


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Within the block torch computes with so many threads, with as many as before where there is no number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(multiplications: int) -> int:
    """How many threads share a product."""
    return torch.get_num_threads() if multiplications >= WORTH_SHARING else 1


@cache
def torch_team() -> Team:
    """The OpenMP threads that torch's own products run on."""
    folder = Path(torch.__file__).parent
    found = [*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]
    return openmp_team(str(found[0])) if found else Team()
