"""How fast is a training step of every cell? Beside the LSTM, beside its own products, and beside a torch loop."""

import argparse
from functools import partial

import torch
from measurement import alternate, largest_difference, product_rate, save
from measurement.loops import LOOPS, loop

from ricorso import CATALOGUE, Recurrent
from ricorso.equations import Cell, gates, sigmoid, softplus, states

HIDDEN, BATCH, STEPS = 256, 32, 100

a, b = gates("a b")
(h,) = states("h")
OWN = Cell(
    "softplus_unit",
    title="A user's cell",
    gates=(a, b),
    states=(h,),
    update={h: sigmoid(a) * h + (1 - sigmoid(a)) * softplus(b)},
)


def training_step(run, parameters, x, gradient):
    output = run(x)
    return [output.detach(), *torch.autograd.grad(output, [x, *parameters], gradient)]


def problem(cell, hidden=HIDDEN, batch=BATCH):
    torch.manual_seed(0)
    layer = Recurrent(cell, hidden, hidden)
    return layer, torch.randn(STEPS, batch, hidden, requires_grad=True), torch.randn(STEPS, batch, hidden)


def product_operations(layer):
    """Each weight takes part in three products of every step and row: forward, for itself, and backward."""
    weights = sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))
    return 3 * 2 * STEPS * BATCH * weights


def against_the_lstm(seconds, rate):
    lstm, x, gradient = problem("lstm")
    rows = []
    for cell in (*CATALOGUE.values(), OWN):
        layer, _, _ = problem(cell)
        sides = {
            name: lambda own=own: training_step(lambda x: own(x)[0], list(own.parameters()), x, gradient)
            for name, own in (("own", layer), ("lstm", lstm))
        }
        times = alternate(sides, seconds)
        share = product_operations(lstm) / times["lstm"].median / rate
        own_products = product_operations(layer) / (share * rate)
        row = {
            "cell": cell.name,
            "relative_to_lstm": times["own"].median / times["lstm"].median,
            "milliseconds": times["own"].median * 1e3,
            "lstm_share_of_product_rate": share,
            "times_its_products_at_the_lstm_share": times["own"].median / own_products,
            **{name: timing.as_json() for name, timing in times.items()},
        }
        rows.append(row)
        print(
            f"{cell.name:18}{row['milliseconds']:8.1f} ms  x{row['relative_to_lstm']:5.2f} of the LSTM  "
            f"x{row['times_its_products_at_the_lstm_share']:5.2f} of its products at the LSTM's share ({share:.0%})",
            flush=True,
        )
    return rows


def against_loops(seconds, hidden, batch):
    rows = []
    for name in LOOPS:
        layer, x, gradient = problem(OWN if name == OWN.name else name, hidden, batch)
        ways = {
            "ricorso": lambda x, layer=layer: layer(x)[0],
            "loop": loop(layer),
            "loop, projection before it": loop(layer, hoisted=True),
            "loop, step compiled": loop(layer, hoisted=True, compile_step=True),
        }
        parameters = list(layer.parameters())
        sides = {way: partial(training_step, run, parameters, x, gradient) for way, run in ways.items()}
        results = {way: run() for way, run in sides.items()}
        difference = max(largest_difference(results[way], results["loop"]) for way in ways)
        assert difference < 2e-3, f"{name}: results differ by {difference}"
        times = alternate(sides, seconds)
        ratios = {way: times[way].median / times["ricorso"].median for way in ways if way != "ricorso"}
        rows.append(
            {
                "cell": name,
                "hidden": hidden,
                "batch": batch,
                "times_faster_than": ratios,
                "largest_relative_difference": difference,
                **{way: timing.as_json() for way, timing in times.items()},
            }
        )
        shown = ", ".join(f"x{ratio:.1f} {way}" for way, ratio in ratios.items())
        print(f"{name:18}{hidden:4}{batch:4}{times['ricorso'].median * 1e3:8.1f} ms  {shown}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each cell")
    chosen = parser.parse_args()
    rate = product_rate()
    print(f"product rate {rate / 1e9:.0f} GFLOP/s, {torch.get_num_threads()} threads")
    rows = against_the_lstm(chosen.seconds, rate)
    loops = [row for sizes in ((HIDDEN, BATCH), (128, 1)) for row in against_loops(2 * chosen.seconds, *sizes)]
    sizes = {"hidden": HIDDEN, "batch": BATCH, "steps": STEPS}
    save("cell_speed", {**sizes, "product_rate_flops": rate, "rows": rows, "loops": loops})


if __name__ == "__main__":
    main()
