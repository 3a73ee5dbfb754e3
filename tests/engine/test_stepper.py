import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from problem import KINDS_UNLESS_LONG

from ricorso.cells import CATALOGUE
from ricorso.engine.stack import LayerWeights
from ricorso.engine.stepper import Stepper
from ricorso.errors import ShapeError, UsageError
from ricorso.kernels import available
from ricorso.kernels.arguments import INDEX
from ricorso.layers import LSTM, Recurrent


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def tolerance(request, monkeypatch):
    """Of streams compared with compiled sequences."""
    if request.param == "plain":
        monkeypatch.setattr(available, "missing", lambda: "this test wants none")
        return 1e-5
    return 1e-6


def test_which_it_is(request):
    (layer,) = Recurrent("gru", 4, 8).stepper().stack.layers
    assert type(layer).__name__.lower().startswith(request.node.callspec.params["tolerance"])


def random_steps(stepper, count=4):
    shape = (count, stepper.batch_size, stepper.input_size)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_signals_stay_as_they_were():
    torch.manual_seed(0)
    stepper = Recurrent("cfc", 4, 8).stepper()
    kept, x = stepper.states, np.ones((1, 4), np.float32)
    first = stepper.step(x, dt=3.0).copy()
    stepper.states = kept
    assert np.array_equal(stepper.step(x), first)
    stepper.states = kept
    assert not np.array_equal(stepper.step(x, dt=1.0), first)


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", KINDS_UNLESS_LONG)
def test_steps_equal_the_sequence(cell, layers, tokens, tolerance):
    """In single precision; every cell in double precision: layers/test_every_cell.py."""
    torch.manual_seed(0)
    layer = Recurrent(cell, 6, 100, layers, bias=layers == 1)
    x = torch.randint(0, 6, (9, 3)) if tokens else torch.randn(9, 3, 6)
    output, states = layer(x)
    stepper = layer.stepper(batch_size=3, tokens=tokens)
    for t in range(9):
        assert stepper.step(x[t].numpy()) == pytest.approx(output[t].detach().numpy(), abs=tolerance)
    states = (states,) if isinstance(states, torch.Tensor) else states
    for found, wanted in zip(stepper.states, states, strict=True):
        assert found == pytest.approx(wanted.detach().numpy(), abs=tolerance)


def test_states_can_be_kept_and_put_back():
    stepper = Recurrent("lstm", 4, 8).stepper(tokens=True)
    stepper.step(1)
    kept = stepper.states
    first = stepper.step(2).copy()
    stepper.step(3)
    stepper.states = kept
    assert np.array_equal(stepper.step(2), first)
    stepper.reset()
    assert not any(state.any() for state in stepper.states)


@pytest.mark.parametrize("rows", [[0, 2], 2, np.array([True, False, True]), []])
def test_rows_start_again_one_by_one(rows):
    stepper = Recurrent("lstm", 4, 8, 2).stepper(batch_size=3)
    for x in random_steps(stepper):
        stepper.step(x)
    wanted = stepper.states
    for state in wanted:
        state[:, np.array(rows, dtype=None if len(np.atleast_1d(rows)) else int)] = 0
    stepper.reset(rows)
    for found, state in zip(stepper.states, wanted, strict=True):
        assert np.array_equal(found, state)


def test_streams_begin_where_the_layer_has_learned_to():
    chance = np.random.default_rng(0)
    first, second, recurrent = (chance.normal(size=(32, size)).astype(np.float32) for size in (4, 8, 8))
    starts = chance.normal(size=(2, 2, 8)).astype(np.float32)
    weights = [
        LayerWeights(weight_ih, recurrent, None, None, None, start)
        for weight_ih, start in zip((first, second), starts, strict=True)
    ]
    stepper = Stepper(CATALOGUE["lstm"], weights, batch_size=3)
    first = stepper.states
    for n, state in enumerate(first):
        assert np.array_equal(state, np.repeat(starts[:, n, None], 3, axis=1))
    for x in random_steps(stepper, 3):
        stepper.step(x)
    later = stepper.states
    stepper.reset([0, 2])
    for found, begin, unchanged in zip(stepper.states, first, later, strict=True):
        assert np.array_equal(found[:, [0, 2]], begin[:, [0, 2]])
        assert np.array_equal(found[:, 1], unchanged[:, 1])


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "mingru"])
def test_only_the_rows_asked_for_are_computed(cell, tokens):
    stack = Recurrent(cell, 4, 8, 2).stepper(batch_size=5, tokens=tokens).stack
    stack.resize(2)
    for layer in stack.layers:
        layer.states[1][:] = 9
    stack.run(0)
    for layer in stack.layers:
        assert (layer.states[1][:, 2:] == 9).all()
        assert (layer.states[1][:, :2] != 9).all()
        assert [block[INDEX["batch"]] for block in getattr(layer, "_projections", [])] in ([], [2, 2])


