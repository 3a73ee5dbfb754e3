"""The kernels for GPUs against the oracle; run by test_gpu.py with Triton's interpreter on."""

from dataclasses import replace

import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.engine import gpu, naive, operator
from ricorso.engine.call import TENSORS, Call
from ricorso.equations import Cell, gates, states
from ricorso.equations.transform import folded, layer_normalised, recurrent_dropout, zoneout

# Lanes outside a block compute on zeros, and exp may overflow on its way to a gate that is 0.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|divide|invalid):RuntimeWarning")

VARIANTS = {
    "zoneout_gru": zoneout(CATALOGUE["gru"]),
    "zoneout_lstm": zoneout(CATALOGUE["lstm"]),
    "zoneout_sru": zoneout(CATALOGUE["sru"]),
    "dropout_gru_reset_before": recurrent_dropout(CATALOGUE["gru_reset_before"]),
    "dropout_lstm": recurrent_dropout(CATALOGUE["lstm"]),
    "normalised_mgu": layer_normalised(CATALOGUE["mgu"]),
    "normalised_indrnn": layer_normalised(CATALOGUE["indrnn"]),
    "normalised_lem": layer_normalised(zoneout(CATALOGUE["lem"])),
}
WHOLE = {folded(cell)[0]: cell for cell in (CATALOGUE | VARIANTS).values()}
CELLS = dict(zip(CATALOGUE | VARIANTS, WHOLE, strict=True))


@pytest.fixture(autouse=True)
def _on_the_gpu_engine(monkeypatch):
    """Tensors are on the CPU here, where the interpreter runs."""
    monkeypatch.setattr(operator, "engine_for", lambda call: gpu)


def on_gpu(cell, call):
    """Outputs and final states through the kernels for GPUs."""
    seed = torch.tensor(call.seed) if cell.noises else None
    return operator.forward(
        operator.Run(operator.register(cell), call.tensors, call.sizes, call.reverse, seed, 0, call.first_step)
    )


def parameters_for(cell, hidden):
    """The parameters of a folded cell, from random ones and rates of the cell that it was folded from."""
    like = torch.zeros(hidden, dtype=torch.float64)
    whole = WHOLE.get(cell, cell)
    values = {parameter.name: torch.rand_like(like) * 0.6 + 0.2 for parameter in whole.parameters}
    values |= {rate.name: torch.full_like(like, 0.4) for rate in whole.rates}
    trees = [naive.tree(expression) for expression in folded(whole)[1]]
    found = [naive.evaluate(tree, values.__getitem__, like) + like for tree in trees]
    return torch.stack(found) if found else like.new_empty(0, hidden)


def call_for(cell, sizes, dtype, tokens=False, bias=True, reverse=False):
    """Sizes: (time, batch, features, hidden_size, heads)."""
    torch.manual_seed(sum(sizes))
    time, batch, features, hidden, heads = sizes

    def weight(*shape):
        return ((torch.rand(shape, dtype=torch.float64) * 2 - 1) / 2).to(dtype).requires_grad_()

    inputs = torch.randint(0, features, (time, batch)) if tokens else weight(time, batch, features)
    rows = len(cell.product_gates) * hidden
    parameters = parameters_for(cell, hidden).to(dtype)
    return Call(
        inputs,
        weight(len(cell.input_gates) * hidden, features),
        weight(rows, hidden // heads) if rows else None,
        weight(len(cell.input_gates) * hidden) if bias else None,
        weight(rows) if bias and rows else None,
        parameters.requires_grad_() if cell.parameters else None,
        torch.rand(len(cell.signals), time, batch, dtype=dtype) if cell.signals else None,
        weight(len(cell.states), batch, hidden),
        reverse=reverse,
        seed=0x1ABCDEF0A2345678,
        first_step=1000,
    )


def results(run, cell, call):
    """Outputs, final states and gradients under fixed output gradients."""
    output, finals = run(cell, call)
    torch.manual_seed(1)
    given = [torch.randn(t.shape, dtype=torch.float64).to(t.dtype) for t in (output, finals)]
    wanted = {n: t for n, t in zip(TENSORS, call.tensors, strict=True) if t is not None and t.requires_grad}
    found = torch.autograd.grad([output, finals], list(wanted.values()), given, allow_unused=True)
    found = [torch.zeros_like(t) if f is None else f for f, t in zip(found, wanted.values(), strict=True)]
    return {"output": output, "finals": finals} | dict(zip(wanted, found, strict=True))


def assert_close(found, wanted, tolerance):
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].shape == wanted[name].shape, name
        assert found[name].dtype == wanted[name].dtype, name
        difference = (found[name].double() - wanted[name].double()).abs().max()
        assert difference <= tolerance * wanted[name].double().abs().max().clamp(min=1e-2), name


