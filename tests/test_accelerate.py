import copy
import importlib.util
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from example import run
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_sequence

import ricorso
from ricorso.errors import RicorsoError, UsageError
from ricorso.exchange import convert, place, trial
from ricorso.exchange.measure import Ratio

FASTER, SAME, SLOWER = Ratio(2.0, 1.8, 2.2, 2.0, 1.0), Ratio(1.0, 0.9, 1.1, 1.0, 1.0), Ratio(0.5, 0.4, 0.6, 1.0, 2.0)


def example_file():
    path = Path(__file__).parents[1] / "examples" / "accelerate_your_model.py"
    spec = importlib.util.spec_from_file_location("accelerate_your_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLES = example_file()
NAMES = ["Tagger", "LanguageModel", "Translator"]
RECURRENT = {"Tagger": {"lstm"}, "LanguageModel": {"rnn"}, "Translator": {"encoder", "cell"}}


@pytest.fixture(params=NAMES)
def written(request):
    """A model as people write them, and the arguments of a call."""
    torch.manual_seed(0)
    return EXAMPLES.models(hidden=8, batch=3, steps=5)[NAMES.index(request.param)]


def scores(model, example):
    output = model(*example)
    return output[0] if isinstance(output, tuple) else output


def results(model, example):
    torch.manual_seed(1)
    found = scores(model, example)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
    return [found, *torch.autograd.grad((found * weights).sum(), list(model.parameters()))]


def assert_equal(found, wanted, tolerance=2e-5):
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max().clamp(min=1e-3)


def modules_of(model):
    return {name: type(module).__module__.split(".")[0] for name, module in model.named_children()}


def test_models_of_others_give_the_same(written):
    model, example = written
    model.eval()
    wanted, parameters, layers = results(model, example), dict(model.named_parameters()), dict(model.named_modules())
    report = ricorso.accelerate(model, *example, seconds=0)
    replaced = {layer.path for layer in report.layers if layer.replaced}
    assert replaced == RECURRENT[type(model).__name__]
    assert {name for name, home in modules_of(model).items() if home == "ricorso"} == replaced
    assert {name: id(p) for name, p in model.named_parameters()} == {name: id(p) for name, p in parameters.items()}
    assert_equal(results(model, example), wanted)
    assert report.outputs.ok
    assert report.gradients.ok
    assert report.model is model
    assert report.undo() is model
    assert dict(model.named_modules()) == layers
    assert_equal(results(model, example), wanted, 0)


def test_an_optimiser_goes_on_and_undo_keeps_what_was_learned(written):
    model, example = written
    model.eval()
    twin = copy.deepcopy(model)
    losses = []
    for one in (model, twin):
        adam = torch.optim.Adam(one.parameters(), lr=0.02)
        target = torch.randint(3, scores(one, example).shape[:-1], generator=torch.Generator().manual_seed(0))
        for step in range(9):
            if one is model and step == 3:
                report = ricorso.accelerate(model, *example, seconds=0)
            if one is model and step == 6:
                report.undo()
            adam.zero_grad()
            loss = nn.functional.cross_entropy(scores(one, example).flatten(0, 1), target.flatten())
            loss.backward()
            adam.step()
            losses.append(loss.item())
    assert losses[:9] == pytest.approx(losses[9:], rel=1e-4)
    assert losses[8] < 0.8 * losses[0]


def test_copies_and_state_dicts(written):
    model, example = written
    model.eval()
    original = copy.deepcopy(model)
    ricorso.accelerate(model, *example, seconds=0)
    assert list(model.state_dict()) == list(original.state_dict())
    twin = copy.deepcopy(model)
    wanted = results(model, example)
    assert_equal(results(twin, example), wanted, 1e-6)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(1.5)
    assert_equal(results(model, example), wanted, 1e-6)
    original.load_state_dict(twin.state_dict())
    assert_equal(results(twin, example), results(original, example))
    model.load_state_dict(original.state_dict())
    assert_equal(results(model, example), results(original, example))


class Nested(nn.Module):
    """One LSTM in three places, and others in a list and a sequence."""

    def __init__(self):
        super().__init__()
        self.first = nn.LSTM(8, 8)
        self.list = nn.ModuleList([self.first, nn.GRU(8, 8, bidirectional=True)])
        self.deep = nn.Sequential(nn.Linear(16, 8), nn.Sequential(nn.RNN(8, 8, nonlinearity="relu")))
        self.alias = self.first
        self.unused = nn.RNNCell(8, 8)

    def forward(self, x):
        x, _ = self.alias(self.first(x)[0])
        return self.deep(self.list[1](self.list[0](x)[0])[0])


def test_a_shared_layer_is_replaced_once_and_stays_shared():
    model, x = Nested(), torch.randn(4, 2, 8)
    wanted, original = model(x)[0], model.first
    report = ricorso.accelerate(model, x, seconds=0)
    assert model.first is model.alias is model.list[0]
    assert isinstance(model.first, ricorso.LSTM)
    assert isinstance(model.deep[1][0], ricorso.RNN)
    assert_equal([model(x)[0]], [wanted])
    told = {layer.path: layer for layer in report.layers}
    assert told["first"].others == ("alias", "list.0")
    assert told["first"].calls == 3
    assert told["unused"].why == "the example does not call it"
    assert type(model.unused) is nn.RNNCell
    report.undo()
    assert model.first is model.alias is model.list[0] is original


@pytest.mark.parametrize("options", [{}, {"proj_size": 4, "num_layers": 2}], ids=str)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_model_that_is_a_layer_itself(options):
    layer = nn.LSTM(5, 8, **options)
    packed = pack_sequence([torch.randn(4, 5), torch.randn(2, 5)])
    report = ricorso.accelerate(layer, packed, seconds=0)
    assert isinstance(report.model, ricorso.LSTM)
    assert report.layers[0].path == "(the model)"
    assert_equal([report.model(packed)[0].data], [layer(packed)[0].data])
    assert report.undo() is layer
    assert "(the model)" in str(report)


KINDS = [
    (nn.LSTM, {"num_layers": 2, "dropout": 0.5, "batch_first": True}),
    (nn.GRU, {"bias": False, "bidirectional": True}),
    (nn.RNN, {"nonlinearity": "relu", "dropout": 0.1}),
    (nn.LSTMCell, {"bias": False}),
    (nn.GRUCell, {}),
    (nn.RNNCell, {"nonlinearity": "relu"}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
@pytest.mark.filterwarnings("ignore:dropout option adds dropout")
def test_every_kind_is_made_alike_and_draws_nothing(kind, options):
    layer = kind(5, 8, dtype=torch.float64, **options).eval()
    layer.note = "mine"
    torch.manual_seed(0)
    before = torch.get_rng_state()
    made = convert.convert(layer)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(made).__name__ == kind.__name__
    assert type(made).__module__.startswith("ricorso.")
    assert [(n, id(p)) for n, p in made.named_parameters()] == [(n, id(p)) for n, p in layer.named_parameters()]
    assert not made.training
    assert made.note == "mine"
    for name in ("input_size", "hidden_size", "bias", *options):
        assert getattr(made, name) == getattr(layer, name)
    x = torch.randn(2, 3, 5, dtype=torch.float64) if issubclass(kind, nn.RNNBase) else torch.randn(2, 5).double()
    ours, theirs = made(x), layer(x)
    assert_equal([ours[0]], [theirs[0]], 1e-12)


class Mine(nn.LSTM):
    pass


def with_forward():
    layer = nn.LSTM(5, 8)
    layer.forward = lambda x: x
    return layer


def with_more():
    layer = nn.LSTM(5, 8)
    layer.register_parameter("more", nn.Parameter(torch.zeros(1)))
    return layer


def with_buffer():
    layer = nn.GRU(5, 8)
    layer.register_buffer("seen", torch.zeros(1))
    return layer


def with_load_hook():
    layer = nn.GRU(5, 8)
    layer._register_load_state_dict_pre_hook(lambda *_: None, with_module=True)
    return layer


def with_two_types():
    layer = nn.GRUCell(5, 8)
    layer.bias_ih = nn.Parameter(layer.bias_ih.double())
    return layer


def compiled():
    layer = nn.GRUCell(5, 8)
    layer.compile(backend="eager")
    return layer


KEPT = [
    (lambda: Mine(5, 8), "Mine is a subclass"),
    (lambda: parametrizations.weight_norm(nn.LSTM(5, 8), "weight_hh_l0"), "parametrised"),
    (lambda: nn.utils.weight_norm(nn.LSTM(5, 8), "weight_hh_l0"), "weight_hh_l0 is no parameter any more"),
    (with_forward, "forward method was replaced"),
    (with_more, "parameter of its own, more"),
    (with_buffer, r"parts of its own \(seen\)"),
    (with_load_hook, "bound to it"),
    (with_two_types, "several types"),
    (compiled, "torch.compile"),
    (lambda: torch.jit.script(nn.GRU(5, 8)), "TorchScript"),
    (lambda: torch.ao.nn.quantized.dynamic.GRU(5, 8), "quantised"),
]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("make", "reason"), KEPT)
def test_what_cannot_be_replaced_is_kept_and_told(make, reason):
    layer = make()
    model = nn.Sequential(layer)
    report = ricorso.accelerate(model)
    assert model[0] is layer
    (told,) = report.layers
    assert not told.replaced
    assert told.why in str(report)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(told.why)


def test_hooks_go_along_and_their_handles_work():
    model, seen = nn.Sequential(nn.GRU(5, 8)), []
    layer = model[0]
    handles = [
        layer.register_forward_hook(lambda *_: seen.append("forward")),
        layer.register_forward_pre_hook(lambda _, given: (seen.append("pre"), (given[0] * 2,))[1]),
        layer.register_full_backward_hook(lambda *_: seen.append("backward")),
    ]
    layer._register_state_dict_hook(lambda *_: seen.append("state"))
    x = torch.randn(3, 2, 5, requires_grad=True)
    wanted = model(x)[0]
    report = ricorso.accelerate(model, x, seconds=0)
    seen.clear()
    model(x)[0].sum().backward()
    model.state_dict()
    assert seen == ["pre", "forward", "backward", "state"]
    assert_equal([model(x)[0]], [wanted])
    for handle in handles:
        handle.remove()
    later = model[0].register_forward_hook(lambda *_: seen.append("later"))
    report.undo()
    seen.clear()
    model(x)
    assert seen == ["later"]
    later.remove()
    model(x)
    assert seen == ["later"]


class Stateful(nn.Module):
    """Carries its state, counts, normalises with running averages and draws random numbers of all three kinds."""

    def __init__(self):
        super().__init__()
        self.norm, self.rnn, self.drop = nn.BatchNorm1d(5), nn.GRU(5, 8), nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(()))
        self.state = None
        self.rnn.eval()

    def forward(self, x, scale=1.0):
        self.calls += 1
        scaled = self.norm(x.clone().flatten(0, 1)).view_as(x) * scale
        output, state = self.rnn(scaled, self.state)
        self.state = state.detach()
        self.last = output
        x.zero_()
        noise = torch.rand(()) + random.random() + np.random.rand()
        return {"output": self.drop(output) + noise, "calls": int(self.calls)}


def test_nothing_else_of_the_model_changes():
    model, x = Stateful(), torch.randn(4, 3, 5)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    before, given = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()), x.clone()
    report = ricorso.accelerate(model, x, keywords={"scale": 0.5}, seconds=0)
    assert report.layers[0].replaced
    assert report.gradients is not None
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()
    assert torch.equal(x, given)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name])
    assert model.state is None
    assert not hasattr(model, "last")
    assert model.training
    assert model.drop.training
    assert not model.rnn.training
    assert all(parameter.grad is None for parameter in model.parameters())


