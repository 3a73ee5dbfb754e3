"""What do sequences of different lengths cost in training? Lengths uniform between T/4 and T, float32.

Ours with lengths, torch.nn with a PackedSequence, and both over the padding: time, and the peak of one step in a
process of its own.
"""

from measurement import OURS, asked, means, options, product_rate, save, say_machine, shown
from measurement.memory import growth, in_a_process_of_its_own

from ricorso.bench.sequence import ragged

KINDS = ("lstm", "gru")
GRID = [(steps, hidden, batch) for steps in (100, 200) for hidden in (128, 256) for batch in (32, 64)]
# a step of torch's takes seconds here
GRID += [(1000, 128, 32)]
IN_MEMORY = [(steps, 256, 64) for steps in (100, 200, 1000)]
SIDES = (OURS, "torch", "padded", "torch_padded")


def one_side(side, kind, steps, hidden, batch):
    """Print the bytes that one training step adds, once what is needed only once is there."""
    ragged(kind, hidden, batch, 4, padded=True).sides[side]()
    question = ragged(kind, hidden, batch, steps, padded=True)
    print(growth(question.sides[side]))


def memory(kind, steps, hidden, batch):
    """Bytes that a training step adds, for each side."""
    used = {side: in_a_process_of_its_own(__file__, "--side", side, kind, steps, hidden, batch) for side in SIDES}
    told = "  ".join(f"{side} {size / 2**20:.0f} MiB" for side, size in used.items())
    print(f"{kind:5}{steps:5}{hidden:5}{batch:5}  {told}", flush=True)
    return {"cell": kind, "steps": steps, "hidden": hidden, "batch": batch, "bytes": used}


def main():
    parser = options(__doc__)
    parser.add_argument("--side", nargs=5, help="used for the measurement of memory")
    chosen = parser.parse_args()
    if chosen.side:
        one_side(*chosen.side[:2], *map(int, chosen.side[2:]))
        return
    rate = product_rate()
    say_machine(rate)
    answers = []
    for kind in KINDS:
        for steps, hidden, batch in GRID:
            answers.append(asked(ragged(kind, hidden, batch, steps, padded=True), chosen.seconds, rate))
            print(shown(answers[-1]), flush=True)
    save(
        "ragged",
        {
            "product_rate_flops": rate,
            "geometric_mean_ratio": means(answers),
            "rows": [answer.as_json() for answer in answers],
            "memory": [memory(kind, *shape) for kind in KINDS for shape in IN_MEMORY],
        },
    )


if __name__ == "__main__":
    main()
