"""lengths, reset, PackedSequence and learned starts of a layer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import ricorso
from ricorso import Recurrent
from ricorso.errors import ShapeError, UsageError

KINDS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}


def pair(kind, *arguments, **options):
    """The same layer from torch and from here."""
    theirs = KINDS[kind](*arguments, **options)
    ours = getattr(ricorso, kind)(*arguments, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-3)


def as_states(states):
    return (states,) if isinstance(states, torch.Tensor) else states


def gradients(layer, output, states, inputs):
    torch.manual_seed(7)
    total = sum((r * torch.randn(r.shape, dtype=torch.float64)).sum() for r in (output, *as_states(states)))
    wanted = [*(p for _, p in sorted(layer.named_parameters())), *inputs]
    return torch.autograd.grad(total, wanted)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=7),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    bias=st.booleans(),
    with_states=st.booleans(),
    as_packed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_torch_on_packed_sequences(
    kind, lengths, layers, bidirectional, batch_first, bias, with_states, as_packed, seed
):
    torch.manual_seed(seed)
    options = {"num_layers": layers, "bidirectional": bidirectional, "batch_first": batch_first, "bias": bias}
    theirs, ours = pair(kind, 3, 8, **options, dtype=torch.float64)
    batch, ends = len(lengths), layers * (1 + bidirectional)
    shape = (batch, max(lengths), 3) if batch_first else (max(lengths), batch, 3)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(ends, batch, 8, dtype=torch.float64, requires_grad=True) for _ in range(1 + (kind == "LSTM"))]
    hx = None if not with_states else states[0] if len(states) == 1 else tuple(states)
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
    output, last = theirs(packed, hx)
    wanted, _ = pad_packed_sequence(output, batch_first)
    inputs = [x, *(states if with_states else [])]
    if as_packed:
        again = pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
        own, own_last = ours(again, hx)
        assert isinstance(own, PackedSequence)
        assert torch.equal(own.batch_sizes, output.batch_sizes)
        own, _ = pad_packed_sequence(own, batch_first)
    else:
        own, own_last = ours(x, hx, lengths=torch.tensor(lengths))
    close(own, wanted)
    for a, b in zip(as_states(own_last), as_states(last), strict=True):
        close(a, b)
    for a, b in zip(gradients(ours, own, own_last, inputs), gradients(theirs, wanted, last, inputs), strict=True):
        close(a, b)


def test_projection_equals_torch_on_packed_sequences():
    torch.manual_seed(0)
    theirs, ours = pair("LSTM", 3, 8, proj_size=4, bidirectional=True, dtype=torch.float64)
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    lengths = [2, 5, 3]
    output, (h, c) = ours(x, lengths=lengths)
    packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    wanted, (wanted_h, wanted_c) = theirs(packed)
    close(output, pad_packed_sequence(wanted)[0])
    close(h, wanted_h)
    close(c, wanted_c)


@pytest.mark.parametrize("name", ["lstm", "slstm", "cfc", "mingru", "lru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_sequence_alone(name, bidirectional):
    torch.manual_seed(0)
    layer = Recurrent(name, 3, 8, num_layers=2, bidirectional=bidirectional, batch_first=True, dtype=torch.float64)
    lengths = [4, 0, 6, 1]
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    signals = {s.name: torch.rand(4, 6, dtype=torch.float64) for s in layer.cell.signals}
    output, states = layer(x, lengths=lengths, **signals)
    assert (output[1] == 0).all()
    assert all((state[:, 1] == 0).all() for state in as_states(states))
    for n, length in enumerate(lengths):
        if length:
            own = {key: value[n : n + 1, :length] for key, value in signals.items()}
            wanted, wanted_states = layer(x[n : n + 1, :length], **own)
            close(output[n, :length], wanted[0])
            assert (output[n, length:] == 0).all()
            for a, b in zip(as_states(states), as_states(wanted_states), strict=True):
                close(a[:, n], b[:, 0])


def test_empty_sequences_keep_their_states():
    layer = Recurrent("gru", 3, 8)
    h = torch.randn(1, 2, 8)
    output, last = layer(torch.randn(5, 2, 3), h, lengths=[0, 0])
    assert torch.equal(last, h)
    assert (output == 0).all()


def test_tokens_of_different_lengths():
    layer = Recurrent("lstm", 10, 8, dtype=torch.float64)
    ids = torch.randint(0, 10, (5, 3))
    output, _ = layer(ids, lengths=[5, 2, 3])
    wanted, _ = layer(nn.functional.one_hot(ids, 10).double(), lengths=[5, 2, 3])
    close(output, wanted)
    packed = pack_padded_sequence(ids, torch.tensor([5, 2, 3]), enforce_sorted=False)
    close(pad_packed_sequence(layer(packed)[0])[0], wanted)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("learned", [False, True])
def test_reset_is_several_sequences(bidirectional, learned):
    torch.manual_seed(0)
    layer = Recurrent(
        "lstm", 3, 8, num_layers=2, bidirectional=bidirectional, learned_start=learned, dtype=torch.float64
    )
    for name, parameter in layer.named_parameters():
        if name.startswith("start_"):
            nn.init.normal_(parameter)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    hx = tuple(torch.randn(2 * (1 + bidirectional), 2, 8, dtype=torch.float64) for _ in range(2))
    reset = torch.zeros(7, 2, dtype=torch.bool)
    reset[3, 0] = reset[5, 0] = True
    output, states = layer(x, hx, lengths=[6, 7], reset=reset)
    pieces = [(0, 3), (3, 5), (5, 6)]
    forward, backward = slice(0, None, 1 + bidirectional), slice(1, None, 2)
    for number, (begin, end) in enumerate(pieces):
        alone = [fresh_state.clone() for fresh_state in _fresh(layer)]
        for state, given_state in zip(alone, hx, strict=True):
            if number == 0:
                state[forward] = given_state[forward, :1]
            if number == len(pieces) - 1 and bidirectional:
                state[backward] = given_state[backward, :1]
        wanted, last = layer(x[begin:end, :1], tuple(alone))
        close(output[begin:end, 0], wanted[:, 0])
        for state, own in zip(states, last, strict=True):
            if number == len(pieces) - 1:
                close(state[forward, :1], own[forward])
            if number == 0 and bidirectional:
                close(state[backward, :1], own[backward])
    untouched, _ = layer(x[:, 1:], tuple(state[:, 1:] for state in hx))
    close(output[:, 1:], untouched)


def _fresh(layer):
    """The states after a reset, (layers * directions, 1, hidden_size)."""
    if not layer.learned_start:
        return [torch.zeros(len(layer._ends), 1, 8, dtype=torch.float64) for _ in layer.cell.states]
    return [
        torch.stack([layer.get_parameter(f"start_{state.name}_{end}") for end in layer._ends]).unsqueeze(1).detach()
        for state in layer.cell.states
    ]


def test_reset_at_the_first_step_drops_the_given_states():
    layer = Recurrent("gru", 3, 8)
    x, h = torch.randn(4, 2, 3), torch.randn(1, 2, 8)
    reset = torch.zeros(4, 2, dtype=torch.bool)
    reset[0] = True
    torch.testing.assert_close(layer(x, h, reset=reset)[0], layer(x)[0])


def test_gradients_stop_at_a_reset():
    layer = Recurrent("lstm", 3, 8)
    x = torch.randn(6, 1, 3, requires_grad=True)
    reset = torch.zeros(6, 1, dtype=torch.bool)
    reset[3] = True
    (gradient,) = torch.autograd.grad(layer(x, reset=reset)[0][5].sum(), x)
    assert (gradient[:3] == 0).all()
    assert (gradient[3:] != 0).any()


def test_learned_start_is_where_sequences_begin():
    layer = Recurrent("lstm", 3, 8, learned_start=True)
    assert {name for name, _ in layer.named_parameters() if name.startswith("start_")} == {"start_h_l0", "start_c_l0"}
    assert (layer.start_h_l0 == 0).all()
    nn.init.normal_(layer.start_h_l0)
    nn.init.normal_(layer.start_c_l0)
    x = torch.randn(5, 2, 3)
    given = tuple(p.detach().expand(1, 2, 8) for p in (layer.start_h_l0, layer.start_c_l0))
    output, _ = layer(x)
    torch.testing.assert_close(output, layer(x, given)[0])
    output.sum().backward()
    assert (layer.start_c_l0.grad != 0).any()
    assert torch.equal(layer(x, lengths=[5, 5])[0], output)


def test_streams_begin_at_learned_starts():
    layer = Recurrent("lstm", 3, 8, num_layers=2, learned_start=True)
    for name, parameter in layer.named_parameters():
        if name.startswith("start_"):
            nn.init.normal_(parameter)
    x = torch.randn(5, 2, 3)
    wanted = layer(x)[0].detach()
    stepper, streams = layer.stepper(batch_size=2), layer.streams(capacity=2)
    keys = [streams.join(), streams.join()]
    for step, output in zip(x, wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(stepper.step(step)), output)
        torch.testing.assert_close(torch.from_numpy(streams.step(keys, step)), output)


def test_locked_dropout_is_one_mask_for_each_sequence():
    torch.manual_seed(0)
    layer = Recurrent("mingru", 64, 8, input_dropout=0.5)
    x = torch.ones(6, 3, 64, requires_grad=True)
    output, _ = layer(x, lengths=[6, 2, 4])
    (gradient,) = torch.autograd.grad(output.sum(), x)
    for n, length in enumerate([6, 2, 4]):
        dropped = (gradient[:length, n] == 0).float().mean(0)
        assert set(dropped.tolist()) == {0.0, 1.0}
    assert not torch.equal(gradient[0, 0] == 0, gradient[0, 1] == 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": [3, 2, 1]}, "one length for each of 2"),
        ({"lengths": [3, -1]}, r"lengths\[1\] is -1, which is negative"),
        ({"lengths": [6, 2]}, r"lengths\[0\] is 6, which is more than the 5 steps"),
        ({"lengths": torch.tensor([1.0, 2.0])}, "whole numbers"),
        ({"reset": torch.zeros(5, 2)}, "wanted booleans"),
        ({"reset": torch.zeros(2, 5, dtype=torch.bool)}, r"wanted \(5, 2\)"),
    ],
)
def test_what_does_not_fit(options, message):
    with pytest.raises(ShapeError, match=message):
        Recurrent("gru", 3, 8)(torch.zeros(5, 2, 3), **options)


def test_lengths_need_a_padded_batch():
    layer = Recurrent("gru", 3, 8)
    with pytest.raises(UsageError, match="is for a batch"):
        layer(torch.zeros(5, 3), lengths=[3])
    packed = pack_padded_sequence(torch.zeros(5, 2, 3), torch.tensor([5, 2]))
    with pytest.raises(UsageError, match="knows its lengths"):
        layer(packed, lengths=[5, 2])
    with pytest.raises(ShapeError, match="4 features"):
        layer(pack_padded_sequence(torch.zeros(5, 2, 4), torch.tensor([5, 2])))
    with pytest.raises(ShapeError, match=r"wanted \(1, 2, 8\)"):
        layer(packed, torch.zeros(1, 3, 8))


def test_memory_follows_the_real_steps():
    layer = Recurrent("lstm", 8, 8)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        sizes = []
        layer(torch.randn(100, 4, 8), lengths=[100, 10, 10, 10])
        ragged, sizes = sum(sizes), []
        layer(torch.randn(100, 4, 8))
        assert ragged < 0.45 * sum(sizes)
