"""What does everything around the layers cost in training? H = 128, batch 32, T = 64, characters.

One side is `Generator.fit` as a user runs it: batches from the text, guards, records, a checkpoint every minute. The
other is a bare loop over batches made before: loss, gradients, clipping, step. Both train the same model.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from measurement import options, save

from ricorso.cells import get_cell
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.data import Source, prepare
from ricorso.tasks.generate.model import TextModel
from ricorso.tasks.generate.work import TextWork
from ricorso.training.interrupt import StopRequest
from ricorso.training.listener import Listener
from ricorso.training.loop import Plan, Training
from ricorso.training.optimiser import clip, gradient_norm, optimiser, set_learning_rate
from ricorso.training.schedule import Budget

STEPS, BLOCKS = 200, 24


class Clock(Listener):
    """When the last step was done, and how long the checkpoint after it took."""

    def on_step(self, figures):
        self.last = time.perf_counter()

    def on_checkpoint(self, folder):
        self.checkpoint = time.perf_counter() - self.last


def whole(work, config, folder):
    """Seconds for `STEPS` steps of a training, and for its one checkpoint."""
    clock = Clock()
    training = Training(work, Plan(config, Budget(steps=STEPS), 0, 0), StopRequest(), clock, folder)
    began = time.perf_counter()
    training.run()
    return clock.last - began, clock.checkpoint


def bare(model, batches, config):
    """Seconds for `STEPS` steps of a plain loop."""
    parameters = list(model.parameters())
    optimise = optimiser(model, config.optimiser, config.weight_decay)
    set_learning_rate(optimise, config.learning_rate)
    model.train()
    state = None
    began = time.perf_counter()
    for number in range(STEPS):
        loss, state = model.training_loss(*batches[number % len(batches)], state)
        state = state.detach() if isinstance(state, torch.Tensor) else tuple(part.detach() for part in state)
        optimise.zero_grad(set_to_none=True)
        loss.backward()
        clip(parameters, float(gradient_norm(parameters)), config.clip)
        optimise.step()
    return time.perf_counter() - began


def main():
    options(__doc__).parse_args()
    text = "".join(chr(97 + n * n % 26) + " " * (n % 7 == 0) for n in range(400_000))
    rows = []
    for cell in ("lstm", "gru"):
        config = GenerateConfig.of(
            {"cell": cell, "hidden_size": 128, "batch_size": 32, "sequence_length": 64, "dropout": 0.0, "average": 0.0}
        ).resolved()
        data = prepare(Source(text, None), None, config)
        torch.manual_seed(0)
        model = TextModel(get_cell(cell), len(data.vocabulary), config)
        work = TextWork(model, data, config)
        made = [work.batch(0, n, slice(None)) for n in range(20)]
        batches = [(batch.inputs, batch.targets) for batch in made]
        bare(model, batches, config)
        times = {"training": [], "bare loop": [], "checkpoint": []}
        with tempfile.TemporaryDirectory() as place:
            for block in range(BLOCKS):
                folder = Path(place) / str(block)
                folder.mkdir()
                seconds, checkpoint = whole(work, config, folder)
                times["training"].append(seconds / STEPS)
                times["checkpoint"].append(checkpoint)
                times["bare loop"].append(bare(model, batches, config) / STEPS)
        middle = {name: median(values) for name, values in times.items()}
        ratios = sorted(ours / theirs for ours, theirs in zip(times["training"], times["bare loop"], strict=True))
        overhead = median(ratios) - 1 + middle["checkpoint"] / 60
        quartiles = [ratios[len(ratios) // 4] - 1, ratios[3 * len(ratios) // 4] - 1]
        rows.append({"cell": cell, "seconds": middle, "all": times, "overhead": overhead, "quartiles": quartiles})
        print(
            f"{cell:5} a step {middle['training'] * 1e3:.2f} ms, of a bare loop {middle['bare loop'] * 1e3:.2f} ms, "
            f"a checkpoint {middle['checkpoint'] * 1e3:.0f} ms: {overhead:+.1%} with one a minute "
            f"(quartiles of the blocks {quartiles[0]:+.1%}, {quartiles[1]:+.1%})"
        )
    save("training_overhead", {"hidden": 128, "batch": 32, "steps": 64, "rows": rows})


if __name__ == "__main__":
    main()
