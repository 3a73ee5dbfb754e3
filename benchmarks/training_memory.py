"""How much memory does a training step take beside torch.nn's? Peak over the step, each side in a fresh process."""

import argparse
import json
import resource
import subprocess
import sys

import torch
from measurement import save

from ricorso.layers import GRU, LSTM, RNN

STEPS, BATCH, HIDDEN = 400, 64, 256
PAIRS = {"lstm": (LSTM, torch.nn.LSTM), "gru": (GRU, torch.nn.GRU), "rnn": (RNN, torch.nn.RNN)}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one_side(kind, side):
    layer = PAIRS[kind][side](HIDDEN, HIDDEN)
    for steps in (2, STEPS):
        x = torch.randn(steps, BATCH, HIDDEN, requires_grad=True)
        before = peak()
        layer(x)[0].sum().backward()
    print(json.dumps(peak() - before))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", nargs=2)
    chosen = parser.parse_args()
    if chosen.side:
        one_side(chosen.side[0], int(chosen.side[1]))
        return
    rows = []
    for kind in PAIRS:
        used = []
        for side in (0, 1):
            command = [sys.executable, __file__, "--side", kind, str(side)]
            used.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        rows.append({"kind": kind, "ricorso_bytes": used[0], "torch_bytes": used[1], "share": used[0] / used[1]})
        print(
            f"{kind:5} ricorso {used[0] / 2**20:6.0f} MiB   torch {used[1] / 2**20:6.0f} MiB   {used[0] / used[1]:.2f}"
        )
    save("training_memory", {"steps": STEPS, "batch": BATCH, "hidden": HIDDEN, "rows": rows})


if __name__ == "__main__":
    main()
