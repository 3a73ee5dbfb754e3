"""What memory does a sequence of 100,000 steps take to train on, and are its gradients those of the whole?

Each run is a process of its own, whose peak of resident memory counts everything: Python, torch, inputs and outputs.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measurement import largest_difference, save

from ricorso import Recurrent

STEPS, BATCH, HIDDEN, INPUTS = 100_000, 4, 128, 8


def train(segment, path):
    torch.manual_seed(0)
    layer = Recurrent("lstm", INPUTS, HIDDEN, segment=segment or None)
    head = torch.nn.Linear(HIDDEN, 1)
    x = torch.randn(STEPS, BATCH, INPUTS)
    target = torch.randn(STEPS, BATCH, 1)
    start = time.perf_counter()
    output, _ = layer(x)
    loss = (head(output) - target).square().mean()
    loss.backward()
    elapsed = time.perf_counter() - start
    torch.save([loss.detach(), *(p.grad for p in (*layer.parameters(), *head.parameters()))], path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"segment": segment, "peak_bytes": peak, "seconds": elapsed}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segment", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.path:
        train(chosen.segment, chosen.path)
        return
    rows, results = [], []
    with tempfile.TemporaryDirectory() as folder:
        for segment in (0, 300, 1000):
            path = Path(folder) / f"{segment}.pt"
            command = [sys.executable, __file__, "--segment", str(segment), "--path", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
            results.append(torch.load(path, weights_only=True))
            rows[-1]["largest_relative_difference"] = largest_difference(results[-1], results[0])
            print(
                f"segment {segment or 'none':>5}  peak {rows[-1]['peak_bytes'] / 2**20:6.0f} MiB  "
                f"{rows[-1]['seconds']:5.1f} s  gradients differ by {rows[-1]['largest_relative_difference']:.1e}",
                flush=True,
            )
    save("long_sequence", {"steps": STEPS, "batch": BATCH, "hidden": HIDDEN, "rows": rows})


if __name__ == "__main__":
    main()
