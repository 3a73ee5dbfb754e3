"""Every fast path against the oracle: outputs, final states and all gradients."""

import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.engine import fast, naive
from ricorso.engine.operator import forward, forward_operator
from ricorso.kernels.team import Team

# (time, batch, features, hidden); few hidden sizes, since each is compiled anew
ALONE = [(5, 3, 4, 7), (3, 1, 1, 1), (7, 13, 5, 100)]
TOGETHER = [(4, 9, 16, 100), (1, 2, 3, 7), (3, 20, 2, 100)]
PLANS = {
    "alone": {"threads": 1, "split_units": 0},
    "rows": {"threads": 2, "split_units": 0},
    "units": {"threads": 2, "split_units": 1},
    "more threads than rows": {"threads": 5, "split_units": 0},
}


def problem(cell, sizes, dtype, tokens=False, bias=True):
    torch.manual_seed(sum(sizes))
    time, batch, features, hidden = sizes
    rows = len(cell.gates) * hidden
    shapes = [(rows, features), (rows, hidden), (rows,), (rows,), (len(cell.states), batch, hidden)]
    weights = [((torch.rand(shape, dtype=dtype) * 2 - 1) * hidden**-0.5).requires_grad_() for shape in shapes]
    if not bias:
        weights[2] = weights[3] = None
    if tokens:
        return torch.randint(0, features, (time, batch)), weights
    return torch.randn(time, batch, features, dtype=dtype, requires_grad=True), weights


def results(run, x, weights):
    """Outputs, final states and gradients under fixed random output gradients."""
    output, finals = run(x, *weights)
    torch.manual_seed(1)
    d_output, d_finals = torch.randn_like(output), torch.randn_like(finals)
    wanted = [t for t in (x, *weights) if t is not None and t.requires_grad]
    return [output, finals, *torch.autograd.grad([output, finals], wanted, [d_output, d_finals])]


def assert_close(found, wanted, tolerance):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-3)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=lambda cell: cell.name)
def test_kernels_equal_the_oracle(cell, dtype, tokens, reverse, plan, monkeypatch):
    monkeypatch.setattr(fast, "plan", lambda *_: PLANS[plan])
    for sizes in ALONE if plan == "alone" else TOGETHER:
        x, weights = problem(cell, sizes, dtype, tokens)
        found = results(lambda x, *w: forward(x, *w, cell.name, reverse), x, weights)
        wanted = results(lambda x, *w: naive.run(cell, x, *w, reverse), x, weights)
        assert_close(found, wanted, 1e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=lambda cell: cell.name)
@pytest.mark.parametrize("split_units", [0, 1])
def test_threads_of_python_do_when_there_is_no_openmp(cell, split_units, monkeypatch):
    monkeypatch.setattr(fast, "plan", lambda *_: {"threads": 2, "split_units": split_units})
    monkeypatch.setattr(fast, "torch_team", Team)
    x, weights = problem(cell, (4, 5, 3, 100), torch.float64, bias=False)
    found = results(lambda x, *w: forward(x, *w, cell.name, False), x, weights)
    wanted = results(lambda x, *w: naive.run(cell, x, *w, False), x, weights)
    assert_close(found, wanted, 1e-12)


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=lambda cell: cell.name)
def test_gradients_against_finite_differences(cell):
    x, weights = problem(cell, (3, 2, 2, 3), torch.float64)
    # relu has no derivative where two finite steps meet its corner; these sizes and seed stay clear of it
    assert torch.autograd.gradcheck(lambda x, *w: forward(x, *w, cell.name, False), (x, *weights), fast_mode=False)
    assert torch.autograd.gradcheck(lambda x, *w: forward(x, *w, cell.name, True), (x, *weights), fast_mode=False)


@pytest.mark.parametrize("name", ["lstm", "gru", "elman_tanh", "carry"])
def test_second_derivatives_go_through_the_oracle(name):
    x, weights = problem(CATALOGUE[name], (2, 2, 2, 3), torch.float64)
    assert torch.autograd.gradgradcheck(lambda x, *w: forward(x, *w, name, False), (x, *weights))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_the_registered_operator_passes_torch_own_checks(name):
    x, weights = problem(CATALOGUE[name], (3, 2, 4, 3), torch.float64)
    torch.library.opcheck(forward_operator, (x, *weights, name, False))


@pytest.mark.parametrize("unused", ["output", "finals"])
def test_gradient_of_one_result_only(unused):
    cell = CATALOGUE["lstm"]
    x, weights = problem(cell, (4, 3, 2, 3), torch.float64)
    keep = 1 if unused == "output" else 0
    found = forward(x, *weights, "lstm", False)[keep].sum()
    wanted = naive.run(cell, x, *weights, False)[keep].sum()
    inputs = [x, *weights]
    assert_close(torch.autograd.grad(found, inputs), torch.autograd.grad(wanted, inputs), 1e-12)


def test_backward_twice_over_one_graph_gives_the_same():
    x, weights = problem(CATALOGUE["gru"], (4, 3, 2, 3), torch.float64)
    output, _ = forward(x, *weights, "gru", False)
    first = torch.autograd.grad(output.sum(), [x, *weights], retain_graph=True)
    second = torch.autograd.grad(output.sum(), [x, *weights])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("split_units", [0, 1])
def test_same_bits_every_time(split_units, monkeypatch):
    monkeypatch.setattr(fast, "plan", lambda *_: {"threads": 2, "split_units": split_units})
    x, weights = problem(CATALOGUE["lstm"], (6, 9, 8, 100), torch.float32)
    runs = [results(lambda x, *w: forward(x, *w, "lstm", False), x, weights) for _ in range(3)]
    for again in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], again, strict=True))


def test_plan_splits_units_only_where_it_pays(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    kernels = fast.compiled(CATALOGUE["lstm"], "float32", 256)
    assert fast.plan(kernels, 100, 1) == {"threads": 2, "split_units": 1}
    assert fast.plan(kernels, 100, 64)["split_units"] == 0
    small = fast.compiled(CATALOGUE["elman_tanh"], "float32", 7)
    assert fast.plan(small, 3, 2)["threads"] == 1
