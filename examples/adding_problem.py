"""The adding problem: two numbers far apart in a sequence are marked; what is their sum?

Input: at each of T steps a number between 0 and 1, and a marker, which is 1 at one random step of each half and 0
elsewhere. Target: the sum of the two marked numbers. The loss is the mean squared error; always answering 1 gives
1/6. From Hochreiter and Schmidhuber 1997, in the form of arXiv:2110.04744.
"""

import torch
from long_memory import Task, parser, run
from torch import Tensor, nn

PUBLISHED = {
    "LEM (arXiv:2110.04744)": "5e-5 at T=2,000",
    "IndRNN (arXiv:1803.04831)": "solves T=5,000",
    "LSTM": "fails at T=600 with 0.164",
}


def sequences(steps: int, count: int) -> tuple[Tensor, Tensor]:
    """Inputs (time, batch, 2) and targets (batch)."""
    numbers, markers = torch.rand(steps, count), torch.zeros(steps, count)
    for low, high in ((0, steps // 2), (steps // 2, steps)):
        markers[torch.randint(low, high, (count,)), torch.arange(count)] = 1
    return torch.stack((numbers, markers), 2), (numbers * markers).sum(0)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the answer at the last step."""
    return nn.functional.mse_loss(output[-1, :, 0], target)


def main() -> None:
    """Train, and say how well the sum is known."""
    # lstm:0 is the LSTM without a horizon, with its customary start
    cells = ["lem", "mingru", "lstm", "lstm:0"]
    chosen = parser("Adding problem.", cell=cells, steps=2000, hidden=16, iterations=3000, rate=1e-2).parse_args()
    task = Task(
        "adding problem",
        draw=lambda count: sequences(chosen.steps, count),
        loss=loss,
        input_size=2,
        output_size=1,
        read=slice(-1, None),
        guessing=1 / 6,
        published=PUBLISHED,
    )
    run(task, chosen)


if __name__ == "__main__":
    main()
