"""Do cells without recurrent products run at the speed of memory? The recurrence alone, without the projections."""

import argparse
import time

import torch
from measurement import memory_rate, save, timing

from ricorso import CATALOGUE
from ricorso.engine import fast, products
from ricorso.engine.call import Call
from ricorso.equations.linear import carried_states
from ricorso.equations.transform import folded
from ricorso.kernels.compiled import Compiled

STEPS, BATCH, HIDDEN = 1000, 64, 256
TAKEN: dict[str, list[float]] = {}
CELLS = ("mingru", "minlstm", "qrnn", "sru", "rglru", "indrnn", "sru_peephole")


def run_twice(run):
    """A kernel's second run over the same memory: the first brings in the pages that were just allocated."""

    def both(self, name, team, values):
        run(self, name, team, values)
        start = time.perf_counter()
        run(self, name, team, values)
        TAKEN.setdefault(name, []).append(time.perf_counter() - start)

    return both


def measure(name, runs, rate):
    cell, _ = folded(CATALOGUE[name])
    gates, states, parameters = len(cell.input_gates), len(cell.states), len(cell.parameters)
    torch.manual_seed(0)
    call = Call(
        torch.empty(STEPS, BATCH, 1),
        torch.empty(gates * HIDDEN, 1),
        *[None] * 3,
        torch.rand(parameters, HIDDEN) - 1 if parameters else None,
        None,
        torch.zeros(states, BATCH, HIDDEN),
    )
    gradient = torch.randn(STEPS, BATCH, HIDDEN)
    row = STEPS * BATCH * HIDDEN * 4
    # forward: read the gates, write the states; backward: read gates, carried states and gradients, write gradients
    traffic = {"forward": gates + states, "backward": 2 * gates + len(carried_states(cell)) + 1}
    for _ in range(runs):
        _, _, saved = fast.forward(cell, call)
        fast.backward(cell, call, saved, gradient, None, needs_input=False)
    times = {side: timing(taken) for side, taken in TAKEN.items()}
    TAKEN.clear()
    shares = {side: traffic[side] * row / times[side].median / rate for side in times}
    total = sum(traffic.values()) * row / sum(times[side].median for side in times) / rate
    print(
        f"{name:14}" + "".join(f"{side} {shares[side]:5.0%}  " for side in times) + f"together {total:5.0%}", flush=True
    )
    return {
        "cell": name,
        "share_of_memory_rate": {**shares, "together": total},
        **{side: taken.as_json() for side, taken in times.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="for each cell")
    chosen = parser.parse_args()
    products.project = lambda cell, call: torch.rand(STEPS, BATCH, len(cell.leaves) * HIDDEN) * 2 - 1
    Compiled.run = run_twice(Compiled.run)
    products.input_gradients = lambda *_: {}
    rate = memory_rate()
    print(f"memory {rate / 1e9:.1f} GB/s, {torch.get_num_threads()} threads")
    rows = [measure(name, chosen.runs, rate) for name in CELLS]
    sizes = {"hidden": HIDDEN, "batch": BATCH, "steps": STEPS}
    save("memory_rate", {**sizes, "memory_bytes_per_second": rate, "rows": rows})


if __name__ == "__main__":
    main()
