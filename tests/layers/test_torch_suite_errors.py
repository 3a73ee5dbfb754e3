"""What torch's own tests expect its recurrent layers and their single steps to refuse is refused here too."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ricorso import layers
from ricorso.errors import ShapeError, UsageError

KINDS = {
    "LSTM": ("LSTM", {}),
    "projected LSTM": ("LSTM", {"proj_size": 3}),
    "GRU": ("GRU", {}),
    "RNN": ("RNN", {}),
    "LSTMCell": ("LSTMCell", {}),
    "GRUCell": ("GRUCell", {}),
    "RNNCell": ("RNNCell", {}),
}
EVERY = pytest.mark.parametrize("kind", KINDS)
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, IndexError)


def make(package, kind, *sizes):
    name, extra = KINDS[kind]
    return getattr(package, name)(*sizes, **extra)


def example(kind, batch=(2,)):
    """An input and states for 3 features and 8 units."""
    time, ends = ((), ()) if "Cell" in kind else ((4,), (1,))
    sizes = [3 if "projected" in kind else 8, *([8] if "LSTM" in kind else [])]
    return torch.zeros(*time, *batch, 3), [torch.zeros(*ends, *batch, size) for size in sizes]


def assert_both_refuse(kind, x, states):
    hx = states[0] if len(states) == 1 else tuple(states)
    with pytest.raises(ShapeError):
        make(layers, kind, 3, 8)(x, hx)
    with pytest.raises(REFUSALS):
        make(nn, kind, 3, 8)(x, hx)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(KINDS)), st.integers(0, 1), st.integers(0, 2), st.sampled_from([-1, 1, 3]), st.booleans())
def test_states_of_any_other_size_are_refused_as_in_torch(kind, which, dimension, more, batched):
    x, states = example(kind, batch=(2,) if batched else ())
    which %= len(states)
    shape = list(states[which].shape)
    shape[dimension % len(shape)] += more
    states[which] = torch.zeros(shape)
    assert_both_refuse(kind, x, states)


MISFITS = {
    "too few features": lambda x, states: (x[..., :2], states),
    "too many features": lambda x, states: (torch.cat([x, x], -1), states),
    "two more dimensions": lambda x, states: (x.expand(1, 1, *x.shape), states),
    "one number": lambda x, states: (x.flatten()[0], states),
    "states without batch": lambda x, states: (x, [state.select(-2, 0) for state in states]),
    "input without batch": lambda x, states: (x.select(-2, 0), states),
    "states with one more dimension": lambda x, states: (x, [state.unsqueeze(1) for state in states]),
    "states to be broadcast": lambda x, states: (x, [state[..., :1, :] for state in states]),
    "input to be broadcast": lambda x, states: (x[..., :1, :], states),
    "wider input": lambda x, states: (x.double(), states),
    "wider input and states": lambda x, states: (x.double(), [state.double() for state in states]),
    "wider states": lambda x, states: (x, [state.double() for state in states]),
    "half precision": lambda x, states: (x.half(), states),
    "complex numbers": lambda x, states: (x + 0j, states),
    "whole numbers": lambda x, states: (x.long(), states),
    "booleans": lambda x, states: (x > 0, states),
    "twice as many states": lambda x, states: (x, states * 2),
}


@pytest.mark.parametrize("misfit", MISFITS)
@EVERY
def test_inputs_and_states_that_do_not_fit_are_refused_as_in_torch(kind, misfit):
    assert_both_refuse(kind, *MISFITS[misfit](*example(kind)))


@pytest.mark.parametrize("sizes", [(3, -1), (3, 8.0), (3, "8"), (-1, 8), (3.0, 8), ("3", 8)], ids=str)
@EVERY
def test_sizes_that_make_no_layer_are_refused_as_in_torch(kind, sizes):
    with pytest.raises(UsageError, match="whole number"):
        make(layers, kind, *sizes)
    with pytest.raises(REFUSALS):
        make(nn, kind, *sizes)


@pytest.mark.parametrize("sizes", [(3, 0), (0, 8)], ids=str)
@EVERY
def test_layers_of_nothing_are_refused_which_torch_does_for_sequences_only(kind, sizes):
    with pytest.raises(UsageError, match="at least 1, not 0"):
        make(layers, kind, *sizes)


@pytest.mark.parametrize(
    "options",
    [{"num_layers": 0}, {"num_layers": -1}, {"bias": 1}, {"bias": "True"}, {"batch_first": 0}, {"batch_first": "False"}]
    + [{"dropout": rate, "num_layers": 2} for rate in (-0.1, 1.1, True, "0.5")],
    ids=str,
)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_options_that_mean_nothing_are_refused_as_in_torch(name, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        getattr(layers, name)(3, 8, **options)
    with pytest.raises(REFUSALS):
        getattr(nn, name)(3, 8, **options)


@pytest.mark.parametrize(
    ("name", "options", "refusal"),
    [
        ("GRU", {"proj_size": 2}, TypeError),
        ("RNN", {"proj_size": 2}, TypeError),
        ("LSTM", {"proj_size": 8}, UsageError),
        ("LSTM", {"proj_size": -1}, UsageError),
        ("RNN", {"nonlinearity": "garbage"}, UsageError),
    ],
)
def test_projections_and_nonlinearities_are_refused_as_in_torch(name, options, refusal):
    for package, error in ((layers, refusal), (nn, ValueError)):
        with pytest.raises(error, match=next(iter(options))):
            getattr(package, name)(3, 8, **options)
