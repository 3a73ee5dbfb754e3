import math

import pytest
import torch
from torch.nn import functional

from ricorso import Cell, Recurrent
from ricorso.equations import inputs, parameters, states
from ricorso.insight.reach import Reach, half_life, reach, reach_direct
from ricorso.insight.trace import Traced

(p,), (h,), (a,) = inputs("p"), states("h"), parameters("a")
LEAK = Cell("leak", gates=(p,), states=(h,), parameters=(a,), update={h: a * h + p})
STEPS, BATCH, SYMBOLS, HIDDEN = 12, 2, 5, 8


def reach_of(layer, x, loss):
    found = Traced(layer)
    output, _ = found(x)
    return reach(found, loss(output[-1])), found


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.0, 1.1])
def test_a_linear_recurrence_has_the_half_life_that_follows_from_its_rate(rate):
    layer = Recurrent(LEAK, 3, HIDDEN, dtype=torch.float64)
    with torch.no_grad():
        layer.a_l0.fill_(rate)
    (found,), _ = reach_of(layer, torch.randn(40, 2, 3, dtype=torch.float64), lambda last: last.sum(-1))
    assert found.together == pytest.approx([math.sqrt(HIDDEN) * rate**k for k in range(40)])
    if rate < 1:
        assert found.half_life == pytest.approx(math.log(2) / -math.log(rate))
        assert found.arrives == min(39, math.floor(math.log(0.01) / math.log(rate)))
    else:
        assert found.half_life is None
        assert found.arrives == 39


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "lem"])
def test_norms_are_those_of_difference_quotients(cell, monkeypatch):
    monkeypatch.setenv("RICORSO_PATH", "naive")
    torch.manual_seed(0)
    layer = Recurrent(cell, SYMBOLS, HIDDEN, dtype=torch.float64)
    weights = torch.randn(SYMBOLS, HIDDEN, dtype=torch.float64)
    ids, target = torch.randint(SYMBOLS, (STEPS, 1)), torch.tensor([2])

    def loss(last):
        return functional.cross_entropy(last @ weights.T, target, reduction="none")

    (found,), trace = reach_of(layer, ids, loss)
    count = len(layer.cell.states)
    for back in (1, 5):
        place = STEPS - 1 - back
        old = torch.stack([s.detach() for s in trace.layers[0].states[place]])

        def after(states, place=place):
            hx = tuple(state.unsqueeze(0) for state in states)
            return loss(layer(ids[place + 1 :], hx if count > 1 else hx[0])[0][-1]).item()

        slopes = torch.zeros_like(old)
        for index in torch.cartesian_prod(torch.arange(count), torch.arange(HIDDEN)).reshape(-1, 2):
            change = torch.zeros_like(old)
            change[index[0], 0, index[1]] = 1e-6
            slopes[index[0], 0, index[1]] = (after(old + change) - after(old - change)) / 2e-6
        assert found.together[back] == pytest.approx(slopes.norm().item(), rel=1e-4)
        assert found.output[back] == pytest.approx(slopes[0].norm().item(), rel=1e-4)


def test_a_lower_layer_counts_the_way_through_the_layer_above(monkeypatch):
    monkeypatch.setenv("RICORSO_PATH", "naive")
    torch.manual_seed(0)
    layer = Recurrent("gru", SYMBOLS, HIDDEN, 2, dtype=torch.float64)
    ids = torch.randint(SYMBOLS, (STEPS, 1))
    (lower, upper), trace = reach_of(layer, ids, lambda last: last.square().sum(-1))
    place = STEPS - 4
    old, above = (trace.layers[n].states[place - n][0].detach() for n in (0, 1))

    def after(state):
        """The loss when the lower layer leaves `state` at that step: the upper layer reads it at once."""
        low = Recurrent("gru", SYMBOLS, HIDDEN, dtype=torch.float64)
        low.load_state_dict({name: w for name, w in layer.state_dict().items() if name.endswith("l0")})
        high = Recurrent("gru", HIDDEN, HIDDEN, dtype=torch.float64)
        high.load_state_dict(
            {name.replace("l1", "l0"): w for name, w in layer.state_dict().items() if name.endswith("l1")}
        )
        later, _ = low(ids[place + 1 :], state.unsqueeze(0))
        before = trace.layers[1].states[place - 1][0].detach()
        output, _ = high(torch.cat([state.unsqueeze(0), later]), before.unsqueeze(0))
        return output[-1].square().sum().item()

    assert above.shape == old.shape
    slopes = [after(old + change) - after(old - change) for change in torch.eye(HIDDEN, dtype=torch.float64) * 1e-6]
    assert lower.together[3] == pytest.approx(torch.tensor(slopes).norm().item() / 2e-6, rel=1e-4)
    assert lower.layer == 1
    assert upper.layer == 2


