"""Every fast path against the oracle: outputs, final states and all gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problem import (
    KINDS,
    KINDS_UNLESS_LONG,
    PLANS,
    assert_close,
    assert_equals_oracle,
    kernel_cell,
    oracle,
    problem,
    results,
    use_plan,
    wanted_gradients,
)

from ricorso.cells import CATALOGUE
from ricorso.engine import fast, inference, naive, products, projection, segments, sharing, team
from ricorso.engine.operator import Run, forward, forward_operator, register
from ricorso.engine.path import multiplies_bfloat16
from ricorso.equations.transform import layer_normalised, recurrent_dropout, zoneout
from ricorso.kernels.compiled import compiled as kernels_compiled
from ricorso.kernels.team import Team

# (time, batch, features, hidden); few hidden sizes, the same throughout, since each is compiled anew
SMALL, SMALL_BUT_WIDE, LARGE = (4, 3, 4, 8), (4, 3, 4, 100), (3, 20, 2, 100)
# (plan, tokens, reverse)
WAYS = [
    ("alone", False, False),
    ("alone", True, True),
    ("rows", False, True),
    ("units", False, False),
    ("units", True, True),
    ("more threads than rows", False, False),
]
CELLS = {name: kernel_cell(cell) for name, cell in CATALOGUE.items()}
TRANSFORMED = ("lstm", "gru", "gru_reset_before", "slstm", "lem", "mingru", "elman_relu")
VARIANTS = {
    f"{name} {transform.__name__}": kernel_cell(transform(CATALOGUE[name]))
    for transform in (zoneout, recurrent_dropout, layer_normalised)
    for name in TRANSFORMED
}
# the others leave each of these cells and transformations in `make test`
LONG_VARIANTS = {
    *(f"{name} recurrent_dropout" for name in ("gru_reset_before", "slstm", "mingru")),
    *(f"{name} layer_normalised" for name in ("gru_reset_before", "lem", "elman_relu")),
}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def compiled(cell, segment=0):
    """The compiled path as a function of a call."""
    key = register(cell)

    def run(call):
        seed = torch.tensor(call.seed) if cell.noises else None
        return forward(Run(key, call.tensors, call.sizes, call.reverse, seed, segment, call.first_step))

    return run


@pytest.mark.parametrize(("plan", "tokens", "reverse"), WAYS)
@DTYPES
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_kernels_equal_the_oracle(cell, dtype, tokens, reverse, plan, monkeypatch):
    use_plan(monkeypatch, plan)
    alone = SMALL if dtype == torch.float64 else SMALL_BUT_WIDE
    call = problem(cell, alone if plan == "alone" else LARGE, dtype, tokens, reverse=reverse)
    assert_equals_oracle(cell, call, results(compiled(cell), call))


@pytest.mark.parametrize(("tokens", "reverse"), [(False, False), (True, True)])
@pytest.mark.parametrize("name", KINDS_UNLESS_LONG)
def test_units_that_fill_no_vector_of_single_precision(name, tokens, reverse, monkeypatch):
    use_plan(monkeypatch, "alone")
    call = problem(CELLS[name], SMALL, torch.float32, tokens, reverse=reverse)
    assert_equals_oracle(CELLS[name], call, results(compiled(CELLS[name]), call))


@pytest.mark.parametrize("plan", ["alone", "units"])
@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, marks=pytest.mark.long if name in LONG_VARIANTS else ()) for name, cell in VARIANTS.items()],
    ids=VARIANTS,
)
def test_transformed_cells_equal_the_oracle(cell, plan, monkeypatch):
    use_plan(monkeypatch, plan)
    call = problem(cell, (3, 9, 16, 100), torch.float64, reverse=plan == "units")
    assert_equals_oracle(cell, call, results(compiled(cell), call))


UNITS = [1, 2, 13, 67]
# a number of units for each kind, and in the long test every number for every kind
ONE_EACH = list(zip(KINDS[1:], [1, 67, 13, 2, 67, 13, 1], strict=True))
EVERY = [(name, hidden) for name in KINDS[1:] for hidden in UNITS]


@pytest.mark.parametrize("cells", [ONE_EACH, pytest.param(EVERY, marks=pytest.mark.long)], ids=["some", "every"])
def test_any_sizes(cells, monkeypatch):
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        cell=st.sampled_from(cells),
        time=st.integers(1, 9),
        batch=st.integers(1, 19),
        features=st.integers(1, 11),
        plan=st.sampled_from(list(PLANS)),
        bias=st.booleans(),
        reverse=st.booleans(),
    )
    def check(cell, time, batch, features, plan, bias, reverse):
        use_plan(monkeypatch, plan)
        name, hidden = cell
        call = problem(CELLS[name], (time, batch, features, hidden), torch.float64, bias=bias, reverse=reverse)
        assert_close(results(compiled(CELLS[name]), call), oracle(CELLS[name], call), 1e-10)

    check()


OTHER_HEADS = [
    pytest.param(*case, marks=pytest.mark.long) for case in [("lstm", 2), ("gru_reset_before", 25), ("lem", 2)]
]


@pytest.mark.parametrize(("name", "heads"), [("lstm", 25), ("gru_reset_before", 2), ("lem", 25), *OTHER_HEADS])
def test_any_dense_cell_takes_heads(name, heads, monkeypatch):
    for plan in ("alone", "units"):
        use_plan(monkeypatch, plan)
        call = problem(CELLS[name], (3, 5, 4, 100), torch.float64, heads=heads)
        assert_close(results(compiled(CELLS[name]), call), oracle(CELLS[name], call), 1e-11)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("plan", ["rows", "units"])
def test_threads_of_python_do_when_there_is_no_openmp(cell, plan, monkeypatch):
    use_plan(monkeypatch, plan)
    for place in (fast, inference, products, projection):
        monkeypatch.setattr(place, "torch_team", Team)
    monkeypatch.setattr(team, "WORTH_SHARING", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    call = problem(cell, (4, 5, 3, 100), torch.float64, bias=False)
    assert_close(results(compiled(cell), call), oracle(cell, call), 1e-11)
    with torch.no_grad():
        assert_close(compiled(cell)(call), naive.run(cell, call), 1e-11)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_gradients_against_finite_differences(cell):
    # forwards in time; layers in both directions are checked in layers/test_every_cell.py
    call = problem(cell, (2, 2, 2, 8), torch.float64)
    run, asked = compiled(cell), [tensor is not None and tensor.requires_grad for tensor in call.tensors]

    def function(*given):
        rest = iter(given)
        tensors = [next(rest) if a else t for t, a in zip(call.tensors, asked, strict=True)]
        return run(call.with_tensors(tuple(tensors)))

    # relu has no derivative where two finite steps meet its corner; these sizes and seed stay clear of it
    assert torch.autograd.gradcheck(function, tuple(wanted_gradients(call)), atol=3e-5)


@pytest.mark.parametrize("segment", [1, 3, 4, 50])
@pytest.mark.parametrize("name", KINDS)
def test_segments_give_the_gradients_of_the_whole(name, segment):
    cell = kernel_cell(zoneout(CATALOGUE[name]))
    for reverse in (False, True):
        call = problem(cell, (11, 3, 4, 100), torch.float64, reverse=reverse)
        assert_close(results(compiled(cell, segment), call), results(compiled(cell), call), 1e-12)


def test_a_memory_budget_chooses_the_longest_segment_that_fits():
    cell = CELLS["lstm"]
    call = problem(cell, (1000, 2, 1, 8), torch.float32)
    step = 5 * 2 * 8 * 4  # four gates and c, two rows of eight units
    assert segments.segment_for(cell, call, 1000 * step) == 0
    chosen = segments.segment_for(cell, call, 100 * step)
    assert 0 < chosen < 100
    assert chosen * step + -(-1000 // chosen) * 2 * 2 * 8 * 4 <= 100 * step
    assert segments.segment_for(cell, call, 1) > 0


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("split_units", [0, 1])
def test_random_numbers_do_not_depend_on_threads(threads, split_units, monkeypatch):
    cell = kernel_cell(zoneout(CATALOGUE["gru"]))
    call = problem(cell, (6, 9, 8, 100), torch.float64)
    wanted = results(compiled(cell), call)
    monkeypatch.setattr(sharing, "plan", lambda *_: {"threads": threads, "split_units": split_units})
    found = results(compiled(cell), call)
    assert torch.equal(found[0], wanted[0])
    assert_close(found, wanted, 1e-12)


@pytest.mark.skipif(not multiplies_bfloat16(), reason="this processor has no instructions for bfloat16")
@pytest.mark.parametrize("name", KINDS_UNLESS_LONG)
def test_bfloat16_is_within_its_own_error(name, monkeypatch):
    use_plan(monkeypatch, "units")
    cell = CELLS[name]
    call = problem(cell, (5, 6, 6, 32), torch.float32)
    halved = [t if t is None else t.detach().bfloat16().requires_grad_(t.requires_grad) for t in call.tensors]
    wide = [t if t is None else t.detach().float().requires_grad_(t.requires_grad) for t in halved]
    found = results(compiled(cell), call.with_tensors(tuple(halved)))
    usual = oracle(cell, call.with_tensors(tuple(halved)))
    wanted = oracle(cell, call.with_tensors(tuple(wide)))
    for a, b, true in zip(found, usual, wanted, strict=True):
        assert a.dtype == torch.bfloat16
        # by norm: a relu that opens where the exact one stays shut is far off in a single place
        own, theirs = ((t.float() - true).norm() for t in (a, b))
        assert own <= max(0.01 * true.norm(), 1.5 * theirs)


@pytest.mark.parametrize("name", ["lstm", "gru", "elman_tanh", "gru_reset_before", "lstm_layer_norm", "slstm"])
def test_second_derivatives_go_through_the_oracle(name):
    call = problem(CELLS[name], (2, 2, 2, 8), torch.float64)
    names = [tensor is not None and tensor.requires_grad for tensor in call.tensors]

    def function(*given):
        rest = iter(given)
        tensors = [next(rest) if a else t for t, a in zip(call.tensors, names, strict=True)]
        return compiled(CELLS[name])(call.with_tensors(tuple(tensors)))

    assert torch.autograd.gradgradcheck(function, tuple(wanted_gradients(call)), fast_mode=True)


@pytest.mark.parametrize("name", ["lstm", "mingru", "lstm_peephole"])
def test_the_registered_operator_passes_torch_own_checks(name):
    cell = CELLS[name]
    call = problem(cell, (3, 2, 4, 8), torch.float64)
    for segment in (0, 2):
        arguments = (*call.tensors, None, None, register(cell), False, 0, segment)
        torch.library.opcheck(forward_operator, arguments)


@pytest.mark.parametrize("unused", ["output", "finals"])
def test_gradient_of_one_result_only(unused):
    cell = CELLS["lstm"]
    call = problem(cell, (4, 3, 2, 8), torch.float64)
    keep = 1 if unused == "output" else 0
    found = compiled(cell)(call)[keep].sum()
    wanted = naive.run(cell, call)[keep].sum()
    inputs = wanted_gradients(call)
    assert_close(torch.autograd.grad(found, inputs), torch.autograd.grad(wanted, inputs), 1e-12)


def test_backward_twice_over_one_graph_gives_the_same():
    call = problem(CELLS["gru"], (4, 3, 2, 8), torch.float64)
    output, _ = compiled(CELLS["gru"])(call)
    inputs = wanted_gradients(call)
    first = torch.autograd.grad(output.sum(), inputs, retain_graph=True)
    second = torch.autograd.grad(output.sum(), inputs)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("plan", ["rows", "units"])
def test_same_bits_every_time(plan, monkeypatch):
    use_plan(monkeypatch, plan)
    for name in ("lstm", "lstm_peephole"):
        call = problem(CELLS[name], (6, 9, 8, 100), torch.float32)
        runs = [results(compiled(CELLS[name]), call) for _ in range(3)]
        for again in runs[1:]:
            assert all(torch.equal(a, b) for a, b in zip(runs[0], again, strict=True))


def test_plan_splits_units_only_where_it_pays(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    lstm = kernels_compiled(CELLS["lstm"], "float32", 256)
    assert sharing.plan(lstm, lstm.shape.forward, 100, 1) == {"threads": 2, "split_units": 1}
    assert sharing.plan(lstm, lstm.shape.forward, 100, 64)["split_units"] == 0
    small = kernels_compiled(CELLS["elman_tanh"], "float32", 8)
    assert sharing.plan(small, small.shape.forward, 3, 2)["threads"] == 1
    normalised = kernels_compiled(CELLS["lstm_layer_norm"], "float32", 256)
    assert sharing.plan(normalised, normalised.shape.forward, 100, 1)["split_units"] == 0
