"""Random problems for one layer in one direction, and how results are compared."""

from dataclasses import replace

import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.engine import naive, sharing
from ricorso.engine.call import Call
from ricorso.engine.ragged import padded_rows
from ricorso.equations.transform import folded

PLANS = {
    "alone": {"threads": 1, "split_units": 0},
    "rows": {"threads": 2, "split_units": 0},
    "units": {"threads": 2, "split_units": 1},
    "more threads than rows": {"threads": 5, "split_units": 0},
}

# a cell of each kind, for tests that look at every cell in `make test-long` only
KINDS = ("lstm", "gru", "slstm", "gru_reset_before", "lstm_layer_norm", "mingru", "indrnn", "lru")
KINDS_UNLESS_LONG = [pytest.param(name, marks=() if name in KINDS else pytest.mark.long) for name in CATALOGUE]

WHOLE = {}


def kernel_cell(cell):
    """A cell as kernels take it; `problem` gives it parameters that fit the equations it comes from."""
    kernel = folded(cell)[0]
    WHOLE[kernel] = cell
    return kernel


def parameters_for(kernel, hidden, dtype):
    like = torch.zeros(hidden, dtype=torch.float64)
    whole = WHOLE[kernel]
    values = {parameter.name: torch.rand_like(like) * 0.6 + 0.2 for parameter in whole.parameters}
    values |= {rate.name: torch.full_like(like, 0.4) for rate in whole.rates}
    trees = [naive.tree(expression) for expression in folded(whole)[1]]
    return torch.stack([naive.evaluate(tree, values.__getitem__, like) + like for tree in trees]).to(dtype)


def use_plan(monkeypatch, name):
    """Have kernels run under a plan of PLANS; units that cannot be shared are left to one thread."""

    def plan(kernels, direction, steps, batch):
        return PLANS["alone" if name == "units" and direction.shares == 1 else name]

    monkeypatch.setattr(sharing, "plan", plan)


def problem(cell, sizes, dtype, tokens=False, bias=True, reverse=False, heads=None):
    """A call with gradients asked for; `cell` as `folded` leaves it. sizes: (time, batch, features, hidden)."""
    torch.manual_seed(sum(sizes))
    time, batch, features, hidden = sizes
    heads = heads or (cell.heads if hidden % cell.heads == 0 else 1)
    inputs, products = len(cell.input_gates) * hidden, len(cell.product_gates) * hidden

    def weight(*shape):
        return ((torch.rand(shape, dtype=dtype) * 2 - 1) * hidden**-0.5).requires_grad_() if shape[0] else None

    x = torch.randint(0, features, (time, batch)) if tokens else torch.randn(time, batch, features, dtype=dtype)
    return Call(
        x if tokens else x.requires_grad_(),
        weight(inputs, features),
        weight(products, hidden // heads),
        weight(inputs) if bias else None,
        weight(products) if bias else None,
        parameters_for(cell, hidden, dtype).requires_grad_() if cell.parameters else None,
        torch.rand(len(cell.signals), time, batch, dtype=dtype) if cell.signals else None,
        (torch.randn(len(cell.states), batch, hidden, dtype=dtype) * 0.3).requires_grad_(),
        reverse,
        seed=1234567890123456,
        first_step=3,
    )


def ragged(call, lengths):
    """The call with sequences of so many steps, longer ones first."""
    sizes = torch.tensor([sum(length > t for length in lengths) for t in range(max(lengths))])
    rows = padded_rows(sizes, len(lengths))
    inputs = call.inputs.detach().flatten(0, 1)[rows]
    return replace(
        call,
        inputs=inputs.requires_grad_() if inputs.is_floating_point() else inputs,
        signals=None if call.signals is None else call.signals.flatten(1, 2)[:, rows],
        sizes=sizes,
    )


def wanted_gradients(call):
    return [tensor for tensor in call.tensors if tensor is not None and tensor.requires_grad]


def results(run, call):
    """Outputs, final states and gradients under fixed random output gradients."""
    output, finals = run(call)
    torch.manual_seed(1)
    d_output, d_finals = (torch.randn(t.shape, dtype=torch.float64).to(t.dtype) for t in (output, finals))
    asked = wanted_gradients(call)
    found = torch.autograd.grad([output, finals], asked, [d_output, d_finals], allow_unused=True)
    zeros = [torch.zeros_like(tensor) for tensor in asked]
    return [output, finals, *(z if f is None else f for f, z in zip(found, zeros, strict=True))]


def oracle(cell, call):
    return results(lambda c: naive.run(cell, c), call)


def distance(a, b):
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-3)).item()


def assert_equals_oracle(cell, call, found):
    """float64 to 11 digits; float32 to 2e-5, or where the oracle is further from the truth, as near to it as that."""
    wanted = oracle(cell, call)
    if call.dtype == torch.float64:
        assert_close(found, wanted, 1e-11)
        return
    worst = max(distance(a, b) for a, b in zip(found, wanted, strict=True))
    if not worst <= 2e-5:
        wide = [t if t is None or not t.is_floating_point() else t.detach().double().requires_grad_(t.requires_grad)
                for t in call.tensors]  # fmt: skip
        truth = oracle(cell, call.with_tensors(tuple(wide)))
        for ours, theirs, true in zip(found, wanted, truth, strict=True):
            assert distance(ours, true) <= max(2e-5, 1.5 * distance(theirs, true))


def assert_close(found, wanted, tolerance):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-3)
