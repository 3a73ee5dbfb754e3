import copy

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from ricorso.cells import CATALOGUE
from ricorso.engine import team
from ricorso.engine.single_kernels import pieces
from ricorso.errors import ShapeError, UsageError
from ricorso.layers import Recurrent
from ricorso.layers.step import GRUCell, LSTMCell, RecurrentCell, RNNCell

DROP_INS = [
    (LSTMCell, torch.nn.LSTMCell, {}),
    (GRUCell, torch.nn.GRUCell, {}),
    (RNNCell, torch.nn.RNNCell, {}),
    (RNNCell, torch.nn.RNNCell, {"nonlinearity": "relu"}),
]
BY_NAME = {"ids": lambda value: getattr(value, "__name__", str(value))}
FAST = "llvm: kernels compiled for one step"


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


def assert_relative(found, wanted, tolerance):
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp(min=1e-6)


def pair(ours, peer, *sizes, **options):
    torch.manual_seed(3)
    mine = ours(*sizes, **options)
    torch.manual_seed(3)
    return mine, peer(*sizes, **options)


def walk(layer, xs, states=None):
    """Every state of every step."""
    found = []
    for x in xs:
        states = layer(x, states)
        found += as_tuple(states)
    return found


def results(layer, xs, states=()):
    """States and gradients under fixed random gradients of the states."""
    found = walk(layer, xs, (states if len(states) > 1 else states[0]) if states else None)
    torch.manual_seed(1)
    gradients = [torch.randn_like(state) for state in found]
    return [*found, *torch.autograd.grad(found, [xs, *states, *layer.parameters()], gradients)]


@pytest.fixture
def kernels(monkeypatch):
    """Kernels run whatever the size."""
    monkeypatch.setenv("RICORSO_PATH", "llvm")


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("sizes", [(5, 8, 1), (3, 8, 2), (20, 8, 3), (7, 100, 4), (100, 100, 13), (1, 8, 150)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("ours", "peer", "extra"), DROP_INS, **BY_NAME)
def test_equals_torch(ours, peer, extra, bias, sizes, dtype, tolerance):
    features, hidden, batch = sizes
    mine, theirs = pair(ours, peer, features, hidden, bias, dtype=dtype, **extra)
    xs = torch.randn(4, batch, features, dtype=dtype, requires_grad=True)
    states = tuple(torch.randn(batch, hidden, dtype=dtype).requires_grad_() for _ in mine.cell.states)
    assert_relative(results(mine, xs, states), results(theirs, xs, states), tolerance)
    assert mine.path.startswith(FAST) == (batch <= 128)
    with torch.no_grad():
        assert_relative(walk(mine, xs), walk(theirs, xs), tolerance)


@pytest.mark.parametrize(("ours", "peer", "extra"), DROP_INS, **BY_NAME)
def test_same_seed_same_weights_and_state_dicts_travel(ours, peer, extra):
    mine, theirs = pair(ours, peer, 5, 8, **extra)
    assert list(mine.state_dict()) == list(theirs.state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    for name, value in theirs.state_dict().items():
        assert torch.equal(mine.state_dict()[name], value)
    mine.reset_parameters()
    theirs.load_state_dict(mine.state_dict())
    mine.load_state_dict(theirs.state_dict())
    assert list(pair(ours, peer, 5, 8, False, **extra)[0].state_dict()) == ["weight_ih", "weight_hh"]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("ours", "peer", "extra"), DROP_INS, **BY_NAME)
def test_unbatched_and_strided_input(ours, peer, extra):
    mine, theirs = pair(ours, peer, 5, 8, **extra)
    x, state = torch.randn(3, 5), torch.randn(8)
    hx = (state, state * 2) if ours is LSTMCell else state
    assert_relative(walk(mine, x, hx), walk(theirs, x, hx), 2e-5)
    assert walk(mine, x)[0].shape == (8,)
    columns, wide = torch.randn(5, 6, 2), torch.randn(8, 6)
    xs = columns.permute(2, 1, 0)
    hx = (wide.t(), wide.t()[:1].expand(6, 8)) if ours is LSTMCell else wide.t()
    assert_relative(walk(mine, xs, hx), walk(theirs, xs, hx), 2e-5)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("ours", "peer", "extra"), DROP_INS[:3], **BY_NAME)
