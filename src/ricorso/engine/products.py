"""The large products of a layer, over all steps at once, on any device."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ricorso.engine.call import DTYPES, Call
from ricorso.engine.ragged import last_rows, rows_before, states_before
from ricorso.engine.team import threads_for, torch_team
from ricorso.equations.cell import Cell
from ricorso.kernels import available

# Below so many multiplications finding a kernel takes oneDNN longer than it gains.
_WORTH_FINDING = 3_000_000
# Up to so many multiplications, or numbers in the result, the kernels that read both matrices where they are win over
# both; with rows that would have to be put together first, up to more. So many numbers are summed at a time: what they
# are multiplied with then stays in the cache.
_FEW_MULTIPLICATIONS, _SMALL_RESULT, _SMALL_RESULT_OF_ROWS = 500_000_000, 200_000, 2_000_000
_SUMMED_AT_ONCE = 512
# Rows of a ragged batch whose earlier states are put together at a time.
_ROWS_AT_ONCE = 8192


@cache
def _onednn_is_faster() -> bool:
    """Whether oneDNN multiplies float32 faster than torch's own BLAS here.

    torch brings Intel's MKL, which does not use AVX-512 on AMD's processors: oneDNN is twice as fast on those. The rule
    is fixed and not measured, so that the same machine always gives the same bits.
    """
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    from ricorso.kernels.llvm.host import host

    return host().processor.startswith("znver") and host().vector_bytes == 64


def _by_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether a product of two matrices is to be had from oneDNN."""
    # whichever sizes they share, the product of all three is the larger matrix times the smallest size of the other
    multiplications = max(a.numel(), b.numel()) * min(*a.shape, *b.shape)
    if a.dtype != torch.float32 or a.is_cuda or multiplications < _WORTH_FINDING:
        return False
    return _onednn_is_faster()


def _onednn(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a @ b.T + bias, for matrices or transposes of matrices without gaps: with gaps a slow reference may run."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")
    return found


def _by_kernel(a: Tensor, b: "Tensor | _Rows") -> bool:
    """Whether a product of two matrices is to be had from the kernels that read both where they are."""
    if isinstance(b, _Rows):
        units, small, readable = b.units, _SMALL_RESULT_OF_ROWS, True
    else:
        units, small, readable = b.shape[1], _SMALL_RESULT, b.is_contiguous()
    return (
        a.is_cpu
        and a.dtype in (torch.float32, torch.float64)
        and (a.numel() * units <= _FEW_MULTIPLICATIONS or a.shape[0] * units <= small)
        and readable
        and a.shape[1] > 0
        and not available.unavailable()
    )


@dataclass(frozen=True)
class _Rows:
    """The rows of a matrix by their addresses; alive: what they are in."""

    addresses: Tensor
    units: int
    alive: tuple[Tensor, ...]


def _product(a: Tensor, b: "Tensor | _Rows", result: Tensor, add: bool) -> None:
    """result = or += a @ b by kernels, for which `a` may have gaps or be a transpose; b: without gaps, or its rows."""
    from ricorso.kernels.dense import dense

    (rows, depth), kernels = a.shape, dense(DTYPES[a.dtype])
    if isinstance(b, _Rows):
        units, weight, table = b.units, 0, b.addresses.data_ptr()
    else:
        units, weight, table = b.shape[1], b.data_ptr(), 0
    threads = threads_for(rows * depth * units)
    for begin in range(0, depth, _SUMMED_AT_ONCE):
        kernels.run(
            "mix",
            (rows, units, result.data_ptr(), result.stride(0), add or begin > 0),
            min(_SUMMED_AT_ONCE, depth - begin),
            a.data_ptr() + begin * a.stride(1) * a.element_size(),
            a.stride(0),
            weight + begin * units * a.element_size(),
            step=a.stride(1),
            rows=table and table + 8 * begin,
            team=torch_team(),
            threads=threads,
        )


def _times(a: Tensor, b: Tensor) -> Tensor:
    """a @ b."""
    if _by_kernel(a, b):
        result = a.new_empty(a.shape[0], b.shape[1])
        _product(a, b, result, add=False)
        return result
    return _onednn(a.contiguous(), b.contiguous().t()) if _by_onednn(a, b) else a @ b


