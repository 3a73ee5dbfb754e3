import copy
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ricorso.cells import elman
from ricorso.errors import ShapeError, UsageError
from ricorso.layers import GRU, LSTM, RNN, Recurrent

DROP_INS = [
    (LSTM, torch.nn.LSTM, {}),
    (LSTM, torch.nn.LSTM, {"proj_size": 3}),
    (GRU, torch.nn.GRU, {}),
    (RNN, torch.nn.RNN, {}),
    (RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
]
OPTIONS = [
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
    {"batch_first": True, "num_layers": 3},
]


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


def assert_relative(found, wanted, tolerance):
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max().clamp(min=1e-6)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("ours", "peer", "extra"), DROP_INS, ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_equals_torch(ours, peer, extra, options, with_states, dtype, tolerance):
    torch.manual_seed(0)
    mine = ours(5, 8, **extra, **options, dtype=dtype)
    theirs = peer(5, 8, **extra, **options, dtype=dtype)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(6, 4, 5, dtype=dtype, requires_grad=True)
    output, states = theirs(x)
    if with_states:
        torch.manual_seed(1)
        states = tuple(torch.randn_like(state).requires_grad_() for state in as_tuple(states))
        hx = states if len(states) > 1 else states[0]
    else:
        states, hx = (), None
    results = []
    for layer in (mine, theirs):
        output, finals = layer(x, hx)
        torch.manual_seed(2)
        everything = [output, *as_tuple(finals)]
        gradients = [torch.randn_like(tensor) for tensor in everything]
        wanted = [x, *states, *layer.parameters()]
        results.append([*everything, *torch.autograd.grad(everything, wanted, gradients)])
    for found, wanted in zip(*results, strict=True):
        assert_relative(found, wanted, tolerance)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@settings(max_examples=80, deadline=None)
@given(
    drop_in=st.sampled_from([drop_in for drop_in in DROP_INS if "proj_size" not in drop_in[2]]),
    features=st.sampled_from([1, 2, 7]),
    few=st.booleans(),
    layers=st.integers(1, 3),
    time=st.integers(1, 5),
    batch=st.integers(1, 7),
    switches=st.tuples(*[st.booleans()] * 5),
    projected=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_configuration_equals_torch(drop_in, features, few, layers, time, batch, switches, projected, seed):
    ours, peer, extra = drop_in
    bias, batch_first, bidirectional, with_states, wide = switches
    dtype, tolerance = (torch.float64, 1e-10) if wide else (torch.float32, 2e-5)
    # 8 units are compiled anyway; 13 fill no number of vectors
    hidden = (8 if few else 13) if wide else (1 if few else 8)
    options = {"num_layers": layers, "bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, **extra}
    size = hidden
    if projected and peer is nn.LSTM and hidden > 1:
        options["proj_size"] = size = hidden // 2
    torch.manual_seed(seed)
    mine, theirs = ours(features, hidden, **options, dtype=dtype), peer(features, hidden, **options, dtype=dtype)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn((batch, time, features) if batch_first else (time, batch, features), dtype=dtype).requires_grad_()
    ends = layers * (1 + bidirectional)
    shapes = [(ends, batch, size), (ends, batch, hidden)][: 2 if peer is nn.LSTM else 1]
    states = [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes] if with_states else []
    hx = None if not states else states[0] if len(states) == 1 else tuple(states)
    results = []
    for layer in (mine, theirs):
        output, finals = layer(x, hx)
        everything = [output, *as_tuple(finals)]
        torch.manual_seed(seed + 1)
        gradients = [torch.randn_like(tensor) for tensor in everything]
        named = dict(layer.named_parameters())
        wanted = [x, *states, *(named[name] for name in sorted(named))]
        results.append([*everything, *torch.autograd.grad(everything, wanted, gradients)])
    for found, expected in zip(*results, strict=True):
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=0.1)


@pytest.mark.parametrize(("ours", "peer", "extra"), DROP_INS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_state_dicts_travel_both_ways(ours, peer, extra):
    mine, theirs = ours(3, 5, 2, bidirectional=True, **extra), peer(3, 5, 2, bidirectional=True, **extra)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(mine.state_dict())
    mine.load_state_dict(theirs.state_dict())
    for found, wanted in zip(mine.all_weights, theirs.all_weights, strict=True):
        assert [tuple(w.shape) for w in found] == [tuple(w.shape) for w in wanted]
    mine.flatten_parameters()


@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_unbatched_input_equals_torch(options):
    mine, theirs = LSTM(3, 8, **options), torch.nn.LSTM(3, 8, **options)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(7, 3)
    output, states = theirs(x)
    found, again = mine(x, states)
    wanted, finals = theirs(x, states)
    assert_relative(found, wanted, 1e-5)
    for a, b in zip(again, finals, strict=True):
        assert_relative(a, b, 1e-5)
    assert output.shape == found.shape


def test_dropout_between_layers_only_in_training():
    layer = GRU(3, 8, num_layers=2, dropout=0.5)
    x = torch.randn(4, 2, 3)
    torch.manual_seed(0)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_a_cell_of_the_user_runs_compiled():
    from ricorso.equations import softplus

    layer = Recurrent(elman("elman_softplus", softplus), 2, 3, dtype=torch.float64)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x)[0], (x,))
    assert layer.path.startswith("llvm")
    assert torch.equal(copy.deepcopy(layer)(x)[0], layer(x)[0])


@pytest.mark.parametrize("cell", ["lstm", "lstm_layer_norm", "mingru", pytest.param("lru", marks=pytest.mark.long)])
def test_under_torch_compile_the_engine_is_one_opaque_call(cell):
    layer = Recurrent(cell, 3, 8, num_layers=2, zoneout=0.3 if cell == "mingru" else 0.0).eval()
    x = torch.randn(5, 2, 3, requires_grad=True)
    compiled = torch.compile(lambda x: layer(x)[0].tanh().sum(), backend="aot_eager", fullgraph=True)
    wanted = torch.autograd.grad(layer(x)[0].tanh().sum(), [x, *layer.parameters()])
    found = torch.autograd.grad(compiled(x), [x, *layer.parameters()])
    for a, b in zip(found, wanted, strict=True):
        assert_relative(a, b, 1e-5)


def test_transforms_of_torch_func_take_the_oracle():
    layer = GRU(3, 8)
    x = torch.randn(6, 5, 2, 3)
    found = torch.func.vmap(lambda x: layer(x)[0])(x)
    assert layer.path.startswith("naive: torch.func")
    assert_relative(found, torch.stack([layer(part)[0] for part in x]), 1e-5)


def test_path_says_what_ran(monkeypatch):
    layer = LSTM(3, 8)
    assert layer.path == "not called yet"
    layer(torch.zeros(2, 1, 3))
    assert layer.path.startswith("llvm: kernels compiled for lstm")
    for forced in ("naive", "torch"):
        monkeypatch.setenv("RICORSO_PATH", forced)
        layer(torch.zeros(2, 1, 3))
        assert layer.path.startswith(f"{forced}: RICORSO_PATH")
    monkeypatch.setenv("RICORSO_PATH", "fast")
    with pytest.raises(UsageError, match="naive"):
        layer(torch.zeros(2, 1, 3))


def test_a_large_lstm_takes_torchs_kernel_where_that_is_faster(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    layer = LSTM(2, 512).requires_grad_(False)
    layer(torch.zeros(1, 128, 2))
    assert layer.path == "torch: torch's own LSTM kernel is faster at this size"
    layer(torch.zeros(1, 128, dtype=torch.long))
    assert layer.path.startswith("llvm")


def test_half_precision_takes_torch_where_torch_has_the_cell():
    layer = LSTM(3, 4, dtype=torch.float16)
    assert layer(torch.zeros(2, 1, 3, dtype=torch.float16))[0].dtype == torch.float16
    assert layer.path.startswith("torch")
    other = Recurrent("carry", 3, 4).half()
    assert other(torch.zeros(2, 1, 3, dtype=torch.float16))[0].dtype == torch.float16
    assert other.path.startswith("naive")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_layers_can_be_made(dtype):
    layer = Recurrent("gru", 4, 8, dtype=dtype)
    block = layer.weight_hh_l0[:8].detach().float()
    torch.testing.assert_close(block @ block.T, torch.eye(8), atol=0.02, rtol=0)


def test_empty_batch():
    output, (h, c) = LSTM(3, 4)(torch.zeros(5, 0, 3))
    assert output.shape == (5, 0, 4)
    assert h.shape == c.shape == (1, 0, 4)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda m: m(torch.zeros(5, 2, 4)), "4 features; this LSTM was built with input_size=3"),
        (lambda m: m(torch.zeros(5)), "1 dimensions"),
        (lambda m: m(torch.zeros(5, 2, 3).double()), "float64"),
        (lambda m: m(torch.full((5, 2), 3)), "ids must be 0 to 2"),
        (lambda m: m(torch.zeros(5, 2, dtype=torch.bool)), "bool"),
        (lambda m: m(torch.zeros(5, 2, 3), torch.zeros(1, 2, 4)), "holds 1 tensors; lstm has 2"),
        (lambda m: m(torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 3, 4))), r"State c .* wanted \(1, 2"),
        (lambda m: m(torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4).double())), "float64"),
        (lambda m: m(torch.zeros(5, 2, 3, device="meta")), "meta"),
    ],
)
def test_wrong_input_is_named(run, message):
    with pytest.raises(ShapeError, match=message):
        run(LSTM(3, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(0, 4), "input_size"),
        (lambda: LSTM(3, 4.0), "hidden_size"),
        (lambda: LSTM(3, 4, dropout=1.5), "dropout"),
        (lambda: LSTM(3, 4, proj_size=4), "below hidden_size=4"),
        (lambda: Recurrent("gru", 3, 4, proj_size=2), "LSTM only"),
        (lambda: RNN(3, 4, nonlinearity="gelu"), "tanh, relu, sigmoid"),
        (lambda: Recurrent("lsmt", 3, 4), "Did you mean 'lstm'"),
    ],
)
def test_wrong_construction_is_named(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_useless_dropout_warns_as_in_torch():
    with pytest.warns(UserWarning, match="only one"):
        LSTM(3, 4, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSTM(3, 4, num_layers=2, dropout=0.5)
