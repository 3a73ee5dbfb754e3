"""Threads for kernels that run beside torch."""

from functools import cache
from pathlib import Path

import torch

from ricorso.kernels.team import Team, openmp_team


@cache
def torch_team() -> Team:
    """The OpenMP threads that torch's own products run on."""
    folder = Path(torch.__file__).parent
    found = [*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]
    return openmp_team(str(found[0])) if found else Team()