def summed_outer(a: Tensor, b: Tensor) -> Tensor:
    """a.T @ b."""
    if _by_kernel(a.t(), b):
        return _times(a.t(), b)
    return _onednn(b.contiguous().t(), a.contiguous().t()).t() if _by_onednn(a, b) else a.t() @ b


def input_bias(cell: Cell, call: Call) -> Tensor | None:
    """The bias of the input parts: with that of the products where the equations use only their sum."""
    if call.bias_ih is None or call.bias_hh is None:
        return call.bias_ih
    if len(cell.joined_biases) == len(cell.gates):
        return call.bias_ih + call.bias_hh
    hidden = call.initial.shape[2]
    total = call.bias_ih.clone()
    for own, other in cell.joined_biases:
        total[own * hidden : (own + 1) * hidden] += call.bias_hh[other * hidden : (other + 1) * hidden]
    return total


def token_table(cell: Cell, call: Call) -> Tensor:
    """What each token brings to the columns, (symbols, input gates * hidden_size)."""
    assert call.weight_ih is not None
    # clone, not contiguous: the transpose of a single column is contiguous already, and must not be added to.
    table = call.weight_ih.t().clone(memory_format=torch.contiguous_format)
    bias = input_bias(cell, call)
    return table if bias is None else table.add_(bias)


def project(cell: Cell, call: Call) -> Tensor:
    """Columns (time, batch, input gates * hidden_size), filled with the input parts; rows for a ragged batch."""
    if call.weight_ih is None:
        return call.initial.new_empty(*call.leading, 0)
    if not call.inputs.is_floating_point():
        return token_table(cell, call)[call.inputs]
    bias = input_bias(cell, call)
    flat = call.inputs.reshape(call.rows, -1)
    if _by_onednn(flat, call.weight_ih):
        columns = _onednn(flat.contiguous(), call.weight_ih.contiguous(), bias)
    elif bias is None:
        columns = torch.mm(flat, call.weight_ih.t())
    else:
        columns = torch.addmm(bias, flat, call.weight_ih.t())
    return columns.view(*call.leading, -1)


def input_gradients(call: Call, gradients: Tensor, needs_input: bool) -> dict[str, Tensor | None]:
    """Gradients of the inputs, their weights and bias from those of the columns."""
    if call.weight_ih is None:
        return {}
    flat = gradients.view(-1, gradients.shape[-1])
    found: dict[str, Tensor | None] = {"bias_ih": None if call.bias_ih is None else flat.sum(0)}
    if call.inputs.is_floating_point():
        found["weight_ih"] = summed_outer(flat, call.inputs.reshape(len(flat), -1))
        if needs_input:
            found["inputs"] = _times(flat, call.weight_ih).view(call.inputs.shape)
    else:
        table = call.weight_ih.new_zeros(call.weight_ih.shape[1], flat.shape[1])
        found["weight_ih"] = table.index_add_(0, call.inputs.reshape(-1), flat).t()
    return found


@dataclass(frozen=True)
class _Run:
    """Neighbouring product gates with the same vector, which one product serves.

    extra: whether their leaves are in the extra columns; first: the first of them there; matrix: the first matrix.
    """

    extra: bool
    first: int
    matrix: int
    count: int
    vector: int


@cache
def _runs(cell: Cell) -> tuple[_Run, ...]:
    runs: list[_Run] = []
    inputs = len(cell.input_gates)
    for matrix, gate in enumerate(cell.product_gates):
        leaf, vector = cell.recurrent_leaf(gate), cell.vectors.index(cell.vector(gate))
        own = _Run(leaf >= inputs, leaf - inputs if leaf >= inputs else leaf, matrix, 1, vector)
        before = runs[-1] if runs else None
        if before and (before.extra, before.first + before.count, before.vector) == (own.extra, own.first, own.vector):
            runs[-1] = replace(before, count=before.count + 1)
        else:
            runs.append(own)
    return tuple(runs)


