"""How much faster is bfloat16 than float32, and how far off?"""

import argparse

import torch
from measurement import alternate, save

from ricorso import Recurrent
from ricorso.engine.path import multiplies_bfloat16

STEPS = 100
GRID = [("lstm", 256, 32), ("lstm", 256, 64), ("lstm", 512, 32), ("lstm", 512, 64), ("gru", 256, 32), ("gru", 512, 64)]
GRID += [(cell, 256, 32) for cell in ("lstm_layer_norm", "gru_reset_before", "slstm", "lem", "mingru")]


def training_step(layer, x, gradient):
    output, _ = layer(x)
    return [output.detach(), *torch.autograd.grad(output, [x, *layer.parameters()], gradient)]


def measure(cell, hidden, batch, seconds):
    torch.manual_seed(0)
    single = Recurrent(cell, hidden, hidden)
    half = Recurrent(cell, hidden, hidden).bfloat16()
    half.load_state_dict(single.state_dict())
    x, gradient = torch.randn(STEPS, batch, hidden, requires_grad=True), torch.randn(STEPS, batch, hidden)
    y, half_gradient = x.detach().bfloat16().requires_grad_(), gradient.bfloat16()
    sides = {
        "float32": lambda: training_step(single, x, gradient),
        "bfloat16": lambda: training_step(half, y, half_gradient),
    }
    found, wanted = sides["bfloat16"](), sides["float32"]()
    error = max(float((a.float() - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True))
    times = alternate(sides, seconds)
    ratio = times["float32"].median / times["bfloat16"].median
    print(
        f"{cell:18}{hidden:5}{batch:4}  x{ratio:5.2f}  relative error of results and gradients {error:.4f}", flush=True
    )
    return {
        "cell": cell,
        "hidden": hidden,
        "batch": batch,
        "ratio": ratio,
        "largest_relative_error_by_norm": error,
        "path": half.path,
        **{name: timing.as_json() for name, timing in times.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each shape")
    chosen = parser.parse_args()
    if not multiplies_bfloat16():
        print("this processor has no instructions for bfloat16: nothing to measure")
        return
    save("half_precision", {"steps": STEPS, "rows": [measure(*shape, chosen.seconds) for shape in GRID]})


if __name__ == "__main__":
    main()
