"""Questions about whole sequences: training, ragged training, inference."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ricorso.bench.onnx_side import OnnxSide, fastest, sequence_sides
from ricorso.bench.question import OURS, Question, Side
from ricorso.bench.torch_loop import TorchLoop
from ricorso.equations import Cell
from ricorso.layers import GRU, LSTM, RNN, Recurrent

PAIRS: dict[str, tuple[Callable[..., Recurrent], Callable[..., nn.RNNBase]]] = {
    "lstm": (LSTM, nn.LSTM),
    "gru": (GRU, nn.GRU),
    "rnn": (RNN, nn.RNN),
}
# Of cells of every kind, some of which divide by small numbers; see cell_speed.py in benchmarks/.
LOOP_TOLERANCE = 2e-3
Layer = Callable[[Tensor], tuple[Tensor, Any]]


def pair(kind: str, inputs: int, hidden: int, **options: Any) -> tuple[Recurrent, nn.RNNBase]:
    """Our layer and torch's with the same weights. kind: a name of PAIRS."""
    torch.manual_seed(0)
    make, make_theirs = PAIRS[kind]
    ours, theirs = make(inputs, hidden, **options), make_theirs(inputs, hidden, **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def training_step(run: Layer, parameters: Sequence[Tensor], x: Tensor, gradient: Tensor) -> list[Tensor]:
    """Output, and the gradients of the input and the parameters."""
    output, _ = run(x)
    return [output.detach(), *torch.autograd.grad(output, [x, *parameters], gradient)]


@torch.inference_mode()
def whole(run: Layer, x: Tensor) -> list[Tensor]:
    """Output and final states, without gradients."""
    output, last = run(x)
    return [output, *([last] if isinstance(last, Tensor) else last)]


def product_operations(layer: nn.Module, rows: int, training: bool) -> float:
    """Each weight takes part in a product of every row of every step; in training twice more, for itself and backward.

    rows: sequences at all steps together.
    """
    weights = sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))
    return (3 if training else 1) * 2.0 * rows * weights


def training(kind: str, hidden: int, batch: int, steps: int, **options: Any) -> Question:
    """A training step beside torch.nn. options: of the layers, such as num_layers=2."""
    ours, theirs = pair(kind, hidden, hidden, **options)
    x = torch.randn(steps, batch, hidden, requires_grad=True)
    gradient = torch.randn(steps, batch, hidden * (2 if options.get("bidirectional") else 1))
    sides: dict[str, Side] = {
        name: partial(training_step, layer, list(layer.parameters()), x, gradient)
        for name, layer in ((OURS, ours), ("torch", theirs))
    }
    operations = product_operations(ours, steps * batch, training=True)
    return Question("training", kind, hidden, batch, steps, sides, operations, way=lambda: ours.path)


def inference(kind: str, hidden: int, batch: int, steps: int, onnx: bool = True) -> Question:
    """A batch without gradients beside torch.nn and, with onnx, ONNX Runtime in its fastest setting."""
    ours, theirs = pair(kind, hidden, hidden)
    x = torch.randn(steps, batch, hidden)
    sides: dict[str, Side] = {OURS: partial(whole, ours, x), "torch": partial(whole, theirs, x)}
    third: OnnxSide | None = fastest(sequence_sides(kind, theirs, x)) if onnx else None
    if third:
        sides["onnxruntime"] = third
    operations = product_operations(ours, steps * batch, training=False)
    between = third.close if third else None
    return Question("inference", kind, hidden, batch, steps, sides, operations, way=lambda: ours.path, between=between)


def lengths_between(low: int, high: int, batch: int) -> Tensor:
    """Lengths drawn uniformly, with one sequence of the greatest length."""
    lengths = torch.randint(low, high + 1, (batch,))
    lengths[0] = high
    return lengths


def ragged(kind: str, hidden: int, batch: int, steps: int, padded: bool = False) -> Question:
    """A training step on sequences of a quarter of `steps` to `steps`, beside torch.nn with a PackedSequence.

    padded: also beside both layers run over the padding, whose output there is then worthless.
    """
    ours, theirs = pair(kind, hidden, hidden)
    lengths = lengths_between(math.ceil(steps / 4), steps, batch)
    valid = (torch.arange(steps).unsqueeze(1) < lengths).unsqueeze(2)
    x = torch.randn(steps, batch, hidden, requires_grad=True)
    gradient = torch.randn(steps, batch, hidden).mul_(valid)
    ways: dict[str, tuple[Layer, nn.Module]] = {
        OURS: (lambda x: ours(x, lengths=lengths), ours),
        "torch": (partial(packed, theirs, lengths), theirs),
    }
    if padded:
        ways |= {"padded": (ours, ours), "torch_padded": (theirs, theirs)}
    sides: dict[str, Side] = {
        name: partial(training_step, run, list(layer.parameters()), x, gradient) for name, (run, layer) in ways.items()
    }
    operations = product_operations(ours, int(lengths.sum()), training=True)

    def comparable(results: Sequence[Tensor]) -> list[Tensor]:
        output, *gradients = results
        return [output * valid, *gradients]

    return Question(
        "ragged", kind, hidden, batch, steps, sides, operations, way=lambda: ours.path, comparable=comparable
    )


def packed(layer: nn.RNNBase, lengths: Tensor, x: Tensor) -> tuple[Tensor, Any]:
    """torch.nn on a PackedSequence, packed before and padded after."""
    output, last = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    return pad_packed_sequence(output, total_length=len(x))[0], last


def of_cell(section: str, cell: Cell, hidden: int, batch: int, steps: int) -> Question:
    """Training or inference with any cell beside a torch loop over its equations."""
    torch.manual_seed(0)
    ours = Recurrent(cell, hidden, hidden)
    loop = TorchLoop(ours)
    x = torch.randn(steps, batch, hidden, requires_grad=section == "training")
    sides: dict[str, Side] = {OURS: partial(whole, ours, x), "loop": partial(whole, loop, x)}
    if section == "training":
        gradient = torch.randn(steps, batch, hidden)
        parameters = list(ours.parameters())
        sides = {
            name: partial(training_step, run, parameters, x, gradient) for name, run in ((OURS, ours), ("loop", loop))
        }
    operations = product_operations(ours, steps * batch, training=section == "training")
    return Question(
        section, cell.name, hidden, batch, steps, sides, operations, tolerance=LOOP_TOLERANCE, way=lambda: ours.path
    )