def recurrent_gradients(
    cell: Cell,
    call: Call,
    output: Tensor,
    gradients: Tensor,
    extra_gradients: Tensor,
    vectors: Tensor,
    of_bias: Tensor | None,
) -> dict[str, Tensor | None]:
    """Gradients of recurrent weights and bias from those of the columns and extra columns.

    output: as the forward pass left it; vectors: those that matrices multiplied, (vectors, time, batch, hidden_size),
    of which the previous output is not used; rows for (time, batch) in a ragged batch. of_bias: the gradient of the
    other bias, the sum of the columns'.
    """
    if call.weight_hh is None:
        return {}
    batch, hidden = call.initial.shape[1:]
    result = torch.empty_like(call.weight_hh, memory_format=torch.contiguous_format)
    biases, of_outputs = [], []
    for run in _runs(cell):
        source = extra_gradients if run.extra else gradients
        given = source.view(-1, source.shape[-1])[:, run.first * hidden : (run.first + run.count) * hidden]
        rows = result[run.matrix * hidden : (run.matrix + run.count) * hidden]
        if call.bias_hh is not None:
            known = None if run.extra or of_bias is None else of_bias[run.first * hidden :][: run.count * hidden]
            biases.append(given.sum(0) if known is None else known)
        if cell.vectors[run.vector] == cell.states[0]:
            of_outputs.append((given, rows))
        else:
            _outer(given, vectors[run.vector].view(-1, hidden), rows, call.heads, add=False)
    if call.sizes is None:
        for given, rows in of_outputs:
            at_start, later = (given[-batch:], given[:-batch]) if call.reverse else (given[:batch], given[batch:])
            earlier = (output[1:] if call.reverse else output[:-1]).reshape(-1, hidden)
            _outer(later, earlier, rows, call.heads, add=False)
            _outer(at_start, call.initial[0], rows, call.heads, add=True)
    elif of_outputs:
        _outer_of_ragged(call, of_outputs, output)
    return {"weight_hh": result, "bias_hh": torch.cat(biases) if biases else None}


def _outer_of_ragged(call: Call, wanted: list[tuple[Tensor, Tensor]], output: Tensor) -> None:
    """`_outer` of gradients of every row and what the rows started from, for each pair of gradients and result."""
    assert call.sizes is not None
    starts = last_rows(call.sizes, call.batch, not call.reverse)
    before = rows_before(call.sizes, starts, call.reverse, call.grid)
    if call.heads == 1 and output.is_cpu and output.is_contiguous():
        rows = _where_states_before_are(before, starts, output, call.initial[0].contiguous())
        if all(_by_kernel(gradients.t(), rows) for gradients, _ in wanted):
            for gradients, result in wanted:
                _product(gradients.t(), rows, result, add=False)
            return
    # piece by piece, since what each row started from has to be put together
    for begin in range(0, call.rows, _ROWS_AT_ONCE):
        piece = slice(begin, begin + _ROWS_AT_ONCE)
        earlier = states_before(piece, before, starts, output.flatten(0, -2), call.initial[0])
        for gradients, result in wanted:
            _outer(gradients[piece], earlier, result, call.heads, add=begin > 0)


def _where_states_before_are(before: Tensor, starts: Tensor, output: Tensor, initial: Tensor) -> _Rows:
    """What each row started from, where it is; before, starts: as for `states_before`."""
    units = initial.shape[1]
    size = units * initial.element_size()
    addresses = output.data_ptr() + before.numpy() * size
    addresses[starts.numpy()] = initial.data_ptr() + np.arange(len(starts)) * size
    return _Rows(torch.from_numpy(addresses), units, (output, initial))


def _outer(gradients: Tensor, vectors: Tensor, rows: Tensor, heads: int, add: bool) -> None:
    """rows (gates * hidden_size, hidden_size / heads) = or += gradients.T @ vectors, block by block."""
    if heads == 1:
        if _by_kernel(gradients.t(), vectors):
            _product(gradients.t(), vectors, rows, add)
        elif _by_onednn(gradients, vectors):
            found = summed_outer(gradients, vectors)
            rows.add_(found) if add else rows.copy_(found)
        elif add:
            rows.addmm_(gradients.t(), vectors)
        else:
            torch.mm(gradients.t(), vectors, out=rows)
        return
    depth = vectors.shape[1] // heads
    blocks = rows.view(-1, heads, depth, depth)
    shape = (len(vectors), len(blocks), heads, depth)
    found = torch.einsum("nghu,nhk->ghuk", gradients.reshape(shape), vectors.reshape(len(vectors), heads, depth))
    if add:
        blocks += found
    else:
        blocks.copy_(found)
