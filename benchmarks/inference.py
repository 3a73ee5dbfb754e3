"""How much faster is inference on whole batches than torch.nn's and ONNX Runtime's? No gradients, float32, T = 100.

ONNX Runtime runs its LSTM, GRU and RNN operators on the same weights, with one thread or as many as torch has, with
arrays or with bound memory, whichever is fastest at each size.
"""

from measurement import asked, means, options, product_rate, save, say_machine, shown

from ricorso.bench.onnx_side import missing
from ricorso.bench.sequence import PAIRS, inference

STEPS = 100
GRID = [(hidden, batch) for hidden in (64, 128, 256, 512) for batch in (1, 8, 64)]


def main():
    chosen = options(__doc__).parse_args()
    if missing():
        print(f"without ONNX Runtime, as these are not installed: {missing()}")
    rate = product_rate()
    say_machine(rate)
    answers = []
    for kind in PAIRS:
        for hidden, batch in GRID:
            answers.append(asked(inference(kind, hidden, batch, STEPS, onnx=not missing()), chosen.seconds, rate))
            print(shown(answers[-1]), flush=True)
    rows = [answer.as_json() for answer in answers]
    mean = means(answers)
    save("inference", {"steps": STEPS, "product_rate_flops": rate, "geometric_mean_ratio": mean, "rows": rows})


if __name__ == "__main__":
    main()
