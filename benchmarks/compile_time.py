"""How long does a new cell take to compile, and to load once it is in the cache? Training kernels, 256 units."""

import os
import statistics
import tempfile
import time

from measurement import save

from ricorso import CATALOGUE
from ricorso.equations import portable
from ricorso.equations.transform import folded
from ricorso.kernels.compiled import Compiled
from ricorso.kernels.llvm.host import host
from ricorso.kernels.llvm.shape import Shape


def seconds(cell):
    """From the equations to kernels that can be called."""
    # a cell of its own, of which nothing is remembered in this process
    cell = portable.from_json(portable.to_json(cell))
    start = time.perf_counter()
    kernel, _ = folded(cell)
    Compiled(Shape(host(), kernel, "float32", 256, cell.heads)).kernel("forward")
    return time.perf_counter() - start


def main():
    rows = []
    with tempfile.TemporaryDirectory() as first_folder, tempfile.TemporaryDirectory() as folder:
        # the first compilation of a process also loads the compiler
        os.environ["RICORSO_CACHE"] = first_folder
        seconds(CATALOGUE["elman_tanh"])
        os.environ["RICORSO_CACHE"] = folder
        for cell in CATALOGUE.values():
            first = seconds(cell)
            again = statistics.median(seconds(cell) for _ in range(3))
            rows.append({"cell": cell.name, "first_s": first, "from_cache_s": again})
            print(f"{cell.name:18} first {first:5.2f} s   from the cache {again * 1e3:5.0f} ms", flush=True)
    save("compile_time", {"hidden": 256, "rows": rows})


if __name__ == "__main__":
    main()