def test_bfloat16_layers_are_streamed_in_float32(tolerance):
    layer = Recurrent("gru", 4, 8).bfloat16()
    stepper = layer.stepper(batch_size=2)
    assert stepper.states[0].dtype == np.float32
    x = random_steps(stepper)
    output, _ = layer.float()(torch.from_numpy(x))
    for t in range(4):
        assert stepper.step(x[t]) == pytest.approx(output[t].detach().numpy(), abs=tolerance)


def test_two_threads_step_one_layer_with_a_stepper_each(tolerance):
    layer = Recurrent("cfc", 4, 100)
    steppers = [layer.stepper(batch_size=3) for _ in range(2)]
    x = np.random.default_rng(0).normal(size=(2, 200, 3, 4)).astype(np.float32)

    def stream(number):
        return np.stack([steppers[number].step(features).copy() for features in x[number]])

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(stream, (0, 1)))
    for ours, inputs in zip(found, x, strict=True):
        assert ours == pytest.approx(layer(torch.from_numpy(inputs))[0].detach().numpy(), abs=tolerance)


def test_weights_are_those_of_the_moment_it_was_made():
    layer = Recurrent("gru", 4, 8)
    stepper = layer.stepper(tokens=True)
    before = stepper.step(1).copy()
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.zero_()
    stepper.reset()
    assert np.array_equal(stepper.step(1), before)


def test_wrong_use_is_named():
    stepper = Recurrent("gru", 4, 8).stepper(tokens=True)
    with pytest.raises(ShapeError, match="0 to 3"):
        stepper.step(4)
    for ids in ([1, 2], [[1]], 1.5, [0.5]):
        with pytest.raises(ShapeError, match="oken ids"):
            stepper.step(ids)
    with pytest.raises(ShapeError, match="ids of shape"):
        Recurrent("gru", 4, 8).stepper(2, tokens=True).step(1)
    for rows in (1, [-1], [0.5], [[True]], "first"):
        with pytest.raises(UsageError, match="Rows are numbers from 0 to 0"):
            stepper.reset(rows)
    with pytest.raises(ShapeError, match="states of shape"):
        stepper.states = (np.zeros((2, 1, 8), np.float32),)
    with pytest.raises(ShapeError, match="features of shape"):
        Recurrent("gru", 4, 8).stepper().step(np.zeros((1, 5), np.float32))
    with pytest.raises(UsageError, match="Did you mean 'dt'"):
        Recurrent("cfc", 4, 8).stepper().step(np.zeros((1, 4)), dtt=1.0)
    with pytest.raises(ShapeError, match=r"'dt' of shape \(1,\)"):
        Recurrent("cfc", 4, 8).stepper().step(np.zeros((1, 4)), dt=[1.0, 2.0])
    with pytest.raises(UsageError, match="look ahead"):
        LSTM(4, 8, bidirectional=True).stepper()


compiled_only = pytest.mark.parametrize("tolerance", ["compiled"], indirect=True)


@compiled_only
@pytest.mark.parametrize("cell", ["lstm", "cfc"])
def test_nothing_is_allocated_in_a_step(cell):
    stepper = Recurrent(cell, 100, 100, 2).stepper(batch_size=20)
    steps = random_steps(stepper, 10)
    stepper.step(steps[0])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for x in steps:
            stepper.step(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < steps[0].nbytes / 4


@compiled_only
@pytest.mark.parametrize("cell", ["gru_reset_before", "cfc", "lru"])
def test_threads_that_share_the_units_meet_in_every_step(cell, monkeypatch):
    from ricorso.engine import compiled_step

    layer = Recurrent(cell, 4, 100)
    alone = layer.stepper(batch_size=2)
    monkeypatch.setattr(compiled_step, "SHARED_BYTES", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    together = layer.stepper(batch_size=2)
    (shared,) = together.stack.layers
    assert shared._sharing(2) == (2, 1)
    arrivals = []
    for x in random_steps(alone, 50):
        assert np.array_equal(together.step(x), alone.step(x))
        arrivals.append(max(block[compiled_step.ARRIVALS] for block in shared._steps))
    # had they gone on counting, threads would not have waited for one another
    assert set(arrivals) == {arrivals[0]}


@compiled_only
def test_packed_weights_begin_where_registers_do():
    from ricorso.engine.compiled_step import VECTOR_BYTES, _aligned

    for words in (1, 77, 1000):
        array = _aligned(words, np.dtype(np.float32))
        assert array.ctypes.data % VECTOR_BYTES == 0
        assert array.shape == (words,)
        assert not array.any()
