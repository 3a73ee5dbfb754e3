"""What does a step take when some of 10,000 streams have a new sample, beside torch.nn's cells?

Both sides keep the states of all streams in one place. A step takes those of the streams it names, runs, and puts them
back; the peer indexes tensors around torch.nn.LSTMCell or GRUCell. On one core: a server runs a process for each.
"""

import numpy as np
import torch
from measurement import alternate, options, save
from torch import nn

from ricorso import GRU, LSTM
from ricorso.engine.streams import Streams

CELLS = {"lstm": (LSTM, nn.LSTMCell), "gru": (GRU, nn.GRUCell)}
CAPACITY = 10_000
SIZES = (64, 128, 256)
AT_ONCE = (1, 10, 100, 1000, 10_000)


class Peer:
    def __init__(self, kind, layer, cell):
        self.cell = cell(layer.input_size, layer.hidden_size)
        self.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
        self.states = [torch.zeros(CAPACITY, layer.hidden_size) for _ in range(2 if kind == "lstm" else 1)]

    @torch.inference_mode()
    def step(self, places, x):
        old = [state[places] for state in self.states]
        new = self.cell(x, tuple(old) if len(old) > 1 else old[0])
        for state, value in zip(self.states, new if len(old) > 1 else (new,), strict=True):
            state[places] = value


def samples(chance, count, hidden):
    """The streams that have a sample, in any order, and their samples."""
    return chance.permutation(CAPACITY)[:count], chance.normal(size=(count, hidden)).astype(np.float32)


def largest_difference(streams, keys, peer):
    found = streams.states(keys)
    return max(float(np.abs(a[0] - b.numpy()).max()) for a, b in zip(found, peer.states, strict=True))


def measure(kind, hidden, seconds):
    torch.manual_seed(0)
    make, cell = CELLS[kind]
    layer = make(hidden, hidden)
    peer, streams, chance = Peer(kind, layer, cell), Streams(layer, CAPACITY), np.random.default_rng(0)
    keys = np.array([streams.join() for _ in range(CAPACITY)])
    for count in AT_ONCE:
        places, x = samples(chance, count, hidden)
        streams.step(keys[places], x)
        peer.step(torch.from_numpy(places), torch.from_numpy(x))
    difference = largest_difference(streams, keys, peer)
    assert difference < 1e-5, f"states differ by {difference}"
    rows = []
    for count in AT_ONCE:
        places, x = samples(chance, count, hidden)
        mine, theirs, features = keys[places], torch.from_numpy(places), torch.from_numpy(x)
        sides = {"ricorso": lambda: streams.step(mine, x), "torch": lambda: peer.step(theirs, features)}  # noqa: B023
        times = alternate(sides, seconds)
        each = {name: timing.median / count * 1e6 for name, timing in times.items()}
        ratio = each["torch"] / each["ricorso"]
        told = "  ".join(f"{name} {taken:8.2f} µs" for name, taken in each.items())
        print(f"{kind:5}{hidden:5} units{count:7,} at a step: for each {told}  x{ratio:.1f}", flush=True)
        row = {"cell": kind, "hidden": hidden, "at_once": count, "ratio": ratio, "microseconds_for_each": each}
        rows.append(row | {name: timing.as_json() for name, timing in times.items()})
    return rows


def main():
    chosen = options(__doc__).parse_args()
    torch.set_num_threads(1)
    rows = [row for kind in CELLS for hidden in SIZES for row in measure(kind, hidden, chosen.seconds)]
    save("streams", {"capacity": CAPACITY, "rows": rows})


if __name__ == "__main__":
    main()
