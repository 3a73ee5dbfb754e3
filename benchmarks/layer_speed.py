"""How much faster is a training step of one layer than torch.nn's? Forward and backward, float32, T = 100."""

import argparse

import torch
from measurement import alternate, geometric_mean, largest_difference, product_rate, save

from ricorso.layers import GRU, LSTM, RNN

STEPS = 100
PAIRS = {"lstm": (LSTM, torch.nn.LSTM), "gru": (GRU, torch.nn.GRU), "rnn": (RNN, torch.nn.RNN)}


def training_step(layer, x, gradient):
    output, _ = layer(x)
    output.backward(gradient)
    found = [output.detach(), x.grad, *(parameter.grad for parameter in layer.parameters())]
    x.grad = None
    for parameter in layer.parameters():
        parameter.grad = None
    return found


def measure(kind, hidden, batch, seconds, rate):
    torch.manual_seed(0)
    ours, peer = (make(hidden, hidden) for make in PAIRS[kind])
    peer.load_state_dict(ours.state_dict())
    x = torch.randn(STEPS, batch, hidden, requires_grad=True)
    gradient = torch.randn(STEPS, batch, hidden)
    difference = largest_difference(training_step(ours, x, gradient), training_step(peer, x, gradient))
    assert difference < 1e-4, f"{kind} {hidden} {batch}: results differ by {difference}"
    sides = {"ricorso": lambda: training_step(ours, x, gradient), "torch": lambda: training_step(peer, x, gradient)}
    times = alternate(sides, seconds)
    gates = ours.weight_hh_l0.shape[0] // hidden
    # six products: inputs and states, each forward, for the weights, and backward
    operations = 6 * 2 * STEPS * batch * gates * hidden * hidden
    ratio = times["torch"].median / times["ricorso"].median
    share = operations / times["ricorso"].median / rate
    print(
        f"{kind:5}{hidden:5}{batch:4}  ricorso {times['ricorso'].median * 1e3:8.2f} ms   "
        f"torch {times['torch'].median * 1e3:8.2f} ms   x{ratio:6.2f}   {share:4.0%} of the product rate   {ours.path}",
        flush=True,
    )
    return {
        "kind": kind,
        "hidden": hidden,
        "batch": batch,
        "ratio": ratio,
        "share_of_product_rate": share,
        "largest_relative_difference": difference,
        "path": ours.path,
        **{name: timing.as_json() for name, timing in times.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each shape")
    parser.add_argument("--large", action="store_true", help="shapes beyond the grid, where torch may be as fast")
    parser.add_argument("--kinds", nargs="+", default=list(PAIRS), choices=PAIRS)
    chosen = parser.parse_args()
    rate = product_rate()
    print(f"product rate {rate / 1e9:.0f} GFLOP/s, {torch.get_num_threads()} threads")
    grid = [(hidden, batch) for hidden in (64, 128, 256, 512) for batch in (1, 8, 64)]
    if chosen.large:
        grid = [(256, 16), (256, 256), (512, 16), (512, 128), (1024, 16), (1024, 128)]
    rows = [measure(kind, *shape, chosen.seconds, rate) for kind in chosen.kinds for shape in grid]
    means = {kind: geometric_mean([row["ratio"] for row in rows if row["kind"] == kind]) for kind in chosen.kinds}
    print("geometric means:", ", ".join(f"{kind} x{mean:.2f}" for kind, mean in means.items()))
    save(
        "layer_speed_large" if chosen.large else "layer_speed",
        {"product_rate_flops": rate, "geometric_mean_ratio": means, "rows": rows},
    )


if __name__ == "__main__":
    main()