@dataclass
class Answer:
    scores: torch.Tensor
    states: tuple
    name: str = "answer"


class Answering(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.cell = nn.LSTM(5, 8), nn.LSTMCell(8, 8)

    def forward(self, given):
        packed, (h, c) = self.lstm(given["packed"])
        return Answer(packed.data.sum(), (packed, [self.cell(h[0], (h[0], c[0]))]))


class Wrong(ricorso.LSTM):
    """Adds a thousandth to its outputs."""

    def forward(self, *given, **named):
        output, states = super().forward(*given, **named)
        return (output._replace(data=output.data + 1e-3) if hasattr(output, "_replace") else output + 1e-3), states


class _Bent(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 1.001


class WrongGradient(ricorso.layers.step.LSTMCell):
    """Multiplies its gradient by 1.001."""

    def forward(self, input, hx=None):
        return super().forward(_Bent.apply(input), hx)


class OfAnotherShape(ricorso.LSTM):
    def forward(self, *given, **named):
        output, (h, c) = super().forward(*given, **named)
        return output, (h[0], c)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (nn.LSTM, Wrong, r"lstm \(LSTM\) gives other .* output\[0\]\[0\]\.data differs by .*e-0"),
        (nn.LSTM, OfAnotherShape, r"output\[0\]\[1\]\[0\] has shape \(3, 8\) and had \(1, 3, 8\)"),
        (
            nn.LSTMCell,
            WrongGradient,
            r"cell \(LSTMCell\) gives other .* gradient of input\[0\]\[0\]\[0\] differs by 1\.0e-03",
        ),
    ],
)
def test_a_wrong_replacement_is_seen_and_everything_put_back(monkeypatch, kind, wrong, message):
    monkeypatch.setitem(convert.KINDS, kind, wrong)
    model, given = Answering(), {"packed": pack_sequence([torch.randn(n, 5) for n in (4, 2, 1)])}
    layers = dict(model.named_modules())
    with pytest.raises(RicorsoError, match=message):
        ricorso.accelerate(model, given, seconds=0)
    assert dict(model.named_modules()) == layers
    report = ricorso.accelerate(model, given, check=False, seconds=0)
    assert any(isinstance(module, wrong) for module in model.modules())
    assert report.outputs is None