def test_sequences_are_averaged():
    layer = Recurrent("gru", SYMBOLS, HIDDEN, dtype=torch.float64)
    ids = torch.randint(SYMBOLS, (STEPS, 2))
    (both,), _ = reach_of(layer, ids, lambda last: last.sum(-1))
    ones = [reach_of(layer, ids[:, n : n + 1], lambda last: last.sum(-1))[0][0] for n in (0, 1)]
    for k in range(STEPS):
        assert both.together[k] == pytest.approx((ones[0].together[k] + ones[1].together[k]) / 2)


def test_half_lives_of_odd_curves():
    assert half_life([1.0, 0.0, 0.0]) == 0.0
    assert half_life([1.0]) is None
    assert half_life([1.0, 2.0, 4.0]) is None
    assert half_life([1.0, math.inf, 1.0, 0.5]) == pytest.approx(1.0)


def test_arrival_ends_at_the_first_gap():
    assert Reach(1, [1.0, 0.5, 0.001, 0.5], []).arrives == 1
    assert Reach(1, [1.0, math.nan, 1.0], []).arrives == 0
    assert Reach(1, [0.0, 0.0], []).shares == [0.0, 0.0]


def test_a_cell_that_carries_more_than_its_output_shows_does_not_explode():
    assert Reach(1, [0.1, 2.0, 1.0], []).shares == [0.05, 1.0, 0.5]
    assert Reach(1, [0.001, 2.0, 0.0], []).arrives == 1
    assert Reach(1, [4.0, 2.0, 1.0], []).shares == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
def test_ragged_sequences_are_followed_from_the_end_that_each_direction_reads_last(reverse, monkeypatch):
    """Against the layer itself, begun anew from the state that a step left."""
    monkeypatch.setenv("RICORSO_PATH", "naive")
    torch.manual_seed(3)
    layer = Recurrent("gru", 3, HIDDEN, bidirectional=True, dtype=torch.float64)
    x, lengths = torch.randn(STEPS, 2, 3, dtype=torch.float64), torch.tensor([12, 9])
    found = Traced(layer)
    output, _ = found(x, lengths=lengths)
    half = slice(HIDDEN, None) if reverse else slice(0, HIDDEN)
    ends = output[0] if reverse else output[lengths - 1, torch.arange(2)]
    (curve,) = reach(found, ends[:, half].square().sum(-1), reverse)
    assert curve.direction == ("backward" if reverse else "forward")
    assert len(curve.together) == 9
    expected = []
    for n, length in enumerate(lengths.tolist()):
        place = 4 if reverse else length - 1 - 4
        state = layer(x[:length, n : n + 1])[0][place, :, half].detach().requires_grad_()
        hx = torch.zeros(2, 1, HIDDEN, dtype=torch.float64)
        hx = torch.cat([hx[:1], state[None]] if reverse else [state[None], hx[1:]])
        rest = x[:place, n : n + 1] if reverse else x[place + 1 : length, n : n + 1]
        last = layer(rest, hx)[0][0 if reverse else -1, :, half]
        (gradient,) = torch.autograd.grad(last.square().sum(), state)
        expected.append(gradient.norm().item())
    assert curve.together[4] == pytest.approx(sum(expected) / 2)


def test_what_reads_every_step_arrives_everywhere():
    layer = Recurrent(LEAK, 3, HIDDEN, dtype=torch.float64)
    with torch.no_grad():
        layer.a_l0.fill_(0.0)
    trace = Traced(layer)
    output, _ = trace(torch.randn(6, 2, 3, dtype=torch.float64))
    (direct,) = reach_direct(trace, output.mean(0).sum(-1))
    assert direct == pytest.approx([math.sqrt(HIDDEN) / 6] * 6)
    (carried,) = reach(trace, output[-1].sum(-1))
    assert carried.together == pytest.approx([math.sqrt(HIDDEN), 0, 0, 0, 0, 0])


def test_plain_data_name_the_direction_where_there_are_two():
    assert "direction" not in Reach(1, [1.0], [1.0]).to_json()
    told = Reach(1, [1.0], [1.0], "backward", [2.0]).to_json()
    assert told["direction"] == "backward"
    assert told["norms"]["with_direct_reading"] == [2.0]