def test_gradients_and_their_gradients(ours, peer, extra):
    layer = ours(3, 8, dtype=torch.float64, **extra)
    xs = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    states = tuple(torch.randn(2, 8, dtype=torch.float64).requires_grad_() for _ in layer.cell.states)

    def run(xs, *given):
        weights = dict(zip(dict(layer.named_parameters()), given[len(states) :], strict=False))
        hx = given[: len(states)] if len(states) > 1 else given[0]
        found = hx
        for x in xs:
            found = torch.func.functional_call(layer, weights, (x, found))
        return found

    given = (xs, *states, *layer.parameters())
    assert torch.autograd.gradcheck(run, given)
    assert layer.path.startswith(FAST)
    assert torch.autograd.gradgradcheck(run, given[: 2 + len(states)], atol=1e-4)


def test_only_what_is_asked_for_gets_a_gradient():
    layer, theirs = pair(LSTMCell, torch.nn.LSTMCell, 5, 8)
    xs = torch.randn(3, 4, 5, requires_grad=True)
    for module in (layer, theirs):
        module.weight_hh.requires_grad_(False)
        module.bias_ih.requires_grad_(False)
        sum(state.sum() for state in walk(module, xs)).backward()
    assert layer.weight_hh.grad is layer.bias_ih.grad is None
    assert_relative([layer.weight_ih.grad, layer.bias_hh.grad], [theirs.weight_ih.grad, theirs.bias_hh.grad], 2e-5)
    for module in (layer, theirs):
        module.weight_hh.requires_grad_(True)
        sum(state.sum() for state in walk(module, xs)).backward()
    assert_relative([layer.weight_hh.grad], [theirs.weight_hh.grad], 2e-5)
    # frozen, with a gradient for the input alone
    for module in (layer, theirs):
        module.requires_grad_(False)
    found, wanted = (torch.autograd.grad(walk(module, xs)[-1].sum(), xs) for module in (layer, theirs))
    assert_relative(found, wanted, 2e-5)


def test_each_backward_pass_has_its_own_gradients():
    layer, theirs = pair(GRUCell, torch.nn.GRUCell, 5, 8)
    xs = torch.randn(3, 4, 5, requires_grad=True)
    found = []
    for module in (layer, theirs):
        first, second = walk(module, xs)[-1].square().sum(), walk(module, xs * 2)[-1].sum()
        parts = [torch.autograd.grad(first, [xs], retain_graph=True)]
        parts.append(torch.autograd.grad(first, [module.weight_hh, module.bias_hh], retain_graph=True))
        parts.append(torch.autograd.grad(first, list(module.parameters())))
        parts.append(torch.autograd.grad(second, list(module.parameters())))
        third = walk(module, xs[:1])[-1].sum()
        parts.append(torch.autograd.grad(third, list(module.parameters())))
        found.append([gradient for part in parts for gradient in part])
    # nothing is left of a pass that did not ask for the weights
    assert layer._shared.meeting(tuple(layer.parameters())).grad_fn.left == {}
    assert_relative(*found, 2e-5)


def test_hooks_on_weights_see_the_whole_gradient_once():
    layer, seen = LSTMCell(5, 8), []
    layer.weight_hh.register_hook(seen.append)
    walk(layer, torch.randn(4, 2, 5))[-1].sum().backward()
    assert len(seen) == 1
    assert torch.equal(seen[0], layer.weight_hh.grad)


