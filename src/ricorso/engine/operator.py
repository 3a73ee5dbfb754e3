"""The engine as registered torch operators, so that torch.compile, autograd and dispatch see one opaque call.

A second derivative goes through the oracle: when the backward pass itself is differentiated, the layer is run again
as a plain loop and differentiated by torch.
"""

import json
from functools import partial

import torch
from torch import Tensor

from ricorso.cells import CATALOGUE
from ricorso.engine import fast, naive
from ricorso.equations.cell import Cell
from ricorso.equations.portable import to_json

_CELLS: dict[str, Cell] = dict(CATALOGUE)


def register(cell: Cell) -> str:
    """The name under which operators know `cell`: its own, or for a cell outside the catalogue its whole text."""
    if _CELLS.get(cell.name) is cell:
        return cell.name
    key = json.dumps(to_json(cell), sort_keys=True)
    _CELLS.setdefault(key, cell)
    return key


def _run_forward(
    inputs, weight_ih, weight_hh, bias_ih, bias_hh, initial, cell, reverse
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return fast.forward(_CELLS[cell], inputs, weight_ih, weight_hh, bias_ih, bias_hh, initial, reverse)


def _run_backward(
    d_output, d_finals, x, weight_ih, weight_hh, has_bias, initial, output, others, columns, cell, reverse, needs_input,
    overwrite=False,
) -> list[Tensor]:  # fmt: skip
    found = fast.backward(
        _CELLS[cell], d_output, d_finals, x, weight_ih, weight_hh, has_bias, initial, output, others, columns,
        reverse, needs_input, overwrite,
    )  # fmt: skip
    return [gradient for gradient in found if gradient is not None]


@torch.library.custom_op("ricorso::forward", mutates_args=())
def forward_operator(
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    initial: Tensor,
    cell: str,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`fast.forward` for torch's dispatcher."""
    return _run_forward(inputs, weight_ih, weight_hh, bias_ih, bias_hh, initial, cell, reverse)


@forward_operator.register_fake
def _(inputs, weight_ih, weight_hh, bias_ih, bias_hh, initial, cell, reverse):
    states, batch, hidden = initial.shape
    steps = inputs.shape[0]
    return (
        weight_hh.new_empty(steps, batch, hidden),
        weight_hh.new_empty(states, batch, hidden),
        weight_hh.new_empty(states - 1, steps, batch, hidden),
        weight_hh.new_empty(steps, batch, len(_CELLS[cell].leaves) * hidden),
    )


@torch.library.custom_op("ricorso::backward", mutates_args=())
def backward_operator(
    output_gradient: Tensor,
    final_gradient: Tensor | None,
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    has_bias: bool,
    initial: Tensor,
    output: Tensor,
    others: Tensor,
    columns: Tensor,
    cell: str,
    reverse: bool,
    needs_input: bool,
) -> list[Tensor]:
    """`fast.backward` for torch's dispatcher; gradients that do not exist are left out."""
    return _run_backward(
        output_gradient, final_gradient, inputs, weight_ih, weight_hh, has_bias, initial, output, others, columns,
        cell, reverse, needs_input,
    )  # fmt: skip


@backward_operator.register_fake
def _(
    output_gradient, final_gradient, inputs, weight_ih, weight_hh, has_bias, initial, output, others, columns, cell,
    reverse, needs_input,
):  # fmt: skip
    found = [torch.empty_like(inputs)] if needs_input else []
    found += [torch.empty_like(weight_ih), torch.empty_like(weight_hh)]
    if has_bias:
        found += [weight_hh.new_empty(weight_hh.shape[0]) for _ in range(2)]
    return [*found, torch.empty_like(initial)]


def _setup_context(ctx, inputs, output):
    *tensors, cell, reverse = inputs
    out, _, others, columns = output
    ctx.save_for_backward(*tensors, out, others, columns)
    ctx.cell, ctx.reverse = cell, reverse
    ctx.set_materialize_grads(False)


def _backward(run, ctx, d_output, d_finals, *_):
    x, weight_ih, weight_hh, bias_ih, _, initial, output, others, columns = ctx.saved_tensors
    if d_output is None:
        d_output = output.new_zeros(1, 1, output.shape[2]).expand_as(output)
    needs = x.is_floating_point() and ctx.needs_input_grad[0]
    if torch.is_grad_enabled():
        return _differentiable_backward(ctx, d_output, d_finals)
    found = run(
        d_output, d_finals, x, weight_ih, weight_hh, bias_ih is not None, initial, output, others, columns,
        ctx.cell, ctx.reverse, needs,
    )  # fmt: skip
    found = list(found)
    d_x = found.pop(0) if needs else None
    d_bias_ih, d_bias_hh = (found[2], found[3]) if bias_ih is not None else (None, None)
    return d_x, found[0], found[1], d_bias_ih, d_bias_hh, found[-1], None, None


def _differentiable_backward(ctx, d_output, d_finals):
    x, weight_ih, weight_hh, bias_ih, bias_hh, initial = ctx.saved_tensors[:6]
    everything = (x, weight_ih, weight_hh, bias_ih, bias_hh, initial)
    output, finals = naive.run(_CELLS[ctx.cell], *everything, ctx.reverse)
    d_finals = torch.zeros_like(finals) if d_finals is None else d_finals
    wanted = [t for t, needed in zip(everything, ctx.needs_input_grad, strict=False) if needed and t is not None]
    found = iter(
        torch.autograd.grad([output, finals], wanted, [d_output, d_finals], create_graph=True, allow_unused=True)
    )
    gradients = [
        next(found) if needed and t is not None else None
        for t, needed in zip(everything, ctx.needs_input_grad, strict=False)
    ]
    return *gradients, None, None


torch.library.register_autograd("ricorso::forward", partial(_backward, backward_operator), setup_context=_setup_context)


class _Eager(torch.autograd.Function):
    """The same call without the dispatcher, whose bookkeeping costs more than a short sequence takes."""

    @staticmethod
    def forward(ctx, *inputs):
        # A separate `setup_context` would have torch inspect the signature at every call.
        output = _run_forward(*inputs)
        _setup_context(ctx, inputs, output)
        return output[:2]

    @staticmethod
    def backward(ctx, *gradients):
        # Nobody else sees the saved columns; unless this graph will be walked again they are free to be overwritten.
        overwrite = not torch._C._autograd._get_current_graph_task_keep_graph()
        return _backward(partial(_run_backward, overwrite=overwrite), ctx, *gradients)


def forward(
    inputs: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    initial: Tensor,
    cell: str,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Outputs and final states of one layer in one direction; shapes as in `naive.run`."""
    run = forward_operator if torch.compiler.is_compiling() else _Eager.apply
    output, finals, *_ = run(inputs, weight_ih, weight_hh, bias_ih, bias_hh, initial, cell, reverse)
    return output, finals


def naive_forward(inputs, weight_ih, weight_hh, bias_ih, bias_hh, initial, cell, reverse) -> tuple[Tensor, Tensor]:
    """`forward` by the oracle."""
    return naive.run(_CELLS[cell], inputs, weight_ih, weight_hh, bias_ih, bias_hh, initial, reverse)
