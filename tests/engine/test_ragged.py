"""Batches of sequences of different lengths: every path against the oracle, and that against each sequence alone."""

from dataclasses import replace

import pytest
import torch
from problem import assert_close, assert_equals_oracle, kernel_cell, oracle, problem, ragged, results, use_plan

from ricorso.cells import CATALOGUE
from ricorso.engine import naive, products, scan
from ricorso.engine.operator import Run, forward, forward_operator, register
from ricorso.engine.ragged import (
    Grid,
    even_offsets,
    last_rows,
    lengths_of,
    offsets_of,
    rows_before,
    sequence_of_row,
    states_before,
)  # fmt: skip
from ricorso.equations.linear import linear
from ricorso.equations.transform import recurrent_dropout, zoneout

LENGTHS = (6, 6, 4, 3, 3, 1, 1, 0, 0)
CELLS = {name: kernel_cell(cell) for name, cell in CATALOGUE.items()}
CELLS |= {
    "zoneout_lstm": kernel_cell(zoneout(CATALOGUE["lstm"])),
    "recurrent_dropout_gru": kernel_cell(recurrent_dropout(CATALOGUE["gru"])),
}
SOME = ("lstm", "gru", "gru_reset_before", "slstm", "mingru", "lru", "zoneout_lstm")


def ragged_problem(cell, dtype=torch.float64, tokens=False, reverse=False, hidden=8, lengths=LENGTHS):
    return ragged(problem(cell, (max(lengths), len(lengths), 5, hidden), dtype, tokens, reverse=reverse), lengths)


def compiled(cell, segment=0):
    def run(call):
        seed = torch.tensor(call.seed) if cell.noises else None
        return forward(Run(register(cell), call.tensors, call.sizes, call.reverse, seed, segment, call.first_step))

    return run


def test_rows_know_their_sequence_and_the_row_before():
    sizes = torch.tensor([3, 2, 2, 1])
    assert offsets_of(sizes).tolist() == [0, 3, 5, 7, 8]
    assert lengths_of(sizes, 4).tolist() == [4, 3, 1, 0]
    assert sequence_of_row(sizes).tolist() == [0, 1, 2, 0, 1, 0, 1, 0]
    states, initial = torch.arange(8.0).unsqueeze(1), -torch.arange(1.0, 5.0).unsqueeze(1)
    for reverse, wanted in ((False, [-1, -2, -3, 0, 1, 3, 4, 5]), (True, [3, 4, -3, 5, 6, 7, -2, -1])):
        starts = last_rows(sizes, 4, not reverse)
        before = rows_before(sizes, starts, reverse)
        assert states_before(slice(0, 8), before, starts, states, initial).squeeze(1).tolist() == wanted
        assert states_before(slice(2, 7), before, starts, states, initial).squeeze(1).tolist() == wanted[2:7]
        # in a padded batch of 4 steps and 5 sequences, of which the first has no step
        grid = Grid(torch.tensor([1, 2, 3, 6, 7, 11, 12, 16]), (4, 5), 5)
        padded = torch.full((20, 1), torch.nan).index_copy(0, grid.places, states)
        placed = rows_before(sizes, starts, reverse, grid)
        assert states_before(slice(0, 8), placed, starts, padded, initial).squeeze(1).tolist() == wanted
    assert even_offsets(3, 2).tolist() == [0, 2, 4, 6]
    assert even_offsets(3, 0).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", SOME)