def test_weights_changed_in_any_way_are_seen_at_the_next_step():
    layer, theirs = pair(LSTMCell, torch.nn.LSTMCell, 5, 8)
    x = torch.randn(2, 5)
    walk(layer, x[None])
    doubled = copy.deepcopy(layer).double()
    layer.double()
    for module in (layer, doubled):
        walk(module, x[None].double())[0].sum().backward()
    assert torch.equal(layer.weight_hh.grad, doubled.weight_hh.grad)
    layer.float().zero_grad()
    for change in (
        lambda module: module.weight_hh.data.mul_(2),
        lambda module: module.weight_ih.detach().numpy().__setitem__(0, 3.0),
        lambda module: setattr(module.bias_ih, "data", torch.ones(32)),
        lambda module: module.double().float(),
    ):
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                assert_relative(walk(layer, x[None]), walk(theirs, x[None]), 2e-5)
        change(layer)
        change(theirs)
        assert_relative(walk(layer, x[None]), walk(theirs, x[None]), 2e-5)


def test_states_may_be_changed_in_place():
    layer, theirs = pair(LSTMCell, torch.nn.LSTMCell, 5, 8)
    found = []
    for module in (layer, theirs):
        h, c = module(torch.ones(2, 5))
        h[0], c[1] = 0, 1
        h, c = module(torch.ones(2, 5), (h, c))
        found.append(torch.autograd.grad(h.sum(), list(module.parameters())))
    assert_relative(*found, 2e-5)


def test_under_a_checkpoint_and_after_a_deep_copy():
    layer = LSTMCell(5, 8)
    xs = torch.randn(3, 2, 5)
    wanted = torch.autograd.grad(walk(layer, xs)[-1].sum(), list(layer.parameters()))
    again = checkpoint(lambda: walk(layer, xs)[-1].sum(), use_reentrant=False)
    assert_relative(torch.autograd.grad(again, list(layer.parameters())), wanted, 1e-6)
    walk(layer, xs)
    twin = copy.deepcopy(layer)
    assert_relative(torch.autograd.grad(walk(twin, xs)[-1].sum(), list(twin.parameters())), wanted, 1e-6)
    assert {id(p) for p in twin.parameters()}.isdisjoint(id(p) for p in layer.parameters())
    twin.requires_grad_(False)
    with torch.no_grad():
        twin.weight_hh.zero_()
    assert layer.weight_hh.abs().sum() > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_compiled_transformed_and_half_precision_steps_are_torchs(monkeypatch):
    layer, theirs = pair(LSTMCell, torch.nn.LSTMCell, 5, 8)
    x = torch.randn(3, 2, 5)
    stacked = torch.stack([layer(part)[0] for part in x])
    assert_relative([torch.func.vmap(lambda part: layer(part)[0])(x)], [stacked], 2e-5)
    compiled = torch.compile(lambda x: layer(x)[0], backend="eager", fullgraph=True)
    assert_relative([compiled(x[0])], [stacked[0]], 2e-5)
    traced = torch.jit.trace(layer, x[0])
    assert_relative(traced(x[1]), layer(x[1]), 2e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x[0])[0], theirs(x[0])[0])
    half = LSTMCell(5, 8, dtype=torch.float16)
    assert half(x[0].half())[0].dtype == torch.float16
    assert half.path.startswith("torch")
    for forced, started in (("naive", "naive"), ("torch", "torch"), ("llvm", FAST)):
        monkeypatch.setenv("RICORSO_PATH", forced)
        assert_relative([layer(x[0])[0]], [stacked[0]], 2e-5)
        assert layer.path.startswith(started)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_cell_steps_as_its_sequence(name):
    torch.manual_seed(0)
    cell = RecurrentCell(name, 3, 8, dtype=torch.float64)
    layer = Recurrent(name, 3, 8, dtype=torch.float64)
    layer.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()})
    xs = torch.randn(3, 2, 3, dtype=torch.float64)
    output, last = layer(xs)
    found = walk(cell, xs)
    count = len(cell.cell.states)
    assert_relative(found[::count], output, 1e-10)
    assert_relative(found[-count:], [state[0] for state in as_tuple(last)], 1e-10)
    wanted = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
    gradients = torch.autograd.grad(sum(h.square().sum() for h in found[::count]), list(cell.parameters()))
    assert_relative(gradients, wanted, 1e-9)


