"""How threads share the work of a run."""

from functools import lru_cache

import torch

from ricorso.kernels.compiled import Compiled
from ricorso.kernels.llvm.shape import Direction


def plan(kernels: Compiled, direction: Direction, steps: int, batch: int) -> dict[str, int]:
    """How many threads a run takes, and whether they share rows (0) or units (1).

    Sharing rows needs no meeting inside the time loop. Sharing units reads each weight once a step for all rows,
    which pays when the weights are larger than a core's cache or the rows too few.
    """
    return _plan(kernels, direction, steps, batch, torch.get_num_threads())


@lru_cache(maxsize=4096)
def _plan(kernels: Compiled, direction: Direction, steps: int, batch: int, threads: int) -> dict[str, int]:
    shape = kernels.shape
    matrices = len(shape.cell.product_gates) * shape.hidden * shape.head_size
    work = batch * (matrices + 20 * shape.columns)
    if threads == 1 or work * steps < 200_000:
        return {"threads": 1, "split_units": 0}
    weights = matrices * (8 if shape.dtype == "float64" else 4)
    by_units = batch < 2 * threads or (weights > 500_000 and batch <= 4 * threads)
    if by_units and direction.shares > 1:
        if matrices and work < 24_000:
            return {"threads": 1, "split_units": 0}
        return {"threads": min(threads, direction.shares), "split_units": 1}
    return {"threads": min(threads, batch), "split_units": 0}
