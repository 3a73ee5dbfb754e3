"""Copy memory: ten symbols are shown, then nothing for a long while; which were they?

Input: 10 of 8 symbols, T - 1 blanks, a sign, 10 blanks. Target: blanks, and after the sign the 10 symbols in order:
T + 20 steps. The loss is the mean cross-entropy over all steps; knowing the form but no symbol gives
10 ln 8 / (T + 20). From Hochreiter and Schmidhuber 1997, in the form of arXiv:1511.06464.
"""

import math

import torch
from long_memory import Task, parser, run
from torch import Tensor, nn

SHOWN, SYMBOLS = 10, 8
BLANK, SIGN = SYMBOLS, SYMBOLS + 1
PUBLISHED = {
    "orthogonal and unitary networks": "near 0 at T=1,000",
    "LSTM": "0.0204 at T=1,000, which is guessing",
}


def sequences(steps: int, count: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, both token ids (time, batch)."""
    shown = torch.randint(0, SYMBOLS, (SHOWN, count))
    inputs = torch.full((steps + 2 * SHOWN, count), BLANK)
    targets = inputs.clone()
    inputs[:SHOWN], inputs[steps + SHOWN - 1], targets[-SHOWN:] = shown, SIGN, shown
    return inputs, targets


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy over all steps."""
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def main() -> None:
    """Train, and say how well the symbols are known."""
    # the slowest units of the LRU keep a third of what they hold over its horizon, so ten times T
    cells = ["lru:10000", "lstm"]
    chosen = parser("Copy memory.", cell=cells, steps=1000, hidden=64, iterations=3000, rate=3e-3).parse_args()
    task = Task(
        "copy memory",
        draw=lambda count: sequences(chosen.steps, count),
        loss=loss,
        input_size=SYMBOLS + 2,
        output_size=SYMBOLS + 1,
        read=slice(None),
        guessing=SHOWN * math.log(SYMBOLS) / (chosen.steps + 2 * SHOWN),
        published=PUBLISHED,
    )
    run(task, chosen)


if __name__ == "__main__":
    main()
