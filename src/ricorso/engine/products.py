"""The large products of a layer, over all steps at once, on any device."""

from functools import cache

import torch
from torch import Tensor

from ricorso.engine.call import Call
from ricorso.equations.cell import Cell

# Below so many multiplications finding a kernel takes oneDNN longer than it gains.
_WORTH_FINDING = 3_000_000


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


def _times(a: Tensor, b: Tensor) -> Tensor:
    """a @ b."""
    return _onednn(a.contiguous(), b.contiguous().t()) if _by_onednn(a, b) else a @ b


def _summed_outer(a: Tensor, b: Tensor) -> Tensor:
    """a.T @ b."""
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


def project(cell: Cell, call: Call) -> Tensor:
    """Columns (time, batch, leaves * hidden_size), the first of them filled with the input parts of all gates."""
    steps, batch = call.inputs.shape[:2]
    width = len(cell.leaves) * call.initial.shape[2]
    if not cell.input_gates:
        return call.initial.new_empty(steps, batch, width)
    assert call.weight_ih is not None
    bias = input_bias(cell, call)
    if call.inputs.is_floating_point():
        flat = call.inputs.reshape(steps * batch, -1)
        if _by_onednn(flat, call.weight_ih):
            found = _onednn(flat.contiguous(), call.weight_ih.contiguous(), bias)
            if found.shape[1] == width:
                return found.view(steps, batch, width)
            columns = call.initial.new_empty(steps, batch, width)
            _of_inputs(cell, call, columns).copy_(found)
            return columns
    columns = call.initial.new_empty(steps, batch, width)
    out = _of_inputs(cell, call, columns)
    if not call.inputs.is_floating_point():
        table = call.weight_ih.t() if bias is None else call.weight_ih.t() + bias
        out.copy_(table[call.inputs.reshape(-1)])
    elif bias is None:
        torch.mm(flat, call.weight_ih.t(), out=out)
    else:
        torch.addmm(bias, flat, call.weight_ih.t(), out=out)
    return columns


def _of_inputs(cell: Cell, call: Call, columns: Tensor) -> Tensor:
    """Of columns (time, batch, leaves * hidden_size), those of the input parts, (time * batch, ...)."""
    return columns.view(-1, columns.shape[2])[:, : len(cell.input_gates) * call.initial.shape[2]]


def input_gradients(cell: Cell, call: Call, gradients: Tensor, needs_input: bool) -> dict[str, Tensor | None]:
    """Gradients of the inputs, their weights and bias from those of the columns."""
    if call.weight_ih is None:
        return {}
    flat = _of_inputs(cell, call, gradients)
    found: dict[str, Tensor | None] = {"bias_ih": None if call.bias_ih is None else flat.sum(0)}
    if call.inputs.is_floating_point():
        if _by_onednn(flat, call.weight_ih):
            flat = flat.contiguous()
        found["weight_ih"] = _summed_outer(flat, call.inputs.reshape(len(flat), -1))
        if needs_input:
            found["inputs"] = _times(flat, call.weight_ih).view(call.inputs.shape)
    else:
        table = call.weight_ih.new_zeros(call.weight_ih.shape[1], flat.shape[1])
        found["weight_ih"] = table.index_add_(0, call.inputs.reshape(-1), flat).t()
    return found


@cache
def _runs(cell: Cell) -> tuple[tuple[int, int, int, int], ...]:
    """Neighbouring product gates with the same vector: (first leaf, first matrix, how many, number of the vector)."""
    runs: list[tuple[int, int, int, int]] = []
    for matrix, gate in enumerate(cell.product_gates):
        leaf, vector = cell.recurrent_leaf(gate), cell.vectors.index(cell.vector(gate))
        if runs and runs[-1][0] + runs[-1][2] == leaf and runs[-1][3] == vector:
            runs[-1] = (*runs[-1][:2], runs[-1][2] + 1, vector)
        else:
            runs.append((leaf, matrix, 1, vector))
    return tuple(runs)


def recurrent_gradients(
    cell: Cell, call: Call, output: Tensor, gradients: Tensor, vectors: Tensor
) -> dict[str, Tensor | None]:
    """Gradients of recurrent weights and bias from those of the columns.

    output: (time, batch, hidden_size); vectors: those that matrices multiplied, (vectors, time, batch, hidden_size),
    of which the previous output is not used.
    """
    if call.weight_hh is None:
        return {}
    batch, hidden = output.shape[1:]
    flat = gradients.view(-1, gradients.shape[2])
    result = torch.empty_like(call.weight_hh, memory_format=torch.contiguous_format)
    for leaf, matrix, count, vector in _runs(cell):
        given = flat[:, leaf * hidden : (leaf + count) * hidden]
        rows = result[matrix * hidden : (matrix + count) * hidden]
        if cell.vectors[vector] == cell.states[0]:
            at_start, later = (given[-batch:], given[:-batch]) if call.reverse else (given[:batch], given[batch:])
            earlier = (output[1:] if call.reverse else output[:-1]).reshape(-1, hidden)
            _outer(later, earlier, rows, call.heads, add=False)
            _outer(at_start, call.initial[0], rows, call.heads, add=True)
        else:
            _outer(given, vectors[vector].view(-1, hidden), rows, call.heads, add=False)
    bias = None
    if call.bias_hh is not None:
        bias = torch.cat([flat[:, leaf * hidden : (leaf + count) * hidden].sum(0) for leaf, _, count, _ in _runs(cell)])
    return {"weight_hh": result, "bias_hh": bias}


def _outer(gradients: Tensor, vectors: Tensor, rows: Tensor, heads: int, add: bool) -> None:
    """rows (gates * hidden_size, hidden_size / heads) = or += gradients.T @ vectors, block by block."""
    if heads == 1:
        if add:
            rows.addmm_(gradients.t(), vectors)
        elif _by_onednn(gradients, vectors):
            rows.copy_(_summed_outer(gradients, vectors))
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
