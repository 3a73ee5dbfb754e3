"""The engine as registered torch operators, so that torch.compile, autograd and dispatch see one opaque call.

A second derivative goes through the oracle: when the backward pass itself is differentiated, the layer is run again
as a plain loop and differentiated by torch.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ricorso.cells import CATALOGUE
from ricorso.engine import naive, scan, segments
from ricorso.engine.call import COMPUTED_IN, TENSORS, Call, Saved
from ricorso.engine.device import engine_for
from ricorso.engine.ragged import Grid
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


def _call(tensors, seed, sizes, reverse, first_step, grid=None) -> Call:
    return Call(*tensors, reverse, 0 if seed is None else int(seed), first_step, sizes, grid)  # type: ignore[call-arg]


def _run_forward(*arguments) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    *tensors, seed, sizes, cell, reverse, first_step, segment, grid = arguments
    call = _call(tensors, seed, sizes, reverse, first_step, grid)
    if segment:
        output, finals, saved = segments.forward(_CELLS[cell], call, segment)
    else:
        output, finals, saved = engine_for(call).forward(_CELLS[cell], call)
    return output, finals, saved.others, saved.columns, saved.extras


def _run_backward(
    d_output,
    d_finals,
    tensors,
    saved,
    seed,
    sizes,
    cell,
    reverse,
    first_step,
    segment,
    needs,
    overwrite=False,
    grid=None,
):
    call = _call(tensors, seed, sizes, reverse, first_step, grid)
    saved = Saved(*saved)
    if segment:
        return segments.backward(_CELLS[cell], call, saved, d_output, d_finals, needs, segment)
    return engine_for(call).backward(_CELLS[cell], call, saved, d_output, d_finals, needs, overwrite)


@torch.library.custom_op("ricorso::forward", mutates_args=())
def forward_operator(
    inputs: Tensor,
    weight_ih: Tensor | None,
    weight_hh: Tensor | None,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    parameters: Tensor | None,
    signals: Tensor | None,
    initial: Tensor,
    seed: Tensor | None,
    sizes: Tensor | None,
    cell: str,
    reverse: bool,
    first_step: int,
    segment: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`fast.forward` for torch's dispatcher."""
    tensors = (inputs, weight_ih, weight_hh, bias_ih, bias_hh, parameters, signals, initial)
    return _run_forward(*tensors, seed, sizes, cell, reverse, first_step, segment, None)