def check(cell, sizes, dtype, tolerance, **how):
    call = call_for(cell, sizes, dtype, **how)
    assert_close(results(on_gpu, cell, call), results(naive.run, cell, call), tolerance)


@pytest.mark.parametrize("name", CELLS)
def test_kernels_equal_the_oracle(name):
    check(CELLS[name], (3, 5, 2, 7, 1), torch.float64, 1e-11)
    check(CELLS[name], (1, 1, 1, 2, 2), torch.float64, 1e-11, bias=False)


@pytest.mark.parametrize("name", CELLS)
def test_heads_tokens_and_reverse_in_single_precision(name):
    check(CELLS[name], (2, 2, 3, 6, 3), torch.float32, 1e-4, reverse=True, tokens=True)


@pytest.mark.parametrize("sizes", [(2, 37, 2, 7, 1), (2, 3, 2, 131, 1)], ids=["many rows", "many units"])
@pytest.mark.parametrize("name", ["sru_peephole", "gru_layer_norm", "gru", "lru"])
def test_several_blocks(name, sizes):
    check(CELLS[name], sizes, torch.float64, 1e-11, reverse=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["gru", "lstm_peephole", "sru_peephole", "gru_layer_norm", "lem", "slstm"])
def test_half_precision_is_near_the_oracle_in_single(name, dtype):
    call = call_for(CELLS[name], (4, 3, 3, 6, 2), dtype)
    exact = call.with_tensors(tuple(None if t is None else t.detach().float().requires_grad_() for t in call.tensors))
    found = results(on_gpu, CELLS[name], call)
    assert all(t.dtype == dtype for t in found.values())
    single = {n: t.float() for n, t in found.items()}
    assert_close(single, results(naive.run, CELLS[name], exact), 0.01 if dtype == torch.float16 else 0.08)


def test_noise_is_felt():
    call = call_for(CELLS["zoneout_lstm"], (3, 5, 2, 7, 1), torch.float64)
    output, _ = on_gpu(CELLS["zoneout_lstm"], call)
    kept = (output[1:] == output[:-1]).double().mean()
    assert 0.2 < kept < 0.6
    assert not torch.equal(output, on_gpu(CELLS["zoneout_lstm"], replace(call, seed=call.seed + 1))[0])


def test_a_gradient_that_is_multiplied_as_it_comes():
    (p,), (h,) = gates("p"), states("h")
    check(Cell("straight", gates=(p,), states=(h,), update={h: p}), (3, 2, 2, 5, 1), torch.float64, 1e-12)


def test_states_need_not_be_contiguous():
    call = call_for(CELLS["lstm"], (3, 4, 2, 5, 1), torch.float64)
    turned = call.initial.detach().transpose(0, 2).contiguous().transpose(0, 2).requires_grad_()
    call = Call(*call.tensors[:-1], turned)
    assert not turned.is_contiguous()
    assert_close(results(on_gpu, CELLS["lstm"], call), results(naive.run, CELLS["lstm"], call), 1e-12)


@pytest.mark.parametrize("unused", ["output", "finals"])
def test_gradient_of_one_result_only(unused):
    call = call_for(CELLS["gru"], (3, 2, 2, 3, 1), torch.float64)

    def one(run):
        return torch.autograd.grad(run(CELLS["gru"], call)[unused == "output"].sum(), [call.inputs, call.initial])

    assert all(torch.allclose(a, b) for a, b in zip(one(on_gpu), one(naive.run), strict=True))


def test_backward_twice_over_one_graph_gives_the_same():
    call = call_for(CELLS["lem"], (4, 3, 2, 3, 1), torch.float64)
    output, _ = on_gpu(CELLS["lem"], call)
    first = torch.autograd.grad(output.sum(), [call.inputs, call.weight_hh], retain_graph=True)
    second = torch.autograd.grad(output.sum(), [call.inputs, call.weight_hh])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_second_derivatives_go_through_the_oracle():
    call = call_for(CELLS["indrnn"], (2, 2, 2, 2, 1), torch.float64)
    wanted = [call.inputs, call.weight_ih, call.initial]

    def second(run):
        first = torch.autograd.grad(run(CELLS["indrnn"], call)[0].pow(3).sum(), wanted, create_graph=True)
        return torch.autograd.grad(sum(g.pow(2).sum() for g in first), wanted)

    assert all(torch.allclose(a, b) for a, b in zip(second(on_gpu), second(naive.run), strict=True))
