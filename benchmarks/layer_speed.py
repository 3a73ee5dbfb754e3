"""How much faster is a training step of one layer than torch.nn's? Forward and backward, float32, T = 100."""

from measurement import asked, means, options, product_rate, save, say_machine, shown

from ricorso.bench.sequence import PAIRS, training

STEPS = 100
GRID = [(hidden, batch) for hidden in (64, 128, 256, 512) for batch in (1, 8, 64)]
LARGE = [(256, 16), (256, 256), (512, 16), (512, 128), (1024, 16), (1024, 128)]
OF_STACKS = [(hidden, batch) for hidden in (128, 256) for batch in (1, 8, 64)]
STACKS = {"2 layers": {"num_layers": 2}, "both directions": {"bidirectional": True}}


def measure(kinds, grid, seconds, rate, **layer):
    """Rows of the result, and the answers they come from."""
    answers = []
    for kind in kinds:
        for hidden, batch in grid:
            answers.append(asked(training(kind, hidden, batch, STEPS, **layer), seconds, rate))
            print(shown(answers[-1]), flush=True)
    rows = [
        {
            "kind": answer.cell,
            "hidden": answer.hidden,
            "batch": answer.batch,
            **answer.as_json(),
            "ratio": answer.ratio("torch"),
            "largest_relative_difference": answer.differences["torch"],
        }
        for answer in answers
    ]
    return rows, {kind: of_peers["torch"] for kind, of_peers in means(answers).items()}


def main():
    parser = options(__doc__)
    parser.add_argument("--large", action="store_true", help="shapes beyond the grid, where torch may be as fast")
    parser.add_argument("--stacks", action="store_true", help="two layers, and both directions")
    parser.add_argument("--kinds", nargs="+", default=list(PAIRS), choices=PAIRS)
    chosen = parser.parse_args()
    rate = product_rate()
    say_machine(rate)
    known = {"steps": STEPS, "product_rate_flops": rate}
    if chosen.stacks:
        found = {}
        for name, layer in STACKS.items():
            print(name)
            rows, mean = measure(chosen.kinds, OF_STACKS, chosen.seconds, rate, **layer)
            found[name] = {"geometric_mean_ratio": mean, "rows": rows}
        save("layer_speed_stacks", {**known, "stacks": found})
        return
    rows, mean = measure(chosen.kinds, LARGE if chosen.large else GRID, chosen.seconds, rate)
    save("layer_speed_large" if chosen.large else "layer_speed", {**known, "geometric_mean_ratio": mean, "rows": rows})


if __name__ == "__main__":
    main()
