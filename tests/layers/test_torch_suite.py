"""What torch's own tests ask of torch.nn.LSTM, GRU and RNN, asked of the drop-ins.

What they ask of single steps too is in `test_torch_suite_cells.py`.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, unpack_sequence

from ricorso.errors import ShapeError
from ricorso.layers import GRU, LSTM, RNN, GRUCell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

KINDS = {
    "LSTM": (LSTM, nn.LSTM, {}),
    "projected LSTM": (LSTM, nn.LSTM, {"proj_size": 3}),
    "GRU": (GRU, nn.GRU, {}),
    "RNN": (RNN, nn.RNN, {}),
    "relu RNN": (RNN, nn.RNN, {"nonlinearity": "relu"}),
}
EVERY = pytest.mark.parametrize("kind", KINDS)
STACKED = {"num_layers": 2, "bidirectional": True}
STACKS = pytest.mark.parametrize("options", [{}, STACKED], ids=["one", "stack"])
kinds, flags, few = st.sampled_from(list(KINDS)), st.booleans(), settings(max_examples=15, deadline=None)


def pair(kind, *sizes, **options):
    """A layer from here and the same one from torch, in float64."""
    torch.manual_seed(0)
    ours, theirs, extra = KINDS[kind]
    layers = [make(*sizes, **options, **extra, dtype=torch.float64) for make in (ours, theirs)]
    layers[0].load_state_dict(layers[1].state_dict())
    return layers


def randn(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def random_states(layer, *batch):
    ends, hidden = layer.num_layers * (1 + layer.bidirectional), layer.hidden_size
    sizes = [layer.proj_size or hidden, hidden] if isinstance(layer, LSTM | nn.LSTM) else [hidden]
    return [randn(ends, *batch, size) for size in sizes]


def packed_once(x, lengths):
    return pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)


def call(layer, x, states=()):
    """Outputs and final states."""
    output, finals = layer(x, (states[0] if len(states) == 1 else tuple(states)) if states else None)
    output = output.data if isinstance(output, PackedSequence) else output
    return [output, *(finals if isinstance(finals, tuple) else (finals,))]


def results(layer, x, states=(), given=None):
    """Outputs, final states, and the gradients of everything; given: `x` as the layer takes it."""
    found = call(layer, x if given is None else given, states)
    torch.manual_seed(1)
    gradients = [torch.randn_like(tensor) for tensor in found]
    return [*found, *torch.autograd.grad(found, [x, *states, *layer.parameters()], gradients)]


def assert_close(found, wanted):
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        if theirs.numel():
            assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max().clamp(min=0.1)


@pytest.mark.parametrize(
    ("ours", "theirs", "fourth"), [(LSTM, nn.LSTM, ()), (GRU, nn.GRU, ()), (RNN, nn.RNN, ("relu",))]
)
def test_arguments_by_position_are_those_of_torch(ours, theirs, fourth):
    arguments = (3, 8, 2, *fourth, False, True, 0.25, True)
    layer, peer = ours(*arguments), theirs(*arguments)
    names = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size"]
    for name in (*names, *(["nonlinearity"] if fourth else [])):
        assert getattr(layer, name) == getattr(peer, name)
    described = [[(n, p.shape, p.dtype, p.requires_grad) for n, p in each.named_parameters()] for each in (layer, peer)]
    assert described[0] == described[1]
    listed = [weight for weights in layer.all_weights for weight in weights]
    assert all(weight is parameter for weight, parameter in zip(listed, layer.parameters(), strict=True))
    shown = ["3, 8", "num_layers=2", "bias=False", "batch_first=True", "dropout=0.25", "bidirectional=True"]
    assert all(text in repr(layer) and text in repr(peer) for text in shown)


@EVERY
def test_states_come_by_name_in_a_list_or_not_at_all(kind):
    layer, _ = pair(kind, 3, 8)
    x, states = randn(4, 2, 3), random_states(layer, 2)
    output, finals = layer(input=x, hx=states if len(states) > 1 else states[0])
    finals = finals if isinstance(finals, tuple) else (finals,)
    assert all(map(torch.equal, [output, *finals], call(layer, x, states)))
    zeros = [torch.zeros_like(state) for state in states]
    assert all(map(torch.equal, call(layer, x), call(layer, x, zeros)))


@STACKS
@EVERY
def test_results_can_be_viewed_as_layers_and_directions(kind, options):
    layer, peer = pair(kind, 3, 8, **options)
    directions, x = 1 + layer.bidirectional, randn(4, 5, 3)
    output, *finals = call(layer, x)
    assert all(tensor.is_contiguous() for tensor in (output, *finals))
    assert [tensor.shape for tensor in finals] == [tensor.shape for tensor in call(peer, x)[1:]]
    steps, last = output.view(4, 5, directions, -1), finals[0].view(layer.num_layers, directions, 5, -1)
    assert torch.equal(steps[-1, :, 0], last[-1, 0])
    assert directions == 1 or torch.equal(steps[0, :, 1], last[-1, 1])


@few
@given(kinds, flags, flags, flags, flags)
def test_a_sequence_without_batch_is_a_batch_of_one(kind, batch_first, stacked, bias, with_states):
    layer, peer = pair(kind, 3, 8, batch_first=batch_first, bias=bias, **(STACKED if stacked else {}))
    x, states = randn(4, 3), random_states(layer) if with_states else []
    found = results(layer, x, states)
    assert_close(found, results(peer, x, states))
    side = 0 if batch_first else 1
    batch = call(layer, x.unsqueeze(side), [state.unsqueeze(1) for state in states])
    assert_close(found[: len(batch)], [batch[0].squeeze(side), *(state.squeeze(1) for state in batch[1:])])


@pytest.mark.parametrize("form", ["plain", "stack", "packed", "packed stack", "without gradients"])
@EVERY
def test_final_states_can_be_changed_and_detached_in_place(kind, form):
    layer, peer = pair(kind, 3, 8, **(STACKED if "stack" in form else {}))
    x, found = randn(4, 2, 3), []
    for each in (layer, peer):
        with torch.set_grad_enabled(form != "without gradients"):
            output, *states = call(each, packed_once(x, [2, 4]) if "packed" in form else x)
        before = output.detach().clone()
        for number, state in enumerate(states):
            state[:, 0] = number
        assert torch.equal(output, before)
        made = call(each, x, states)
        loss = output.sum() + sum(tensor.square().sum() for tensor in made)
        found.append([*made, *torch.autograd.grad(loss, list(each.parameters()))])
        for state in (*states, *made[1:]):
            state.detach_()
            assert not state.requires_grad
    assert_close(*found)


@pytest.mark.parametrize("packed", [False, True])
@STACKS
@EVERY
def test_second_derivatives_are_those_of_torch(kind, options, packed):
    layer, peer = pair(kind, 3, 8, **options)
    x, states, found = randn(3, 2, 3), random_states(layer, 2), []
    for each in (layer, peer):
        asked = [x, *states, *each.parameters()]
        made = call(each, packed_once(x, [2, 3]) if packed else x, states)
        first = torch.autograd.grad(sum(tensor.square().sum() for tensor in made), asked, create_graph=True)
        second = torch.autograd.grad(sum(gradient.square().sum() for gradient in first), asked)
        found.append([*first, *second])
    assert_close(*found)


@few
@given(kinds, st.lists(st.sampled_from([0.0, 0.3, 0.7, 1.0]), min_size=1, max_size=3), flags, flags, st.integers(0, 99))
def test_dropout_under_a_seed_is_that_of_torch_and_can_be_set_anew(kind, rates, bidirectional, packed, seed):
    layer, peer = pair(kind, 3, 8, num_layers=3, bidirectional=bidirectional)
    x = randn(4, 3, 3)
    for rate in rates:
        found = []
        for each in (layer, peer):
            each.dropout = rate
            given = packed_once(x, [2, 4, 1]) if packed else x
            torch.manual_seed(seed)
            found.append(results(each, x, given=given))
        assert_close(*found)
        assert torch.equal(call(layer, x)[0], call(layer, x)[0]) == (rate in (0.0, 1.0))
        assert_close(call(layer.eval(), x), call(peer.eval(), x))
        assert layer.train().training
        assert peer.train().training


@EVERY
def test_training_and_evaluation_are_the_same_without_dropout(kind):
    layer, _ = pair(kind, 3, 8, **STACKED)
    x = randn(4, 2, 3)
    trained = call(layer, x)
    assert all(map(torch.equal, trained, call(layer.eval(), x)))


@EVERY
def test_directions_can_share_weights(kind):
    layer, peer = pair(kind, 3, 8, bidirectional=True)
    for each in (layer, peer):
        for name in [name for name in each.state_dict() if name.endswith("_l0")]:
            setattr(each, f"{name}_reverse", getattr(each, name))
    assert len(list(layer.parameters())) == len(layer.state_dict()) // 2
    x = randn(4, 2, 3)
    assert_close(results(layer, x), results(peer, x))


@STACKS
@EVERY
def test_no_steps_give_back_the_states_where_torch_refuses_them(kind, options):
    layer, peer = pair(kind, 3, 8, **options)
    x, states = torch.zeros(0, 2, 3, dtype=torch.float64), random_states(layer, 2)
    for each in (peer, layer) if layer.proj_size else (peer,):
        with pytest.raises(RuntimeError, match="length"):
            call(each, x, states)
    if not layer.proj_size:
        output, *finals = call(layer, x, states)
        assert output.shape == (0, 2, 8 * (1 + layer.bidirectional))
        assert all(map(torch.equal, finals, states))


@few
@given(kinds, st.lists(st.integers(1, 5), min_size=1, max_size=5), flags, flags)
def test_sorted_packed_sequences_equal_each_sequence_alone(kind, lengths, stacked, with_states):
    layer, peer = pair(kind, 3, 8, **(STACKED if stacked else {}))
    sequences = [torch.randn(length, 3, dtype=torch.float64) for length in sorted(lengths, reverse=True)]
    x = pack_sequence(sequences)
    states = random_states(layer, len(lengths)) if with_states else []
    data = x.data.requires_grad_()
    assert_close(results(layer, data, states, x), results(peer, data, states, x))
    output, _ = layer(x, *([states if len(states) > 1 else states[0]] if states else []))
    assert torch.equal(output.batch_sizes, x.batch_sizes)
    assert output.sorted_indices is output.unsorted_indices is None
    finals = call(layer, x, states)[1:]
    for number, (sequence, found) in enumerate(zip(sequences, unpack_sequence(output), strict=True)):
        alone = call(layer, sequence, [state[:, number] for state in states])
        assert_close([found, *(state[:, number] for state in finals)], alone)


@settings(max_examples=60, deadline=None)
@given(kinds, st.lists(st.integers(-1, 3), max_size=4), st.integers(-1, 1))
def test_packed_sequences_that_do_not_hold_together_are_refused(kind, sizes, more):
    layer, peer = pair(kind, 3, 8)
    rows = max(sum(sizes) + more, 0)
    x = PackedSequence(randn(rows, 3), torch.tensor(sizes, dtype=torch.int64))
    if sizes and sizes == sorted(sizes, reverse=True) and sizes[-1] >= 0 and rows == sum(sizes):
        assert_close(call(layer, x), call(peer, x))
    else:
        with pytest.raises(ShapeError, match="batch_sizes"):
            layer(x)


@EVERY
def test_packed_sequences_of_another_order_or_type_are_refused(kind):
    layer, _ = pair(kind, 3, 8)
    x = packed_once(randn(4, 3, 3), [2, 4, 1])
    with pytest.raises(ShapeError, match=r"sorted_indices.* each of 3"):
        layer(PackedSequence(x.data, x.batch_sizes, torch.tensor([1, 0])))
    with pytest.raises(ShapeError, match="float32"):
        layer(x.float())
    assert_close(call(layer, x.float().double()), call(layer, x.float().to(torch.float64)))


@pytest.mark.parametrize("lengths", [[0, 0, 0], [0, 3, 5]])
def test_sequences_without_steps_pass_through_the_kernel_of_torch(lengths: list[int]) -> None:
    layer = LSTM(3, 8, proj_size=3)
    x = torch.randn(5, 3, 3)
    output, (h, c) = layer(x, lengths=lengths)
    assert layer.path.startswith("torch")
    for n, length in enumerate(lengths):
        assert not output[length:, n].any()
        if length:
            alone, (h_alone, _) = layer(x[:length, n : n + 1])
            torch.testing.assert_close(output[:length, n], alone[:, 0])
            torch.testing.assert_close(h[:, n], h_alone[:, 0])
        else:
            assert not h[:, n].any()
            assert not c[:, n].any()


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_trace_computes_the_same() -> None:
    layer, x = GRU(3, 8), torch.randn(4, 2, 3)
    traced = torch.jit.trace(layer, x)
    other = torch.randn(4, 2, 3)
    torch.testing.assert_close(traced(other), layer(other))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("frozen", [True, False])
def test_forward_derivatives_are_not_lost(frozen: bool) -> None:
    layer, cell = GRU(3, 8).double().requires_grad_(not frozen), GRUCell(3, 8).double().requires_grad_(not frozen)
    for call, shape in ((lambda x: layer(x)[0], (4, 2, 3)), (cell, (2, 3))):
        x, tangent = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
        with torch.autograd.forward_ad.dual_level():
            found = torch.autograd.forward_ad.unpack_dual(call(torch.autograd.forward_ad.make_dual(x, tangent))).tangent
        step = 1e-6
        with torch.no_grad():
            expected = (call(x + step * tangent) - call(x - step * tangent)) / (2 * step)
        torch.testing.assert_close(found.detach(), expected, rtol=1e-6, atol=1e-8)
