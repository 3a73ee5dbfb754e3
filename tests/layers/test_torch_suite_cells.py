"""What torch's own tests ask of its recurrent layers and of their single steps alike, asked of the drop-ins."""

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from ricorso import layers
from ricorso.errors import ShapeError

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

KINDS = {
    "LSTM": ("LSTM", {}),
    "projected LSTM": ("LSTM", {"proj_size": 3}),
    "GRU": ("GRU", {}),
    "RNN": ("RNN", {}),
    "relu RNN": ("RNN", {"nonlinearity": "relu"}),
    "LSTMCell": ("LSTMCell", {}),
    "GRUCell": ("GRUCell", {}),
    "RNNCell": ("RNNCell", {}),
    "relu RNNCell": ("RNNCell", {"nonlinearity": "relu"}),
}
EVERY = pytest.mark.parametrize("kind", KINDS)
kinds, flags = st.sampled_from(list(KINDS)), st.booleans()
WIDE = {"dtype": torch.float64}
TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-10}


@pytest.fixture(scope="module")
def kernels():
    """Kernels run whatever the size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RICORSO_PATH", "llvm")
        yield


def make(package, kind, *sizes, **options):
    name, extra = KINDS[kind]
    return getattr(package, name)(*sizes, **options, **extra)


def pair(kind, *sizes, **options):
    """A layer from here and the same one from torch."""
    torch.manual_seed(0)
    both = make(layers, kind, *sizes, **options), make(nn, kind, *sizes, **options)
    both[0].load_state_dict(both[1].state_dict())
    return both


def example(kind, hidden=8, batch=(2,), dtype=torch.float32):
    """An input and states."""
    time, ends = ((), ()) if "Cell" in kind else ((4,), (1,))
    sizes = [3 if "projected" in kind else hidden, *([hidden] if "LSTM" in kind else [])]
    shapes = [(*time, *batch, 3), *((*ends, *batch, size) for size in sizes)]
    x, *states = (torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes)
    return x, states


def flat(found):
    return [found] if isinstance(found, torch.Tensor) else [tensor for part in found for tensor in flat(part)]


def call(layer, x, states=()):
    """Outputs, of layers over sequences, and states."""
    return flat(layer(x, (states[0] if len(states) == 1 else tuple(states)) if states else None))


def parameters(layer):
    return [parameter for _, parameter in sorted(layer.named_parameters())]


def recurrent_weight(kind):
    return "weight_hh" if "Cell" in kind else "weight_hh_l0"


def results(layer, x, states=(), arranged=lambda gradient: gradient):
    """Outputs, states, and the gradients of everything under fixed random gradients of these."""
    found = call(layer, x, states)
    torch.manual_seed(1)
    gradients = [arranged(torch.randn(tensor.shape, dtype=tensor.dtype)) for tensor in found]
    return [*found, *torch.autograd.grad(found, [x, *states, *parameters(layer)], gradients)]


def assert_close(found, wanted):
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        if theirs.numel():
            assert (ours - theirs).abs().max() <= TOLERANCES[theirs.dtype] * theirs.abs().max().clamp(min=0.1)


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_arguments_of_cells_by_position_are_those_of_torch(name):
    arguments = (3, 8, False, *(["relu"] if name == "RNNCell" else []))
    layer, peer = getattr(layers, name)(*arguments), getattr(nn, name)(*arguments)
    for attribute in ("input_size", "hidden_size", "bias", *(["nonlinearity"] if name == "RNNCell" else [])):
        assert getattr(layer, attribute) == getattr(peer, attribute)
    assert layer.bias_ih is layer.bias_hh is peer.bias_ih is peer.bias_hh is None
    described = [[(n, p.shape, p.dtype, p.requires_grad) for n, p in each.named_parameters()] for each in (layer, peer)]
    assert described[0] == described[1]
    assert "3, 8" in repr(layer)
    # any value with a truth will do
    assert [n for n, _ in getattr(layers, name)(3, 8, 1).named_parameters()] == list(peer.__class__(3, 8).state_dict())


@EVERY
def test_a_seed_draws_the_weights_that_it_draws_in_torch(kind):
    options = {} if "Cell" in kind else {"num_layers": 2, "bidirectional": True}
    drawn = []
    for package in (layers, nn):
        torch.manual_seed(5)
        layer = make(package, kind, 3, 8, **options)
        first = copy.deepcopy(layer.state_dict())
        layer.reset_parameters()
        drawn.append([*first.values(), *layer.state_dict().values()])
    assert all(map(torch.equal, *drawn))
    assert max(tensor.abs().max() for tensor in drawn[0]) <= 8**-0.5


@EVERY
def test_type_and_device_reach_every_parameter(kind):
    for options in ({"dtype": torch.float64}, {"device": "meta"}, {"device": "meta", "dtype": torch.bfloat16}):
        wanted = {(torch.device(options.get("device", "cpu")), options.get("dtype", torch.float32))}
        assert {(p.device, p.dtype) for p in make(layers, kind, 3, 8, **options).parameters()} == wanted
    name, extra = KINDS[kind]
    layer = nn.utils.skip_init(getattr(layers, name), 3, 8, **extra)
    layer.reset_parameters()
    x, states = example(kind)
    assert all(tensor.isfinite().all() for tensor in results(layer, x, states))


LAYOUTS = {
    "features first": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "every other": lambda t: torch.stack([t, t], -1)[..., 0],
    "behind one number": lambda t: torch.cat([t.new_zeros(1), t.flatten()])[1:].view(t.shape),
    "one row for all": lambda t: t[..., :1, :].expand_as(t),
}
layouts = st.sampled_from(list(LAYOUTS))


@settings(max_examples=20, deadline=None)
@given(kinds, layouts, layouts, layouts, st.sampled_from(list(LAYOUTS)[:3]), st.sampled_from([8, 100]), flags)
def test_strides_change_nothing_and_nothing_given_is_changed(
    kind, of_input, of_states, of_gradients, of_weights, hidden, wide
):
    dtype = torch.float64 if wide else torch.float32
    layer, peer = pair(kind, 3, hidden, dtype=dtype)
    for name, parameter in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(LAYOUTS[of_weights](parameter.detach())))
    x, states = example(kind, hidden, (5,), dtype)
    x, *states = (
        LAYOUTS[layout](tensor.detach()).requires_grad_()
        for layout, tensor in zip([of_input, of_states, of_states], [x, *states], strict=False)
    )
    before = [tensor.detach().clone() for tensor in (x, *states, *layer.parameters())]
    found, wanted = (results(each, x, states, LAYOUTS[of_gradients]) for each in (layer, peer))
    assert_close(found, wanted)
    assert all(map(torch.equal, before, (x, *states, *layer.parameters())))


@pytest.mark.parametrize("what", ["input", "states", "results", "weight_ih", "weight_hh", "bias_hh"])
@EVERY
def test_what_changes_before_the_backward_pass_is_noticed_or_does_not_matter(kind, what):
    layer, _ = pair(kind, 3, 8, **WIDE)
    x, states = example(kind, **WIDE)
    made = call(layer, x, states)
    loss = sum(tensor.sum() for tensor in made)
    asked = [x, *states, *layer.parameters()]
    wanted = torch.autograd.grad(loss, asked, retain_graph=True)
    named = [parameter for name, parameter in layer.named_parameters() if name.startswith(what)]
    with torch.no_grad():
        for tensor in {"input": [x], "states": states, "results": made}.get(what, named):
            tensor.mul_(2)
    noticed = ""
    try:
        assert_close(torch.autograd.grad(loss, asked), wanted)
    except RuntimeError as error:
        noticed = str(error)
    assert not noticed or "inplace" in noticed


@EVERY
def test_a_kept_graph_gives_the_same_gradients_again(kind):
    layer, _ = pair(kind, 3, 8)
    x, states = example(kind)
    loss = call(layer, x, states)[0].square().sum()
    tensors = [x, *states, *layer.parameters()]
    first, second = (torch.autograd.grad(loss, tensors, retain_graph=True, materialize_grads=True) for _ in range(2))
    assert all(map(torch.equal, first, second))
    loss.backward()
    call(layer, x, states)[0].square().sum().backward()
    assert_close([tensor.grad for tensor in tensors], [2 * gradient for gradient in first])
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@settings(max_examples=30, deadline=None)
@given(kinds, st.sets(st.integers(0, 2), min_size=1), st.sets(st.integers(0, 3)), flags, flags)
def test_gradients_through_some_results_to_some_tensors(kind, used, frozen, to_input, to_states):
    layer, peer = pair(kind, 3, 8, **WIDE)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    x, states = example(kind, **WIDE)
    x.requires_grad_(to_input or len(frozen) == 4)
    for state in states:
        state.requires_grad_(to_states)
    found = []
    for each in (layer, peer):
        for name, parameter in each.named_parameters():
            parameter.requires_grad_(name.removesuffix("_l0") not in {names[number] for number in frozen})
        made = call(each, x, states)
        loss = sum(made[number % len(made)].square().sum() for number in used)
        asked = [tensor for tensor in (x, *states, *parameters(each)) if tensor.requires_grad]
        found.append(torch.autograd.grad(loss, asked, materialize_grads=True))
    assert_close(*found)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@EVERY
def test_derivatives_in_forward_mode_and_jacobians_are_those_of_torch(kind):
    both = pair(kind, 3, 8, **WIDE)
    x, states = (part for part in example(kind, **WIDE))
    x = x.detach()
    found = []
    for each in both:
        values, along = torch.func.jvp(lambda x, each=each: tuple(call(each, x, states)), (x,), (x.cos(),))
        jacobian = torch.autograd.functional.jacobian(lambda x, each=each: call(each, x, states)[0], x)
        found.append([*values, *along, jacobian])
    assert_close(*found)


@EVERY
def test_weight_norm_of_every_weight_trains_as_in_torch_and_goes_again(kind):
    layer, peer = pair(kind, 3, 8, **WIDE)
    x, states = example(kind, **WIDE)
    plain, names = call(layer, x, states), sorted(layer.state_dict())
    weights = [name for name in names if name.startswith("weight")]
    for each in (layer, peer):
        for name in weights:
            parametrizations.weight_norm(each, name)
    found = results(layer, x, states)
    assert_close(found, results(peer, x, states))
    assert_close(found[: len(plain)], plain)
    assert_close(results(copy.deepcopy(layer), x, states), found)
    with parametrize.cached():
        assert_close(results(layer, x, states), found)
    for name in weights:
        parametrize.remove_parametrizations(layer, name)
    assert sorted(layer.state_dict()) == names
    assert_close(call(layer, x, states), plain)


@EVERY
def test_pruned_weights_stay_zero_in_training(kind):
    layer, peer = pair(kind, 3, 8, **WIDE)
    x, states = example(kind, **WIDE)
    name, names = recurrent_weight(kind), sorted(layer.state_dict())
    for each in (layer, peer):
        prune.l1_unstructured(each, name, 0.5)
    assert_close(results(layer, x, states), results(peer, x, states))
    optimiser = torch.optim.SGD(layer.parameters(), 0.1)
    call(layer, x, states)[0].square().sum().backward()
    optimiser.step()
    pruned = call(layer, x, states)
    prune.remove(layer, name)
    weight = layer.get_parameter(name)
    assert (weight == 0).sum() == weight.numel() // 2
    assert all(map(torch.equal, call(layer, x, states), pruned))
    assert sorted(layer.state_dict()) == names


@EVERY
def test_two_layers_can_share_a_weight(kind):
    found = []
    for package in (layers, nn):
        torch.manual_seed(0)
        first, second = (make(package, kind, 3, 8, **WIDE) for _ in range(2))
        setattr(second, recurrent_weight(kind), first.get_parameter(recurrent_weight(kind)))
        x, states = example(kind, **WIDE)
        made = call(second, x, call(first, x, states)[-len(states) :])
        asked = [x, *{id(p): p for each in (first, second) for p in each.parameters()}.values()]
        found.append([*made, *torch.autograd.grad(sum(tensor.square().sum() for tensor in made), asked)])
        assert len(asked) == 2 * len(list(first.parameters()))
    assert_close(*found)


@pytest.mark.parametrize("swap", [False, True])
@EVERY
def test_conversions_go_there_and_back(kind, swap):
    layer, peer = pair(kind, 3, 8)
    x, states = example(kind)
    exact = [tensor.detach() for tensor in call(layer, x, states)]
    wide = [tensor.detach().double().requires_grad_() for tensor in (x, *states)]
    torch.__future__.set_swap_module_params_on_conversion(swap)
    try:
        call(layer, x, states)[0].sum().backward()
        assert_close(results(layer.double(), wide[0], wide[1:]), results(peer.double(), wide[0], wide[1:]))
        with pytest.raises(ShapeError, match="float32"):
            layer(x)
        assert all(map(torch.equal, call(layer.float(), x, states), exact))
        for dtype, error in ((torch.float16, 5e-3), (torch.bfloat16, 4e-2)):
            small = call(copy.deepcopy(layer).to(dtype), x.to(dtype), [state.to(dtype) for state in states])
            assert {tensor.dtype for tensor in small} == {dtype}
            for found, wanted in zip(small, exact, strict=True):
                assert (found.float() - wanted).abs().max() < error * wanted.abs().max()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


@EVERY
def test_a_whole_module_can_be_stored(kind):
    layer, _ = pair(kind, 3, 8, **({} if "Cell" in kind else {"num_layers": 2, "dropout": 0.5}))
    (x, _), stored = example(kind), io.BytesIO()
    call(layer, x)[0].sum().backward()
    torch.save(layer, stored)
    stored.seek(0)
    again = torch.load(stored, weights_only=False)
    for training in (True, False):
        found = []
        for each in (layer.train(training), again.train(training)):
            torch.manual_seed(2)
            found.append(call(each, x))
        assert all(map(torch.equal, *found))


@EVERY
def test_state_dicts_of_other_layers_are_refused_as_in_torch(kind):
    layer, peer = pair(kind, 3, 8)
    for other in (pair(kind, 3, 8, bias=False)[1], nn.Linear(3, 8)):
        found, wanted = (each.load_state_dict(other.state_dict(), strict=False) for each in (layer, peer))
        assert found == wanted
        with pytest.raises(RuntimeError, match="Missing key"):
            layer.load_state_dict(other.state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        layer.load_state_dict(pair(kind, 4, 8)[1].state_dict())
    x, states = example(kind)
    drawn = {name: torch.randn_like(value) for name, value in layer.state_dict().items()}
    call(layer, x, states)
    layer.load_state_dict(drawn, assign=True)
    peer.load_state_dict(drawn)
    assert_close(call(layer, x, states), call(peer, x, states))


@EVERY
def test_hooks_change_inputs_results_and_gradients(kind):
    layer, peer = pair(kind, 3, 8, **WIDE)
    (x, states), seen = example(kind, **WIDE), []
    wanted = call(peer, x * 2, states)
    for each in (layer, peer):
        each.register_forward_pre_hook(lambda module, given: (given[0] * 2, *given[1:]))
        each.register_forward_hook(lambda module, given, made: [tensor * 3 for tensor in flat(made)])
        each.get_parameter(recurrent_weight(kind)).register_hook(lambda gradient: seen.append(gradient) or gradient * 5)
    found = results(layer, x, states)
    assert_close(found, results(peer, x, states))
    assert_close(found[: len(wanted)], [tensor * 3 for tensor in wanted])
    assert len(seen) == 2


@EVERY
def test_an_empty_batch_has_gradients_of_zero(kind):
    layer, peer = pair(kind, 3, 8)
    x, states = example(kind, batch=(0,))
    found = results(layer, x, states)
    assert_close(found, results(peer, x, states))
    assert not any(tensor.any() for tensor in found)


@EVERY
def test_what_has_no_batch_is_a_batch_of_one(kind):
    layer, peer = pair(kind, 3, 8, **WIDE)
    x, states = example(kind, batch=(), **WIDE)
    found = results(layer, x, states)
    assert_close(found, results(peer, x, states))
    batch = call(layer, x.unsqueeze(-2), [state.unsqueeze(-2) for state in states])
    assert_close(found[: len(batch)], [tensor.squeeze(-2) for tensor in batch])