def test_a_difference_of_the_whole_is_told(monkeypatch):
    monkeypatch.setattr(trial.Trial, "_compared_alone", lambda *_: None)
    monkeypatch.setitem(convert.KINDS, nn.LSTM, Wrong)
    model, given = Answering(), {"packed": pack_sequence([torch.randn(4, 5)])}
    with pytest.raises(RicorsoError, match=r"output\.scores|output\.states"):
        ricorso.accelerate(model, given, seconds=0)
    assert type(model.lstm) is nn.LSTM
    report = ricorso.accelerate(model, given, seconds=0, tolerance=1.0)
    assert report.layers[0].replaced


class Asking(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(5, 8)

    def forward(self, x):
        if not isinstance(self.rnn, nn.GRU):
            raise TypeError("a GRU, please")
        return self.rnn(x)


def test_a_model_that_looks_at_classes_is_put_back():
    model = Asking()
    with pytest.raises(RicorsoError, match=r"TypeError: a GRU, please.*put back"):
        ricorso.accelerate(model, torch.randn(3, 2, 5), seconds=0)
    assert type(model.rnn) is nn.GRU


def test_an_interruption_leaves_the_model_as_it_was(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "compared", interrupted)
    model = nn.Sequential(nn.GRU(5, 8)).train()
    layer = model[0]
    with pytest.raises(KeyboardInterrupt):
        ricorso.accelerate(model, torch.randn(3, 2, 5))
    assert model[0] is layer
    assert layer.training


def test_an_interruption_of_the_last_step_as_well(monkeypatch):
    put = place.Exchange.put

    def interrupted(exchange):
        put(exchange)
        raise KeyboardInterrupt

    monkeypatch.setattr(place.Exchange, "put", interrupted)
    model = nn.Sequential(nn.GRU(5, 8))
    with pytest.raises(KeyboardInterrupt):
        ricorso.accelerate(model)
    assert type(model[0]) is nn.GRU


def timed(monkeypatch, *ratios):
    """Have measurements come out as these, one after the other; gives the seconds each was allowed."""
    left, allowed = list(ratios), []

    def compared(before, after, seconds):
        for way in (before, after):
            way.prepare()
            way.run()
        allowed.append(seconds)
        return left.pop(0)

    monkeypatch.setattr(trial, "compared", compared)
    return allowed


@pytest.mark.parametrize(
    ("ratios", "replaced", "why"),
    [
        ((FASTER, FASTER), True, ""),
        ((SAME, FASTER), True, ""),
        ((SAME, SAME), False, "Ricorso's is no faster here"),
        ((SLOWER, SAME), False, "Ricorso's is slower here (forward)"),
        (
            (SLOWER, FASTER),
            False,
            'Ricorso\'s is slower here (forward); measure="training" looks at training alone',
        ),
        ((SLOWER, SLOWER), False, "Ricorso's is slower here (forward, training)"),
    ],
)
def test_what_is_not_faster_is_put_back(monkeypatch, ratios, replaced, why):
    allowed = timed(monkeypatch, *ratios, FASTER, SAME)
    model = nn.Sequential(nn.GRU(5, 8))
    original = model[0]
    report = ricorso.accelerate(model, torch.randn(3, 2, 5), seconds=8)
    (layer,) = report.layers
    assert (layer.replaced, layer.why) == (replaced, why)
    assert (layer.forward, layer.training) == ratios
    assert (model[0] is original) != replaced
    assert model[0].training
    assert allowed == [2.0, 2.0, 2.0, 2.0][: 4 if replaced else 2]
    text = str(report)
    assert f"{ratios[1]}x" in text
    assert ("whole model, forward: 2000.0 ms before, 1000.0 ms now, 2.00 times faster" in text) == replaced
    told = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert told["layers"][0]["training"]["value"] == ratios[1].value
    assert told["layers"][0]["sizes"] == "5 to 8"


def test_dropout_is_out_of_the_comparison():
    model = EXAMPLES.LanguageModel(9, 8, dropout=0.5)
    report = ricorso.accelerate(model, torch.randint(9, (5, 2)), seconds=0)
    assert report.layers[0].replaced
    assert model.rnn.training


def test_one_of_two_put_back_is_compared_again(monkeypatch):
    timed(monkeypatch, FASTER, SLOWER, FASTER)
    compare, compared = trial.Trial._compare_whole, []

    def noted(self, wanted, ours, tolerance):
        compared.append([exchange.path for exchange in ours])
        compare(self, wanted, ours, tolerance)

    monkeypatch.setattr(trial.Trial, "_compare_whole", noted)
    model = EXAMPLES.Translator(9, 9, 8)
    given = torch.randint(9, (2, 3)), torch.randint(9, (2, 4))
    report = ricorso.accelerate(model, *given, measure="training")
    assert [(layer.path, layer.replaced) for layer in report.layers] == [("encoder", True), ("cell", False)]
    assert (report.forward, report.training) == (None, FASTER)
    assert report.outputs.ok
    assert compared == [["encoder", "cell"], ["encoder"]]
    assert str(report).splitlines()[0] == "Translator: 1 of 2 recurrent layers replaced"
    report.undo()
    assert modules_of(model)["encoder"] == "torch"


def test_without_gradients_only_forward_is_compared_and_timed(monkeypatch):
    timed(monkeypatch, FASTER, FASTER)
    model = nn.Sequential(nn.GRU(5, 8))
    with torch.no_grad():
        report = ricorso.accelerate(model, torch.randn(3, 2, 5))
    assert report.gradients is None
    assert report.layers[0].training is None
    assert report.layers[0].replaced


def test_what_has_no_gradient_is_timed_without(monkeypatch):
    timed(monkeypatch, SLOWER)
    model = nn.Sequential(nn.GRU(5, 8)).requires_grad_(False)
    report = ricorso.accelerate(model, torch.randn(3, 2, 5), measure="training")
    assert report.layers[0].forward is SLOWER
    assert not report.layers[0].replaced


def test_the_example_prints_three_reports(tmp_path):
    sizes = ["--hidden", "8", "--batch", "2", "--steps", "4", "--seconds", "0", "--threads", "1"]
    told = run("accelerate_your_model", *sizes, folder=tmp_path)
    assert [line.split(":")[0] for line in told.splitlines() if "recurrent layers replaced" in line] == NAMES


def test_without_an_example_it_says_that_nothing_was_tried():
    model = nn.Sequential(nn.GRU(5, 8))
    report = ricorso.accelerate(model)
    assert isinstance(model[0], ricorso.GRU)
    assert "Nothing was compared or measured" in str(report)
    again = ricorso.accelerate(model)
    assert again.layers == ()
    assert "There is nothing to replace." in str(again)


def test_undo_takes_along_what_happened_meanwhile():
    model = nn.Sequential(nn.GRU(5, 8))
    original = model[0]
    report = ricorso.accelerate(model)
    model.eval().double()
    model.load_state_dict(nn.Sequential(nn.GRU(5, 8).double()).state_dict(), assign=True)
    x = torch.randn(3, 2, 5, dtype=torch.float64)
    wanted = model(x)[0]
    report.undo()
    report.undo()
    assert model[0] is original
    assert not original.training
    assert_equal([model(x)[0]], [wanted], 1e-12)


def test_undo_leaves_what_others_put_there():
    model = nn.ModuleList([nn.GRU(5, 8), nn.GRU(5, 8)])
    report = ricorso.accelerate(model)
    model[0] = nn.Identity()
    with pytest.raises(UsageError, match="0 now holds something"):
        report.undo()
    assert isinstance(model[0], nn.Identity)
    assert type(model[1]) is nn.GRU


class Restless(nn.Module):
    calls = 0

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(5, 8)

    def forward(self, x):
        Restless.calls += 1
        return self.rnn(x)[0] * Restless.calls


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: ricorso.accelerate(torch.zeros(3)), "takes a torch module, not Tensor"),
        (lambda: ricorso.accelerate(nn.GRU(5, 8), torch.randn(3, 2, 6)), "cannot be run on this example. RuntimeError"),
        (lambda: ricorso.accelerate(nn.GRU(5, 8), torch.randn(3, 2, 5), measure="speed"), "forward, training, both"),
        (lambda: ricorso.accelerate(Restless(), torch.randn(3, 2, 5)), "another result when it is run a second time"),
    ],
)
def test_wrong_use_is_named(run, message):
    with pytest.raises(UsageError, match=message):
        run()
