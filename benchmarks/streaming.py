"""How long does one step of a stream take, beside torch.nn's cells and ONNX Runtime? And 1,000 streams at once?

ONNX Runtime runs a model of one step, with one thread or as many as torch has, with arrays or with bound memory,
whichever is fastest at each size. A step of all streams is also measured against as many steps of one, ours and
torch.nn's; a batch at the machine's whole product rate could not be further ahead of ours than `most`.
"""

import torch
from measurement import alternate, asked, means, options, product_rate, save, say_machine

from ricorso.bench.onnx_side import missing
from ricorso.bench.sequence import pair, product_operations
from ricorso.bench.stream import CELLS, one_step_of, our_stream, step, torch_stream

SIZES = (128, 256, 512)
STREAMS = 1000


def shown(answer):
    taken = "  ".join(f"{name} {timing.median * 1e6:9.1f} µs" for name, timing in answer.times.items())
    ratios = "  ".join(f"x{answer.ratio(peer):6.2f} {peer}" for peer in answer.peers)
    return f"{answer.cell:5}{answer.hidden:5}{answer.batch:5}  {taken}  {ratios}"


def together_against_alone(kind, hidden, seconds, rate):
    """A step of all streams in one batch, against as many steps of one stream after the other."""
    ours, theirs = pair(kind, hidden, hidden)
    x = torch.randn(STREAMS, hidden).numpy()
    together, alone, cell = ours.stepper(STREAMS), ours.stepper(1), one_step_of(kind, theirs)
    sides = {
        "together": lambda: our_stream(together, [x]),
        "one by one": lambda: our_stream(alone, list(x[:, None])),
        "torch one by one": lambda: torch_stream(cell, torch.from_numpy(x).unsqueeze(1).unbind(0)),
    }
    times = alternate(sides, seconds)
    ratio, of_torch = (times[name].median / times["together"].median for name in ("one by one", "torch one by one"))
    least = product_operations(ours, STREAMS, training=False) / rate
    most = times["one by one"].median / least
    share = least / times["together"].median
    print(
        f"{kind:5}{hidden:5}  {STREAMS} streams in one batch x{ratio:.2f} one by one (at most x{most:.2f}), "
        f"x{of_torch:.2f} torch one by one, {share:.0%} of the product rate",
        flush=True,
    )
    return {
        "cell": kind,
        "hidden": hidden,
        "ratio": ratio,
        "most": most,
        "ratio_to_torch": of_torch,
        "share_of_product_rate": share,
        **{name: timing.as_json() for name, timing in times.items()},
    }


def main():
    chosen = options(__doc__).parse_args()
    onnx = not missing()
    if not onnx:
        print(f"without ONNX Runtime, as these are not installed: {missing()}")
    rate = product_rate()
    say_machine(rate)
    answers, crowds, batches = [], [], []
    for kind in CELLS:
        for hidden in SIZES:
            answers.append(asked(step(kind, hidden, onnx=onnx), chosen.seconds))
            print(shown(answers[-1]), flush=True)
    for kind in CELLS:
        for hidden in SIZES:
            crowds.append(asked(step(kind, hidden, STREAMS, steps=4, onnx=onnx), chosen.seconds))
            print(shown(crowds[-1]), flush=True)
            batches.append(together_against_alone(kind, hidden, chosen.seconds, rate))
    save(
        "streaming",
        {
            "streams": STREAMS,
            "product_rate_flops": rate,
            "geometric_mean_ratio": means(answers),
            "rows": [answer.as_json() for answer in answers],
            "geometric_mean_ratio_of_many_streams": means(crowds),
            "many_streams": [answer.as_json() for answer in crowds],
            "in_one_batch_against_one_by_one": batches,
        },
    )


if __name__ == "__main__":
    main()
