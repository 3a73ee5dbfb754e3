"""How much memory does a training step take beside torch.nn's? Peak over the step, each side in a fresh process."""

import argparse

from measurement import OURS, save
from measurement.memory import growth, in_a_process_of_its_own

from ricorso.bench.sequence import PAIRS, training

STEPS, BATCH, HIDDEN = 400, 64, 256


def one_side(kind, side):
    training(kind, HIDDEN, BATCH, 2).sides[side]()
    question = training(kind, HIDDEN, BATCH, STEPS)
    print(growth(question.sides[side]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", nargs=2)
    chosen = parser.parse_args()
    if chosen.side:
        one_side(*chosen.side)
        return
    rows = []
    for kind in PAIRS:
        ours, theirs = (in_a_process_of_its_own(__file__, "--side", kind, side) for side in (OURS, "torch"))
        rows.append({"kind": kind, "ricorso_bytes": ours, "torch_bytes": theirs, "share": ours / theirs})
        print(f"{kind:5} ricorso {ours / 2**20:6.0f} MiB   torch {theirs / 2**20:6.0f} MiB   {ours / theirs:.2f}")
    save("training_memory", {"steps": STEPS, "batch": BATCH, "hidden": HIDDEN, "rows": rows})


if __name__ == "__main__":
    main()
