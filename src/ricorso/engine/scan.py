"""Cells that are linear in their state, all steps at once: a parallel scan in torch, on any device.

The scan combines neighbouring steps into one, solves the sequence of half the length, and fills in the steps between
(Blelloch 1990): work in proportion to the steps, a number of torch calls in proportion to their logarithm.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ricorso.engine import naive, noise
from ricorso.engine.call import Call
from ricorso.engine.ragged import last_rows, padded_rows
from ricorso.equations.cell import Cell
from ricorso.equations.linear import LinearForm, linear_form
from ricorso.equations.symbols import StaticNoise
from ricorso.kernels.noise import STATIC

Vector = tuple[Tensor, ...]
Matrix = tuple[Vector, ...]


def run(cell: Cell, call: Call) -> tuple[Tensor, Tensor]:
    """Outputs and final states as `naive.run` gives them, for a cell with a linear form."""
    if call.sizes is None:
        new = _run(cell, call, None)
        return new[0], torch.stack([state[0 if call.reverse else -1] for state in new])
    rows = padded_rows(call.sizes, call.batch).to(call.inputs.device)
    new = _run(cell, _padded(call, rows), rows)
    packed = torch.stack([state.flatten(0, 1)[rows] for state in new])
    last = packed.index_select(1, last_rows(call.sizes, call.batch, call.reverse).to(rows.device))
    return packed[0], torch.cat([last, call.initial[:, last.shape[1] :]], 1)


def _padded(call: Call, rows: Tensor) -> Call:
    """The call on a full grid; what stands behind the ends of sequences does not matter."""
    place = rows.new_zeros(call.steps * call.batch).index_copy(0, rows, torch.arange(len(rows), device=rows.device))
    grid = place.view(call.steps, call.batch)
    signals = None if call.signals is None else call.signals[:, grid]
    return replace(call, inputs=call.inputs[grid], signals=signals, sizes=None)


def _run(cell: Cell, call: Call, rows: Tensor | None) -> tuple[Tensor, ...]:
    """Each state after all steps, (time, batch, hidden_size).

    rows: the places in (time, batch) that count; at others the states stay what they are.
    """
    form = linear_form(cell)
    assert form is not None
    known = _values(cell, call)
    matrix, constant = _coefficients(form, known, call)
    if rows is not None:
        real = torch.zeros(call.rows, 1, dtype=torch.bool, device=rows.device).index_fill(0, rows, True)
        real = real.view(call.steps, call.batch, 1)
        matrix = tuple(
            tuple(torch.where(real, e, float(i == j)) for j, e in enumerate(row)) for i, row in enumerate(matrix)
        )
        constant = tuple(torch.where(real, e, 0.0) for e in constant)
    initial = dict(zip(cell.states, call.initial.unbind(0), strict=True))
    start = tuple(initial[state] for state in form.carried)
    if call.reverse:
        matrix = tuple(tuple(entry.flip(0) for entry in row) for row in matrix)
        constant = tuple(entry.flip(0) for entry in constant)
    first = _add(_apply(tuple(tuple(e[0] for e in row) for row in matrix), start), tuple(c[0] for c in constant))
    constant = tuple(torch.cat([f.unsqueeze(0), c[1:]]) for f, c in zip(first, constant, strict=True))
    carried = scan(matrix, constant)
    before = tuple(torch.cat([s.unsqueeze(0), c[:-1]]) for s, c in zip(start, carried, strict=True))
    if call.reverse:
        before = tuple(entry.flip(0) for entry in before)
    old = dict(zip(form.carried, before, strict=True))
    known |= {state.name: old.get(state, torch.zeros_like(before[0])) for state in cell.states}
    return naive.Step(cell, known, call.weight_hh, call.bias_hh).run()


def scan(matrix: Matrix, constant: Vector) -> Vector:
    """x[t] = matrix[t] x[t-1] + constant[t] for all t, with x[-1] = 0; time is the first dimension of each entry."""
    steps = constant[0].shape[0]
    if steps == 1:
        return constant

    def at(places: slice) -> tuple[Matrix, Vector]:
        return tuple(tuple(e[places] for e in row) for row in matrix), tuple(c[places] for c in constant)

    (even, even_constant), (odd, odd_constant) = at(slice(0, steps - 1, 2)), at(slice(1, steps, 2))
    at_odd = scan(_multiply(odd, even), _add(_apply(odd, even_constant), odd_constant))
    rest, rest_constant = at(slice(2, steps, 2))
    count = rest_constant[0].shape[0]
    at_even = _add(_apply(rest, tuple(x[:count] for x in at_odd)), rest_constant)
    return tuple(
        _interleave(torch.cat([c[:1], e]), o, steps) for c, e, o in zip(constant, at_even, at_odd, strict=True)
    )


def _interleave(even: Tensor, odd: Tensor, steps: int) -> Tensor:
    count = odd.shape[0]
    pairs = torch.stack([even[:count], odd], 1).flatten(0, 1)
    return pairs if 2 * count == steps else torch.cat([pairs, even[count:]])


def _apply(matrix: Matrix, vector: Vector) -> Vector:
    return tuple(_total([m * x for m, x in zip(row, vector, strict=True)]) for row in matrix)


def _multiply(left: Matrix, right: Matrix) -> Matrix:
    columns = tuple(zip(*right, strict=True))
    return tuple(tuple(_total([a * b for a, b in zip(row, c, strict=True)]) for c in columns) for row in left)


def _add(a: Vector, b: Vector) -> Vector:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _total(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _values(cell: Cell, call: Call) -> dict[str, Tensor]:
    """Everything that does not depend on the states, at all steps."""
    steps = call.inputs.shape[0]
    known: dict[str, Tensor] = {}
    projected = naive.project(cell, call).chunk(len(cell.input_gates), -1)
    for gate, x in zip(cell.input_gates, projected, strict=True):
        known[gate.x.name if gate.has_product else gate.name] = x
    if call.parameters is not None:
        known |= {p.name: value for p, value in zip(cell.parameters, call.parameters, strict=True)}
    if call.signals is not None:
        known |= {s.name: values.unsqueeze(-1) for s, values in zip(cell.signals, call.signals, strict=True)}
    for number, symbol in enumerate(cell.noises):
        static = isinstance(symbol, StaticNoise)
        drawn = [
            noise.uniform(call.seed, number, STATIC if static else call.first_step + t, call.initial[0])
            for t in range(1 if static else steps)
        ]
        known[symbol.name] = torch.stack(drawn).expand(steps, *drawn[0].shape)
    return known


def _coefficients(form: LinearForm, known: dict[str, Tensor], call: Call) -> tuple[Matrix, Vector]:
    like = call.initial.new_zeros(()).expand(call.inputs.shape[0], *call.initial.shape[1:])

    def value(expression: object) -> Tensor:
        found = naive.evaluate(naive.tree(expression), known.__getitem__, like)
        return found.expand_as(like) if isinstance(found, Tensor) else torch.full_like(like, found)

    return tuple(tuple(value(e) for e in row) for row in form.matrix), tuple(value(e) for e in form.constant)
