"""Questions about streams: one time step at a call, the state carried."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ricorso.bench.onnx_side import OnnxSide, fastest, stream_sides
from ricorso.bench.question import OURS, Question, Side
from ricorso.bench.sequence import pair
from ricorso.engine.stepper import Stepper

CELLS: dict[str, Callable[..., nn.RNNCellBase]] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}
STEPS = 100


def step(kind: str, hidden: int, batch: int = 1, steps: int = STEPS, onnx: bool = True) -> Question:
    """One step of `batch` streams beside torch.nn's LSTMCell, GRUCell or RNNCell, and ONNX Runtime in its fastest
    setting. A run has `steps` steps, after which the states are compared."""
    ours, theirs = pair(kind, hidden, hidden)
    x = torch.randn(steps, batch, hidden)
    sides: dict[str, Side] = {
        OURS: partial(our_stream, ours.stepper(batch), list(x.numpy())),
        "torch": partial(torch_stream, one_step_of(kind, theirs), x.unbind(0)),
    }
    third: OnnxSide | None = fastest(stream_sides(kind, theirs, x)) if onnx else None
    if third:
        sides["onnxruntime"] = third
    between: Callable[[], None] | None = third.close if third else None
    return Question("step", kind, hidden, batch, 1, sides, parts=steps, between=between)


def one_step_of(kind: str, layer: nn.RNNBase) -> nn.RNNCellBase:
    """torch.nn's cell with the weights of a layer."""
    cell = CELLS[kind](layer.input_size, layer.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    return cell


def our_stream(stepper: Stepper, steps: Sequence[NDArray[np.float32]]) -> list[Tensor]:
    """The states after all steps, from zero states."""
    stepper.reset()
    for x in steps:
        stepper.step(x)
    return [torch.from_numpy(state) for state in stepper.states]


@torch.inference_mode()
def torch_stream(cell: nn.RNNCellBase, steps: Sequence[Tensor]) -> list[Tensor]:
    """The states after all steps, from zero states."""
    state = None
    for x in steps:
        state = cell(x, state)
    return [part.unsqueeze(0) for part in (state if isinstance(state, tuple) else (state,))]
