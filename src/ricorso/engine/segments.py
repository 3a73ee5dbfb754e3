"""Exact backpropagation through very long sequences: states are kept at the ends of segments, the rest recomputed.

With segments of K steps a run keeps T / K states and what backward needs of one segment, for one more forward pass.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ricorso.engine.call import TENSORS, Call, Gradients, Saved
from ricorso.engine.device import engine_for
from ricorso.equations.cell import Cell


def segment_for(cell: Cell, call: Call, budget: int) -> int:
    """The longest segment whose saved values fit `budget` bytes beside the states at its ends; 0 for all steps.

    Outputs are not counted: they belong to the caller.
    """
    steps = call.steps
    row = -(-call.rows // max(steps, 1)) * call.initial.shape[2] * call.initial.element_size()
    each = (len(cell.leaves) + len(cell.states) - 1) * row
    if steps * each <= budget:
        return 0
    fitting = [k for k in _powers(steps) if k * each + -(-steps // k) * len(cell.states) * row <= budget]
    # where nothing fits, what takes the least
    least = max(1, int((steps * len(cell.states) * row / each) ** 0.5))
    return max(fitting, default=least)


def _powers(steps: int) -> Iterator[int]:
    k = 1
    while k < steps:
        yield k
        k *= 2


def _pieces(call: Call, segment: int) -> list[slice]:
    """The segments in the order in which time runs."""
    steps = call.steps
    found = [slice(begin, min(begin + segment, steps)) for begin in range(0, steps, segment)]
    return found[::-1] if call.reverse else found


def _rows(call: Call, piece: slice) -> slice:
    """The rows of some steps in the first dimension of outputs."""
    return piece if call.sizes is None else slice(int(call.offsets[piece.start]), int(call.offsets[piece.stop]))


def forward(cell: Cell, call: Call, segment: int) -> tuple[Tensor, Tensor, Saved]:
    """As `fast.forward`; of what is saved, `others` are the states before each segment and the leaves are empty."""
    output = call.initial.new_empty(*call.leading, call.initial.shape[2])
    states, starts = call.initial, []
    for piece in _pieces(call, segment):
        starts.append(states)
        _, states, _ = engine_for(call).forward(cell, call.part(piece, states), output[_rows(call, piece)])
    return output, states, Saved(output, torch.stack(starts), output.new_empty(0), output.new_empty(0))


def backward(
    cell: Cell,
    call: Call,
    saved: Saved,
    output_gradient: Tensor,
    final_gradient: Tensor | None,
    needs_input: bool,
    segment: int,
) -> Gradients:
    """As `fast.backward`, each segment run forward once more before it is run backward."""
    names, engine = TENSORS, engine_for(call)
    total: dict[str, Tensor | None] = dict.fromkeys(names)
    if needs_input:
        total["inputs"] = torch.empty_like(call.inputs)
    states_gradient = final_gradient
    for piece, start in reversed(list(zip(_pieces(call, segment), saved.others, strict=True))):
        part, rows = call.part(piece, start), _rows(call, piece)
        _, _, again = engine.forward(cell, part)
        found = dict(
            zip(
                names,
                engine.backward(cell, part, again, output_gradient[rows], states_gradient, needs_input, overwrite=True),
                strict=True,
            )
        )
        states_gradient = found.pop("initial")
        of_inputs = found.pop("inputs")
        if of_inputs is not None:
            total["inputs"][rows] = of_inputs  # type: ignore[index]
        for name, gradient in found.items():
            if gradient is not None:
                so_far = total[name]
                total[name] = gradient if so_far is None else so_far.add_(gradient)
    total["initial"] = states_gradient
    return tuple(total.values())