@forward_operator.register_fake
def _(
    inputs, weight_ih, weight_hh, bias_ih, bias_hh, parameters, signals, initial, seed, sizes, cell, reverse,
    first_step, segment,
):  # fmt: skip
    states, _, hidden = initial.shape
    leading = inputs.shape[: 2 if sizes is None else 1]
    output, finals = initial.new_empty(*leading, hidden), initial.new_empty(initial.shape)
    if segment:
        steps = len(inputs if sizes is None else sizes)
        starts = initial.new_empty(-(-steps // segment), *initial.shape)
        return output, finals, starts, initial.new_empty(0), initial.new_empty(0)
    columns = len(_CELLS[cell].input_gates)
    return (
        output,
        finals,
        initial.new_empty((states - 1, *leading, hidden), dtype=COMPUTED_IN[initial.dtype]),
        initial.new_empty(*leading, columns * hidden),
        initial.new_empty(*leading, (len(_CELLS[cell].leaves) - columns) * hidden),
    )


@torch.library.custom_op("ricorso::backward", mutates_args=())
def backward_operator(
    output_gradient: Tensor,
    final_gradient: Tensor | None,
    inputs: Tensor,
    weight_ih: Tensor | None,
    weight_hh: Tensor | None,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    parameters: Tensor | None,
    signals: Tensor | None,
    initial: Tensor,
    output: Tensor,
    others: Tensor,
    columns: Tensor,
    extras: Tensor,
    seed: Tensor | None,
    sizes: Tensor | None,
    cell: str,
    reverse: bool,
    first_step: int,
    segment: int,
    needs_input: bool,
) -> list[Tensor]:
    """`fast.backward` for torch's dispatcher; gradients that do not exist are left out."""
    tensors = (inputs, weight_ih, weight_hh, bias_ih, bias_hh, parameters, signals, initial)
    found = _run_backward(
        output_gradient, final_gradient, tensors, (output, others, columns, extras), seed, sizes, cell, reverse,
        first_step, segment, needs_input,
    )  # fmt: skip
    return [gradient for gradient in found if gradient is not None]


def _receiving(tensors, needs_input) -> list[bool]:
    """Which of a call's tensors the backward pass has gradients for."""
    received = [tensor is not None and name != "signals" for name, tensor in zip(TENSORS, tensors, strict=True)]
    received[0] = needs_input
    return received


@backward_operator.register_fake
def _(
    output_gradient, final_gradient, inputs, weight_ih, weight_hh, bias_ih, bias_hh, parameters, signals, initial,
    output, others, columns, extras, seed, sizes, cell, reverse, first_step, segment, needs_input,
):  # fmt: skip
    tensors = (inputs, weight_ih, weight_hh, bias_ih, bias_hh, parameters, signals, initial)
    received = _receiving(tensors, needs_input)
    return [torch.empty_like(tensor) for tensor, wanted in zip(tensors, received, strict=True) if wanted]


def _setup_context(ctx, inputs, output):
    *tensors, seed, sizes, cell, reverse, first_step, segment = inputs
    out, _, *saved = output
    ctx.save_for_backward(*tensors, out, *saved, seed, sizes)
    ctx.options, ctx.grid = (cell, reverse, first_step, segment), None
    ctx.set_materialize_grads(False)


def _apart(ctx):
    *tensors, seed, sizes = ctx.saved_tensors
    return tensors[: len(TENSORS)], tensors[len(TENSORS) :], seed, sizes


def _backward_registered(ctx, d_output, d_finals, *_):
    tensors, saved, *shared = _apart(ctx)

    def run(needs):
        found = iter(backward_operator(d_output, d_finals, *tensors, *saved, *shared, *ctx.options, needs))
        return [next(found) if received else None for received in _receiving(tensors, needs)]

    if d_output is None:
        d_output = _nothing(saved[0])
    return _gradients(ctx, run, tensors, d_output, d_finals)


def _nothing(output):
    return output.new_zeros(output.shape[-1]).expand_as(output)


def _gradients(ctx, run, tensors, d_output, d_finals):
    if torch.is_grad_enabled():
        found = _differentiable_backward(ctx, d_output, d_finals)
    else:
        found = run(tensors[0].is_floating_point() and ctx.needs_input_grad[0])
    return *found, *(None,) * (len(ctx.needs_input_grad) - len(TENSORS))


def _differentiable_backward(ctx, d_output, d_finals):
    tensors, _, seed, sizes = _apart(ctx)
    cell, reverse, first_step, _ = ctx.options
    output, finals = naive.run(_CELLS[cell], _call(tensors, seed, sizes, reverse, first_step))
    if ctx.grid is not None:
        output = ctx.grid.padded(output)
    d_finals = torch.zeros_like(finals) if d_finals is None else d_finals
    asked = [needed and t is not None for t, needed in zip(tensors, ctx.needs_input_grad, strict=False)]
    wanted = [t for t, needed in zip(tensors, asked, strict=True) if needed]
    found = iter(
        torch.autograd.grad([output, finals], wanted, [d_output, d_finals], create_graph=True, allow_unused=True)
    )
    return [next(found) if needed else None for needed in asked]


torch.library.register_autograd("ricorso::forward", _backward_registered, setup_context=_setup_context)


class _Eager(torch.autograd.Function):
    """The same call without the dispatcher, whose bookkeeping costs more than a short sequence takes."""

    @staticmethod
    def forward(ctx, *inputs):
        # A separate `setup_context` would have torch inspect the signature at every call.
        output = _run_forward(*inputs)
        _setup_context(ctx, inputs[:-1], output)
        ctx.grid = inputs[-1]
        return output[:2]

    @staticmethod
    def backward(ctx, d_output, d_finals):
        # Nobody else sees the saved columns; unless this graph will be walked again they are free to be overwritten.
        overwrite = not torch._C._autograd._get_current_graph_task_keep_graph()
        tensors, saved, seed, sizes = _apart(ctx)
        cell, reverse, first_step, segment = ctx.options
        if d_output is None:
            d_output = _nothing(saved[0])

        def run(needs):
            return _run_backward(
                d_output, d_finals, tensors, saved, seed, sizes, cell, reverse, first_step, segment, needs, overwrite,
                ctx.grid,
            )  # fmt: skip

        return _gradients(ctx, run, tensors, d_output, d_finals)


@dataclass(frozen=True)
class Run:
    """One layer in one direction; tensors, sizes and grid as in `Call`, cell as `register` names it."""

    cell: str
    tensors: tuple[Tensor | None, ...]
    sizes: Tensor | None
    reverse: bool
    seed: Tensor | None
    segment: int = 0
    first_step: int = 0
    grid: Grid | None = None

    @property
    def call(self) -> Call:
        return _call(self.tensors, self.seed, self.sizes, self.reverse, self.first_step, self.grid)

    def padded_after(self, forward: Callable[["Run"], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """By an engine that gives packed outputs only."""
        output, finals = forward(replace(self, grid=None))
        return output if self.grid is None else self.grid.padded(output), finals


def _differentiated(tensors: tuple[Tensor | None, ...]) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def forward(run: Run) -> tuple[Tensor, Tensor]:
    """Outputs and final states."""
    compiling = torch.compiler.is_compiling()
    if run.grid is not None and (compiling or run.segment or run.call.initial.is_cuda):
        return run.padded_after(forward)
    if not compiling and not _differentiated(run.tensors):
        return engine_for(run.call).infer(_CELLS[run.cell], run.call)
    options = (run.cell, run.reverse, run.first_step, run.segment)
    if compiling:
        output, finals, *_ = forward_operator(*run.tensors, run.seed, run.sizes, *options)
    else:
        output, finals = _Eager.apply(*run.tensors, run.seed, run.sizes, *options, run.grid)
    return output, finals


@torch.compiler.disable  # type: ignore[untyped-decorator]  # which cannot see into SymPy
def naive_forward(run: Run) -> tuple[Tensor, Tensor]:
    """`forward` by the oracle."""
    return run.padded_after(lambda packed: naive.run(_CELLS[run.cell], packed.call))


@torch.compiler.disable  # type: ignore[untyped-decorator]
def scan_forward(run: Run) -> tuple[Tensor, Tensor]:
    """`forward` by a parallel scan over time."""
    return run.padded_after(lambda packed: scan.run(_CELLS[run.cell], packed.call))
