import pytest
import torch

from ricorso import Recurrent
from ricorso.cells import CATALOGUE
from ricorso.errors import UsageError
from ricorso.insight.trace import Traced, traced

STEPS, BATCH, SYMBOLS, HIDDEN = 7, 3, 5, 8


def layer_of(cell, **options):
    torch.manual_seed(1)
    layer = Recurrent(cell, SYMBOLS, HIDDEN, dtype=torch.float64, **options).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return layer


def states_of(result):
    return (result,) if isinstance(result, torch.Tensor) else result


@pytest.mark.parametrize("cell", CATALOGUE)
def test_it_computes_what_the_layer_does(cell, monkeypatch):
    monkeypatch.setenv("RICORSO_PATH", "naive")
    layer = layer_of(cell, num_layers=2)
    ids = torch.randint(SYMBOLS, (STEPS, BATCH))
    _, start = layer(ids)
    expected, finals = layer(ids, start)
    output, found = Traced(layer)(ids, start)
    torch.testing.assert_close(output, expected)
    for one, other in zip(states_of(found), states_of(finals), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "options",
    [
        {"zoneout": (0.2, 0.1)},
        {"layer_norm": True},
        {"learned_start": True},
        {"heads": 2},
        {"bias": False},
        {"recurrent_dropout": 0.5},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_of_the_layer_are_honoured(options, monkeypatch):
    monkeypatch.setenv("RICORSO_PATH", "naive")
    layer = layer_of("lstm", **options)
    x = torch.randn(STEPS, BATCH, SYMBOLS, dtype=torch.float64)
    torch.testing.assert_close(Traced(layer)(x)[0], layer(x)[0])


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "lru", "rglru", "lem", "cfc", "gru_layer_norm"])
def test_all_steps_side_by_side_are_the_steps_one_by_one(cell):
    layer = layer_of(cell)
    found = Traced(layer)
    found(torch.randint(SYMBOLS, (STEPS, BATCH)))
    (trace,) = found.layers
    step = trace.steps()
    for n, state in enumerate(trace.cell.states):
        torch.testing.assert_close(step.tensor(trace.cell.update[state]), trace.after(n))
        torch.testing.assert_close(trace.before(n)[1:], trace.after(n)[:-1])


def test_the_entry_is_what_each_symbol_brings_in():
    layer = layer_of("gru")
    found = Traced(layer, last_only=True)
    ids = torch.randint(SYMBOLS, (STEPS, BATCH))
    output, _ = found(ids)
    assert output.shape == (1, BATCH, HIDDEN)
    assert torch.equal(found.entry, layer.weight_ih_l0.T[ids])
    x = torch.randn(STEPS, BATCH, SYMBOLS, dtype=torch.float64)
    found(x)
    assert torch.equal(found.entry, x)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman_tanh", "lru", "mingru", "slstm"])
@pytest.mark.parametrize("lengths", [None, [7, 1, 4]], ids=["whole", "ragged"])
def test_both_directions_and_ragged_sequences(cell, lengths, monkeypatch):
    monkeypatch.setenv("RICORSO_PATH", "naive")
    layer = layer_of(cell, num_layers=2, bidirectional=True)
    x = torch.randn(STEPS, BATCH, SYMBOLS, dtype=torch.float64)
    lengths = None if lengths is None else torch.tensor(lengths)
    found = Traced(layer)
    output, finals = found(x, lengths=lengths)
    expected, last = layer(x, lengths=lengths)
    torch.testing.assert_close(output, expected)
    for one, other in zip(states_of(finals), states_of(last), strict=True):
        torch.testing.assert_close(one, other)
    assert [(trace.number, trace.reverse) for trace in found.layers] == [(1, False), (1, True), (2, False), (2, True)]


@pytest.mark.parametrize("lengths", [None, [7, 1, 4]], ids=["whole", "ragged"])
def test_steps_side_by_side_in_both_directions(lengths):
    found = Traced(layer_of("lstm", bidirectional=True))
    found(
        torch.randn(STEPS, BATCH, SYMBOLS, dtype=torch.float64),
        lengths=None if lengths is None else torch.tensor(lengths),
    )
    for trace in found.layers:
        step = trace.steps()
        for n, state in enumerate(trace.cell.states):
            after = trace.after(n) if lengths is None else trace.after(n)[trace.inside][:, None]
            torch.testing.assert_close(step.tensor(trace.cell.update[state]), after)
            assert lengths is None or len(after) == sum(lengths)


def test_tokens_in_both_directions(monkeypatch):
    monkeypatch.setenv("RICORSO_PATH", "naive")
    layer = layer_of("gru", bidirectional=True)
    ids = torch.randint(SYMBOLS, (STEPS, BATCH))
    torch.testing.assert_close(Traced(layer)(ids)[0], layer(ids)[0])


def test_what_cannot_be_looked_into_is_refused():
    with pytest.raises(UsageError, match="proj_size"):
        Traced(Recurrent("lstm", SYMBOLS, HIDDEN, proj_size=4))


def test_the_model_itself_stays_as_it_is(generator):
    model = generator.model_
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copied, layer = traced(model)
    copied(torch.zeros(3, 1, dtype=torch.long))
    assert layer.entry.dtype == torch.float64
    assert isinstance(model.recurrent, Recurrent)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