def test_the_oracle_is_each_sequence_alone(name, reverse):
    cell = CELLS[name]
    if cell.noises:
        pytest.skip("random numbers go by the place in the batch")
    call = ragged_problem(cell, reverse=reverse)
    output, finals = naive.run(cell, call)
    sequence = sequence_of_row(call.sizes)
    for number in range(call.batch):
        own = sequence == number
        signals = None if call.signals is None else call.signals[:, own].unsqueeze(2)
        alone = replace(
            call,
            inputs=call.inputs[own].unsqueeze(1),
            signals=signals,
            initial=call.initial[:, number : number + 1],
            sizes=None,
        )
        wanted, wanted_finals = naive.run(cell, alone)
        torch.testing.assert_close(output[own], wanted.squeeze(1), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(finals[:, number], wanted_finals.squeeze(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_more_rows_than_are_summed_at_once(name, reverse):
    lengths = (280, 200, 90, 1, 0)
    assert sum(lengths) > products._SUMMED_AT_ONCE
    call = ragged_problem(CELLS[name], reverse=reverse, lengths=lengths)
    assert_equals_oracle(CELLS[name], call, results(compiled(CELLS[name]), call))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("plan", "tokens", "reverse"), [("alone", False, True), ("rows", True, False), ("units", False, False)]
)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_kernels_equal_the_oracle(cell, plan, tokens, reverse, dtype, monkeypatch):
    use_plan(monkeypatch, plan)
    hidden = 8 if plan == "alone" and dtype == torch.float64 else 100
    call = ragged_problem(cell, dtype, tokens and bool(cell.input_gates), reverse, hidden)
    assert_equals_oracle(cell, call, results(compiled(cell), call))


@pytest.mark.parametrize("segment", [1, 2, 5])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru_reset_before", "zoneout_lstm"])
def test_segments_change_nothing(name, reverse, segment):
    cell = CELLS[name]
    call = ragged_problem(cell, reverse=reverse)
    assert_close(results(compiled(cell, segment), call), oracle(cell, call), 1e-11)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if linear(cell)])
def test_scan_equals_the_oracle(name, reverse):
    cell = CELLS[name]
    call = ragged_problem(cell, reverse=reverse)
    assert_close(results(lambda c: scan.run(cell, c), call), oracle(cell, call), 1e-9)


@pytest.mark.parametrize("lengths", [(3, 3, 3), (1,), (7, 0, 0), (2, 1)])
def test_few_and_even_lengths(lengths):
    cell = CELLS["lstm"]
    call = ragged_problem(cell, lengths=lengths)
    assert_close(results(compiled(cell), call), oracle(cell, call), 1e-11)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_weights_piece_by_piece(reverse, monkeypatch):
    monkeypatch.setattr(products, "_ROWS_AT_ONCE", 5)
    for name in ("gru", "slstm"):
        call = ragged_problem(CELLS[name], reverse=reverse)
        assert_close(results(compiled(CELLS[name]), call), oracle(CELLS[name], call), 1e-11)


def test_even_lengths_are_the_full_batch():
    cell = CELLS["gru"]
    full = problem(cell, (4, 3, 5, 8), torch.float64)
    output, finals = compiled(cell)(full)
    packed, packed_finals = compiled(cell)(ragged(full, (4, 4, 4)))
    assert torch.equal(packed.view(4, 3, 8), output)
    assert torch.equal(packed_finals, finals)


def test_second_derivatives_go_through_the_oracle():
    cell = CELLS["gru"]
    call = ragged_problem(cell, lengths=(3, 2, 0))
    given = [t is not None and t.requires_grad for t in call.tensors]

    def function(*tensors):
        rest = iter(tensors)
        own = [next(rest) if a else t for t, a in zip(call.tensors, given, strict=True)]
        return compiled(cell)(call.with_tensors(tuple(own)))

    tensors = tuple(t for t, a in zip(call.tensors, given, strict=True) if a)
    assert torch.autograd.gradcheck(function, tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, tensors, fast_mode=True)


def test_the_registered_operator_passes_torch_own_checks():
    cell = CELLS["lstm"]
    call = ragged_problem(cell, lengths=(3, 2, 0))
    for segment in (0, 2):
        arguments = (*call.tensors, None, call.sizes, register(cell), False, 0, segment)
        torch.library.opcheck(forward_operator, arguments)