def test_a_small_step_of_one_gate_is_torchs():
    layer = RNNCell(8, 8)
    layer(torch.zeros(2, 8))
    assert layer.path.startswith("torch")
    layer = RNNCell(100, 100)
    layer(torch.zeros(2, 100))
    assert layer.path.startswith("torch")
    layer(torch.zeros(20, 100))
    assert layer.path.startswith(FAST)
    layer = GRUCell(8, 8)
    layer(torch.zeros(2, 8))
    assert layer.path.startswith(FAST)


def test_products_are_done_in_as_few_pieces_as_can_be():
    assert [(p.leaf, p.count, p.by_x, p.matrix) for p in pieces(CATALOGUE["lstm"])] == [(0, 4, True, 0)]
    found = [(p.leaf, p.count, p.by_x, p.matrix) for p in pieces(CATALOGUE["gru"])]
    assert found == [(0, 2, True, 0), (2, 1, True, None), (3, 1, False, 2)]


def test_signals_come_by_name():
    cell, layer = RecurrentCell("cfc", 3, 8), Recurrent("cfc", 3, 8)
    layer.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()})
    (signal,) = (signal.name for signal in cell.cell.signals)
    x = torch.randn(2, 3)
    wanted, _ = layer(x[None], **{signal: torch.full((1, 2), 0.5)})
    for value in (0.5, torch.full((2,), 0.5)):
        assert_relative([cell(x, **{signal: value})], wanted, 1e-6)
    with pytest.raises(UsageError, match="no signal"):
        LSTMCell(3, 8)(x, dt=1.0)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda m: m(torch.zeros(2, 4)), "4 features; this LSTMCell was built with input_size=3"),
        (lambda m: m(torch.zeros(5, 2, 3)), r"3 dimensions .* For whole sequences there is LSTM\."),
        (lambda m: m(torch.zeros(())), "single number"),
        (lambda m: m(torch.zeros(2, 3).double()), "float64"),
        (lambda m: m(torch.zeros(2, 3, device="meta")), "meta"),
        (lambda m: m(torch.zeros(2, 3), torch.zeros(2, 8)), "holds 1 tensors; lstm has 2"),
        (lambda m: m(torch.zeros(2, 3), (torch.zeros(2, 8), torch.zeros(3, 8))), r"State c .* wanted \(2, 8"),
        (lambda m: m(torch.zeros(2, 3), (torch.zeros(8), torch.zeros(8))), r"State h .* wanted \(2, 8"),
        (lambda m: m(torch.zeros(2, 3), (torch.zeros(2, 8), torch.zeros(2, 8).double())), "float64"),
        (lambda m: m(torch.zeros(2, 3), (torch.zeros(2, 8), torch.zeros(2, 8, device="meta"))), "meta"),
    ],
)
def test_wrong_input_is_named(run, message):
    with pytest.raises(ShapeError, match=message) as raised:
        run(LSTMCell(3, 8))
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTMCell(0, 8), "input_size"),
        (lambda: GRUCell(3, 8.0), "hidden_size"),
        (lambda: RNNCell(3, 8, nonlinearity="gelu"), "tanh or relu"),
        (lambda: RecurrentCell("lsmt", 3, 8), "Did you mean 'lstm'"),
    ],
)
def test_wrong_construction_is_named(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.usefixtures("kernels")
def test_threads_share_what_is_large(monkeypatch):
    monkeypatch.setattr(team, "WORTH_SHARING", 1)
    layer, theirs = pair(GRUCell, torch.nn.GRUCell, 100, 100)
    xs, threads = torch.randn(3, 7, 100, requires_grad=True), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert_relative(results(layer, xs), results(theirs, xs), 2e-5)
    finally:
        torch.set_num_threads(threads)


def test_empty_batch_and_shown_sizes():
    h, c = LSTMCell(3, 8)(torch.zeros(0, 3))
    assert h.shape == c.shape == (0, 8)
    assert repr(LSTMCell(3, 8, bias=False)) == "LSTMCell(lstm, 3, 8, bias=False)"
    assert LSTMCell(3, 8).path == "not called yet"
