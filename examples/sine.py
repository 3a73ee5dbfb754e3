"""Predict the next value of a sine wave with a small network, then let it run free on its own predictions.

The wave has 25 points in a period. Training sees pieces with random phases; then the error of the next value is
measured on a new piece, and the network goes on for three periods from its own outputs, through the compiled stepper.
Both are drawn into one page.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

import ricorso
from ricorso.insight.free_run import FreeRun, phase_shift, save_free_runs

PERIOD, LENGTH, BATCH = 25, 100, 32
console = Console(highlight=False, soft_wrap=True)


def waves(phases: torch.Tensor, length: int) -> torch.Tensor:
    """Sine waves (time, batch, 1) that begin at the phases (batch)."""
    return torch.sin(2 * math.pi * torch.arange(length)[:, None] / PERIOD + phases)[..., None]


def train(layer: nn.Module, head: nn.Module, steps: int) -> None:
    """Learn the next value from the ones before, on waves of random phase."""
    parameters = [*layer.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        wave = waves(2 * math.pi * torch.rand(BATCH), LENGTH + 1)
        output, _ = layer(wave[:-1])
        # the first values say too little of where the wave is
        loss = (head(output) - wave[1:])[10:].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def run_free(layer: ricorso.GRU, head: nn.Linear, seen: np.ndarray, count: int) -> np.ndarray:
    """What comes after `seen` (time), each value made from the one before."""
    weight, bias = head.weight.detach().numpy()[0], float(head.bias.detach())
    stepper = layer.stepper()
    for value in seen:
        hidden = stepper.step(np.array([[value]], np.float32))
    found = []
    for _ in range(count):
        found.append(float(hidden[0] @ weight + bias))
        hidden = stepper.step(np.array([[found[-1]]], np.float32))
    return np.array(found)


def main() -> None:
    """Train, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000, help="training steps [default: 4000]")
    parser.add_argument("--hidden", type=int, default=32, help="units [default: 32]")
    parser.add_argument("--out", type=Path, default=Path("sine.html"), help="the page [default: sine.html]")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    layer, head = ricorso.GRU(1, chosen.hidden), nn.Linear(chosen.hidden, 1)
    train(layer, head, chosen.steps)
    begin, free_steps = 75, 3 * PERIOD
    wave = waves(torch.tensor([1.0]), begin + free_steps)
    with torch.no_grad():
        predicted = head(layer(wave[: begin - 1])[0])[:, 0, 0].numpy()
    known = wave[:, 0, 0].numpy()
    error = float(np.sqrt(np.square(predicted[PERIOD:] - known[PERIOD + 1 : begin]).mean()))
    run = FreeRun("sine", known, predicted, run_free(layer, head, known[:begin], free_steps))
    shift = phase_shift(run.free, known[begin:], PERIOD)
    console.print(f"error of the next value, root of the mean square after one period: {error:.1e}")
    console.print(
        f"running free for three periods: largest error {np.abs(run.free - known[begin:]).max():.3f}, "
        f"shifted by {shift:.3f} steps at the end"
    )
    save_free_runs(chosen.out, "A sine wave", [run])
    console.print(f"drawn in {chosen.out}")


if __name__ == "__main__":
    main()
