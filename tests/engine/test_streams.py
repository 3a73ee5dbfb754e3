import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.engine import streams as module
from ricorso.engine.streams import Streams
from ricorso.equations.portable import from_json, to_json
from ricorso.errors import RicorsoError, ShapeError, UsageError
from ricorso.kernels import available
from ricorso.layers import LSTM, Recurrent

CELLS = ["lstm", "gru", "slstm", "lru", "cfc"]


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def way(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(available, "missing", lambda: "this test wants none")
    return request.param


def assert_same(found, wanted, way):
    """To the last bit in compiled kernels; torch's products round differently for another number of rows."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0 if way == "compiled" else 1e-6)


def layer_of(cell="gru", dtype=torch.float64, layers=2):
    torch.manual_seed(0)
    return Recurrent(cell, 3, 8, layers, dtype=dtype).requires_grad_(False)


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


class Past:
    """What one stream saw and gave since its states were `states`."""

    def __init__(self, layer, states=None):
        shape = (layer.num_layers, layer.hidden_size)
        self.layer = layer
        self.states = states or tuple(np.zeros(shape) for _ in layer.cell.states)
        self.inputs, self.outputs, self.signals = [], [], []

    def check(self, states):
        if self.inputs:
            steps = {name: torch.tensor([s[name] for s in self.signals]) for name in self.signals[0]}
            hx = tuple(torch.from_numpy(state) for state in self.states)
            inputs = torch.from_numpy(np.stack(self.inputs))
            output, finals = self.layer(inputs, hx if len(hx) > 1 else hx[0], **steps)
            np.testing.assert_allclose(np.stack(self.outputs), output.numpy(), rtol=0, atol=1e-12)
            wanted = [final.numpy() for final in as_tuple(finals)]
        else:
            wanted = self.states
        for found, state in zip(states, wanted, strict=True):
            np.testing.assert_allclose(found, state, rtol=0, atol=1e-12)


class Walk:
    """Streams that join, step, pause, move, start again and leave by chance, each beside a record of its own."""

    def __init__(self, layer, seed, tokens=False):
        self.layer, self.tokens, self.chance = layer, tokens, np.random.default_rng(seed)
        self.streams, self.pasts = Streams(layer, 7, tokens), {}

    def join(self, states=None):
        if len(self.pasts) == 7:
            with pytest.raises(UsageError, match="All 7 places are taken"):
                self.streams.join()
        else:
            self.pasts[self.streams.join(states)] = Past(self.layer, states)

    def pick(self):
        return int(self.chance.choice(list(self.pasts)))

    def leave(self):
        key = self.pick()
        self.pasts.pop(key).check(self.streams.states(key))
        self.streams.leave(key)

    def move(self):
        key = self.pick()
        states = self.streams.states(key)
        self.pasts.pop(key).check(states)
        self.streams.leave(key)
        self.join(states)

    def reset(self):
        key = self.pick()
        self.streams.reset(key)
        self.pasts[key] = Past(self.layer)

    def step(self):
        some = self.chance.permutation(list(self.pasts))[: self.chance.integers(1, len(self.pasts) + 1)]
        inputs = self.chance.integers(0, 3, len(some)) if self.tokens else self.chance.normal(size=(len(some), 3))
        signals = {signal.name: self.chance.random(len(some)) for signal in self.layer.cell.signals}
        if self.chance.random() < 0.5:
            outputs = self.streams.step(some, inputs, **signals)
        else:
            each = {name: dict(zip(some.tolist(), values, strict=True)) for name, values in signals.items()}
            found = self.streams.step(dict(zip(some.tolist(), inputs, strict=True)), **each)
            outputs = [found[key] for key in some.tolist()]
        for n, key in enumerate(some.tolist()):
            self.pasts[key].inputs.append(inputs[n])
            self.pasts[key].outputs.append(outputs[n])
            self.pasts[key].signals.append({name: values[n] for name, values in signals.items()})

    def run(self, moves):
        self.join()
        for name in self.chance.choice(
            ["step", "join", "leave", "move", "reset"], moves, p=[0.5, 0.25, 0.1, 0.1, 0.05]
        ):
            getattr(self, name if self.pasts else "join")()
            assert sorted(self.streams) == sorted(self.pasts)
            assert len(self.streams) == len(self.pasts)
        for key, past in self.pasts.items():
            past.check(self.streams.states(key))


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_each_stream_is_as_if_it_were_alone(cell, tokens, monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 3)  # so that a step takes several passes
    walk = Walk(layer_of(cell), seed=len(cell) + tokens, tokens=tokens)
    walk.run(80)
    assert max(walk.streams) >= 7  # places were given away again


@pytest.mark.parametrize("cell", CELLS)
def test_company_makes_no_difference_to_the_last_bit(cell, way):
    layer, count = layer_of(cell, torch.float32), module.MOST_ROWS + 9
    x = np.random.default_rng(0).normal(size=(3, count, 3)).astype(np.float32)
    together = Streams(layer, count)
    keys = [together.join() for _ in range(count)]
    outputs = [together.step(keys, x[t]) for t in range(3)]
    for n in (0, 5, count - 10, count - 1):
        alone = layer.stepper()
        for t in range(3):
            assert_same(outputs[t][n], alone.step(x[t, n : n + 1])[0], way)
        for found, wanted in zip(together.states(keys[n]), alone.states, strict=True):
            assert_same(found, wanted[:, 0], way)


@pytest.mark.parametrize("way", ["compiled"], indirect=True)
@pytest.mark.parametrize("cell", ["lstm", "cfc"])
def test_threads_that_share_the_rows_make_no_difference(cell, monkeypatch):
    from ricorso.engine import compiled_step

    layer, x = layer_of(cell, torch.float32), np.random.default_rng(0).normal(size=(5, 19, 3))

    def run():
        streams = Streams(layer, 19)
        keys = [streams.join() for _ in range(19)]
        return [streams.step(keys[t:], x[t, t:]) for t in range(5)], streams._stack.layers[0]

    wanted, _ = run()
    monkeypatch.setattr(compiled_step, "SHARED_WORK", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    found, own = run()
    assert own._sharing(15) == (3, 0)
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(a, b)


CONTINUE = """
import sys
import numpy as np, torch
from ricorso.engine.streams import Streams
from ricorso.kernels import available
from ricorso.layers import Recurrent
torch.set_num_threads(1)
torch.manual_seed(0)
layer = Recurrent("slstm", 3, 8, 2)
for way in ("compiled", "plain"):
    if way == "plain":
        available.missing = lambda: "this test wants none"
    streams = Streams(layer, 50)
    others = [streams.join() for _ in range(20)]
    stored = np.load(f"{sys.argv[1]}/{way}.npz")
    streams.step(others, np.ones((20, 3)))
    keys = [streams.join([stored[f"arr_{n}"][:, k] for n in range(4)]) for k in range(5)]
    outputs = streams.step(keys + others, np.concatenate([stored["inputs"], np.ones((20, 3))]))
    np.save(f"{sys.argv[1]}/{way}.npy", outputs[:5])
"""


@pytest.mark.parametrize("way", ["compiled"], indirect=True)
def test_states_go_on_in_another_process(tmp_path, monkeypatch):
    wanted, x = {}, np.random.default_rng(0).normal(size=(4, 5, 3))
    for way in ("compiled", "plain"):
        if way == "plain":
            monkeypatch.setattr(available, "missing", lambda: "this test wants none")
        streams = Streams(layer_of("slstm", torch.float32), 9)
        keys = [streams.join() for _ in range(5)]
        for t in range(3):
            streams.step(keys, x[t])
        np.savez(tmp_path / f"{way}.npz", *streams.states(keys), inputs=x[3])
        wanted[way] = streams.step(keys, x[3])
    subprocess.run([sys.executable, "-c", CONTINUE, str(tmp_path)], check=True)
    for way, outputs in wanted.items():
        assert_same(np.load(tmp_path / f"{way}.npy"), outputs, way)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_stream_goes_on_from_a_sequence(cell):
    layer, x = layer_of(cell), torch.randn(9, 3, dtype=torch.float64)
    streams = Streams(layer.requires_grad_(True), 1)
    key = streams.join(layer(x[:5])[1])
    found = [streams.step({key: features.numpy()})[key] for features in x[5:]]
    np.testing.assert_allclose(found, layer(x)[0][5:].detach().numpy(), rtol=0, atol=1e-12)


def test_results_are_the_callers():
    streams = Streams(layer_of(), 2)
    key = streams.join()
    first, states = streams.step([key], np.ones((1, 3))), streams.states(key)
    kept = first.copy(), states[0].copy()
    streams.step([key], np.ones((1, 3)))
    assert np.array_equal(first, kept[0])
    assert np.array_equal(states[0], kept[1])
    assert not np.array_equal(streams.states(key)[0], kept[1])


def test_no_stream_is_a_step_too():
    streams = Streams(layer_of(), 2)
    assert streams.step({}) == {}
    assert streams.step([], np.zeros((0, 3))).shape == (0, 8)
    assert Streams(layer_of(), 2, tokens=True).step([], []).shape == (0, 8)
    assert streams.keys.tolist() == []


def test_a_stream_begins_where_the_layer_has_learned_to():
    streams = Streams(layer_of("lstm"), 2)
    streams._stack.start[:] = start = np.random.default_rng(0).normal(size=(2, 2, 8))
    keys = [streams.join(), streams.join((np.ones((2, 8)), np.ones((2, 8))))]
    h, c = streams.states(keys[0])
    assert np.array_equal(np.stack([h, c], axis=1), start)
    assert all((state == 1).all() for state in streams.states(keys[1]))
    streams.reset(keys)
    for n, state in enumerate(streams.states(keys)):
        assert np.array_equal(state, np.repeat(start[:, n, None], 2, axis=1))


def test_a_signal_not_given_is_one():
    streams = Streams(layer_of("cfc"), 3)
    a, b, c = (streams.join() for _ in range(3))
    streams.step([a], np.ones((1, 3)), dt=4.0)
    streams.reset([a])
    found = streams.step({a: np.ones(3)})[a]
    assert np.array_equal(streams.step({b: np.ones(3)}, dt=1)[b], found)
    assert not np.array_equal(streams.step([c], np.ones((1, 3)), dt=[4.0])[0], found)


def test_what_is_not_finite_stays_with_its_stream():
    streams = Streams(layer_of("lstm"), 2)
    keys = [streams.join(), streams.join()]
    outputs = streams.step(keys, [[np.nan] * 3, [1.0] * 3])
    assert np.isnan(outputs[0]).all()
    assert np.isfinite(outputs[1]).all()
    streams.reset(keys[0])
    assert np.isfinite(streams.step(keys, np.ones((2, 3)))).all()


def test_a_key_is_never_given_twice():
    streams, seen = Streams(layer_of(), 3), set()
    for _ in range(20):
        keys = [streams.join() for _ in range(3)]
        assert seen.isdisjoint(keys)
        seen.update(keys)
        assert all(key in streams for key in keys)
        for key in keys:
            streams.leave(key)
            assert key not in streams
            with pytest.raises(UsageError, match=f"No stream has the key {key}"):
                streams.states(key)
    assert -1 not in streams
    with pytest.raises(UsageError, match="No stream has the key -1"):
        streams.states(-1)


def test_streams_that_pause_cost_nothing():
    streams = Streams(layer_of(), 5)
    keys = [streams.join() for _ in range(5)]
    for layer in streams._stack.layers:
        layer.states[1][:] = 9
    streams.step(keys[3:], np.ones((2, 3)))
    for layer in streams._stack.layers:
        assert (layer.states[1][:, 2:] == 9).all()


def test_new_weights_from_where_each_stream_is():
    layer = layer_of("lstm")
    streams = Streams(layer, 2)
    key = streams.join()
    streams.step({key: np.ones(3)})
    states = streams.states(key)
    before = streams.step({key: np.ones(3)})[key]
    layer.load_state_dict({name: value * 0.5 for name, value in layer.state_dict().items()})
    streams.leave(key)
    key = streams.join(states)
    assert np.array_equal(streams.step({key: np.ones(3)})[key], before)
    streams.leave(key)
    key = streams.join(states)
    streams.refresh(layer)
    found = streams.step({key: np.ones(3)})[key]
    hx = tuple(torch.from_numpy(state) for state in states)
    np.testing.assert_allclose(found, layer(torch.ones(1, 3).double(), hx)[0][0].numpy(), rtol=0, atol=1e-12)
    with pytest.raises(UsageError, match=r"lstm \(input_size 3, .* layers 2, float64\); got .* layers 1, float64"):
        streams.refresh(layer_of("lstm", layers=1))
    with pytest.raises(UsageError, match="Wanted a layer of the same equations"):
        streams.refresh(layer_of(replace(CATALOGUE["lstm_coupled"], name="lstm")))
    mine, loaded = (from_json(to_json(CATALOGUE["lstm"])) for _ in range(2))
    Streams(layer_of(mine), 2).refresh(layer_of(loaded))
    with pytest.raises(UsageError, match="got gru"):
        streams.refresh(layer_of("gru"))


def test_threads_wait_for_one_another():
    layer, x = layer_of("cfc"), np.random.default_rng(0).normal(size=(4, 60, 3))
    streams = Streams(layer, 4)

    def talk(inputs):
        key = streams.join()
        outputs = [streams.step({key: features})[key] for features in inputs]
        streams.leave(key)
        return np.stack(outputs)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(talk, x))
    wanted = layer(torch.from_numpy(x).transpose(0, 1))[0].transpose(0, 1).numpy()
    np.testing.assert_allclose(np.stack(found), wanted, rtol=0, atol=1e-12)
    assert len(streams) == 0


WRONG = [
    (lambda s: s.step({99: np.ones(3)}), UsageError, "No stream has the key 99"),
    (lambda s: s.step([0, -1], np.ones((2, 3))), UsageError, "No stream has the key -1"),
    (lambda s: s.step([0, 1, 0], np.ones((3, 3))), UsageError, "key 0 is named twice"),
    (lambda s: s.step([0.0], np.ones((1, 3))), UsageError, "whole numbers"),
    (lambda s: s.step(0, np.ones((1, 3))), UsageError, "whole numbers"),
    (lambda s: s.step([0], np.ones((1, 4))), ShapeError, r"features of shape \(1, 3\).*\(1, 4\)"),
    (lambda s: s.step({0: np.ones(3), 1: np.ones(4)}), ShapeError, "differ in shape"),
    (lambda s: s.step([0, 1], [[1, 2, 3], [1, 2]]), ShapeError, "differ in shape"),
    (lambda s: s.step({0: ["a", "b", "c"]}), ShapeError, "Wanted numbers as inputs"),
    (lambda s: s.step({0: np.ones(3)}, dt="soon"), ShapeError, "Wanted numbers as dt"),
    (lambda s: s.step([0]), UsageError, "Inputs are missing"),
    (lambda s: s.step({0: np.ones(3)}, np.ones((1, 3))), UsageError, "once"),
    (lambda s: s.step({0: np.ones(3)}, dtt=1.0), UsageError, "Did you mean 'dt'"),
    (lambda s: s.step([0, 1], np.ones((2, 3)), dt=[1.0, 2.0, 3.0]), ShapeError, r"'dt' of shape \(2,\)"),
    (lambda s: s.step({0: np.ones(3)}, dt={1: 1.0}), UsageError, "'dt' is given for other streams"),
    (lambda s: s.step([0], np.ones((1, 3)), dt={0: 1.0, 1: 1.0}), UsageError, "'dt' is given for other streams"),
    (lambda s: s.join(), UsageError, "All 2 places are taken"),
    (lambda s: s.leave(99), UsageError, "No stream has the key 99"),
    (lambda s: s.states([0, 99]), UsageError, "No stream has the key 99"),
    (lambda s: s.reset(99), UsageError, "No stream has the key 99"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG)
def test_wrong_use_is_named_and_nothing_moves(wrong, error, message):
    streams = Streams(layer_of("cfc"), 2)
    keys = [streams.join(), streams.join()]
    streams.step(keys, np.ones((2, 3)))
    before = streams.states(keys)
    with pytest.raises(error, match=message):
        wrong(streams)
    for found, wanted in zip(streams.states(keys), before, strict=True):
        assert np.array_equal(found, wanted)


def test_wrong_ids_move_nothing(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 1)
    streams = Streams(layer_of(), 2, tokens=True)
    keys = [streams.join(), streams.join()]
    for ids in ([0, 3], [0, -1], [0.0, 1.0], [[0], [1]]):
        with pytest.raises(ShapeError, match="oken ids"):
            streams.step(keys, ids)
    assert not any(state.any() for state in streams.states(keys))


def test_states_of_another_form_take_no_place():
    streams = Streams(layer_of("lstm"), 1)
    good = np.zeros((2, 8))
    for states in (good, [good], [good, np.zeros((1, 8))], [good, good, good]):
        with pytest.raises(ShapeError, match=r"Wanted 2 states \(h, c\) of shape \(2, 8\)"):
            streams.join(states)
    streams.join([good, torch.zeros(2, 8, dtype=torch.bfloat16)])


def test_wrong_streams_are_not_made():
    for capacity in (0, 2.5, True):
        with pytest.raises(UsageError, match="capacity is the most streams"):
            Streams(layer_of(), capacity)
    with pytest.raises(RicorsoError, match="look ahead"):
        Streams(LSTM(4, 8, bidirectional=True), 3)
