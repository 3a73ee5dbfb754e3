"""Layers from Keras and to it compute the same there and here, and weights come back as they were."""

import sys

import numpy as np
import pytest
import torch

from ricorso.equations import Cell, gates, relu, sigmoid, states, tanh
from ricorso.errors import DataError, ShapeError, UsageError
from ricorso.layers import LSTM, Recurrent
from ricorso.weights import Reversed, from_keras, to_keras, to_keras_weights
from ricorso.weights.keras_layer import FORMS

TIME, BATCH, FEATURES, HIDDEN = 7, 3, 5, 8
SHAPES = [(1, False), (2, False), (1, True), (2, True)]
# cell, layers, directions: the Elman cells differ in their activation only
CASES = [(cell, *shape) for cell in FORMS for shape in SHAPES if shape == (2, True) or not cell.startswith("elman_")]


def inputs(features=FEATURES):
    return torch.randn(BATCH, TIME, features, generator=torch.Generator().manual_seed(1))


def peers(keras, cell, layers=1, bidirectional=False, features=FEATURES, **options):
    """Keras layers for a cell, with random weights; they return every output and the last states."""
    made, random = [], np.random.default_rng(0)
    for number in range(layers):
        own = {**FORMS[cell].options, "return_sequences": True, "return_state": True, **options}
        layer = getattr(keras.layers, FORMS[cell].kind)(HIDDEN, **own)
        layer = keras.layers.Bidirectional(layer) if bidirectional else layer
        layer.build((None, None, HIDDEN * (2 if bidirectional else 1) if number else features))
        layer.set_weights([random.normal(size=w.shape, scale=0.4) for w in layer.weights])
        made.append(layer)
    return made


def arrays(peer):
    """What get_weights() gives, without the warning about NumPy that it raises with torch."""
    return [weight.value.detach().numpy() for weight in peer.weights]


def run(peers, x, starts=None):
    """Outputs and the states of all layers, each (layers * directions, batch, units), in Ricorso's order."""
    finals = []
    for number, peer in enumerate(peers):
        both = hasattr(peer, "forward_layer")
        count = 1 if "LSTM" not in type(peer.forward_layer if both else peer).__name__ else 2
        given = None
        if starts is not None:
            rows = range(2 * number, 2 * number + 2) if both else [number]
            given = [state[row] for row in rows for state in starts]
        with torch.no_grad():
            x, *last = peer(x, initial_state=given)
        finals += [last[n : n + count] for n in range(0, len(last), count)]
    return [x, *(torch.stack(rows) for rows in zip(*finals, strict=True))]


def results(layer, x, hx=None):
    with torch.no_grad():
        output, states = layer(x, hx)
    return [output, *(states if isinstance(states, tuple) else (states,))]


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), CASES)
def test_from_keras_computes_the_same(keras, same, cell, layers, bidirectional):
    theirs = peers(keras, cell, layers, bidirectional)
    layer = from_keras(theirs if layers > 1 else theirs[0])
    assert (layer.cell.name, layer.num_layers, layer.bidirectional) == (cell, layers, bidirectional)
    rows = layers * (2 if bidirectional else 1)
    starts = tuple(torch.randn(rows, BATCH, HIDDEN) for _ in layer.cell.states)
    wanted = run(theirs, inputs(), starts)
    same(results(layer, inputs(), starts if len(starts) > 1 else starts[0]), wanted)


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), CASES)
def test_weights_come_back_as_they_were(keras, cell, layers, bidirectional):
    theirs = [arrays(peer) for peer in peers(keras, cell, layers, bidirectional)]
    for wanted, found in zip(theirs, to_keras_weights(from_keras(theirs, cell)), strict=True):
        assert [array.dtype for array in found] == [array.dtype for array in wanted]
        assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), CASES)
def test_to_keras_computes_the_same(keras, same, random_layer, cell, layers, bidirectional):
    layer = random_layer(cell, FEATURES, HIDDEN, num_layers=layers, bidirectional=bidirectional, batch_first=True)
    x = inputs()
    with torch.no_grad():
        for peer in to_keras(layer):
            x = peer(x)
        same([x], [layer(inputs())[0]])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_layers_come_back_as_they_were_but_for_the_split_of_biases(random_layer, cell):
    layer = random_layer(cell, FEATURES, HIDDEN, num_layers=2, bidirectional=True)
    back = from_keras(to_keras_weights(layer), cell)
    for name, wanted in layer.state_dict().items():
        found = back.state_dict()[name]
        if cell == "lstm" and name.startswith("bias"):
            other = name.replace("_ih_", "_hh_") if "_ih_" in name else name.replace("_hh_", "_ih_")
            wanted = wanted + layer.state_dict()[other] if "_ih_" in name else torch.zeros_like(wanted)
        assert torch.equal(found, wanted), name


@pytest.mark.parametrize("cell", ["elman_tanh", "gru", "gru_reset_before", "lstm"])
def test_without_biases(keras, same, cell):
    theirs = peers(keras, cell, bidirectional=True, use_bias=False)
    layer = from_keras(theirs)
    assert not layer.bias
    same(results(layer, inputs()), run(theirs, inputs()))
    for wanted, found in zip(arrays(theirs[0]), to_keras_weights(layer)[0], strict=True):
        assert np.array_equal(wanted, found)


def test_biases_in_one_layer_of_two(keras, same):
    theirs = [*peers(keras, "gru", use_bias=False), *peers(keras, "gru", features=HIDDEN)]
    same(results(from_keras(theirs), inputs()), run(theirs, inputs()))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["gru_reset_before", "lstm"])
def test_go_backwards(keras, same, cell, bidirectional):
    if bidirectional:
        kind = getattr(keras.layers, FORMS[cell].kind)
        own = {**FORMS[cell].options, "return_sequences": True, "return_state": True}
        ahead, back = kind(HIDDEN, go_backwards=True, **own), kind(HIDDEN, **own)
        first = keras.layers.Bidirectional(ahead, backward_layer=back)
        first.build((None, None, FEATURES))
    else:
        (first,) = peers(keras, cell, go_backwards=True)
    theirs = [first, *peers(keras, cell, 1, bidirectional, features=HIDDEN * (1 + bidirectional))]
    layer = from_keras(theirs)
    assert isinstance(layer, Reversed)
    wanted = run(theirs, inputs())
    same(results(layer, inputs()), wanted)
    same(results(layer.layer, inputs().flip(1)), wanted)
    with torch.no_grad():
        same([keras.Sequential(to_keras(layer))(inputs())], wanted[:1])
        last = wanted[0][:, 0 if bidirectional else -1]
        halves = keras.Sequential(to_keras(layer, return_sequences=False))(inputs())
    if not bidirectional:
        same([halves], [last])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_mask_is_lengths(keras, same, bidirectional):
    (theirs,) = peers(keras, "lstm", 1, bidirectional)
    lengths = [7, 2, 4]
    mask = torch.arange(TIME) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        wanted, *last = theirs(inputs(), mask=mask)
        output, finals = from_keras(theirs)(inputs(), lengths=lengths)
    same([output], [wanted * mask[..., None]])
    same(finals, [torch.stack(last[n::2]) for n in range(2)])


def test_a_cell_inside_rnn(keras, same):
    layer = keras.layers.RNN(keras.layers.GRUCell(HIDDEN), return_sequences=True, return_state=True)
    layer.build((None, None, FEATURES))
    same(results(from_keras(layer), inputs()), run([layer], inputs()))


@pytest.mark.parametrize(("dtype", "here"), [("float16", torch.float16), ("float64", torch.float64)])
def test_precision_is_kept(keras, dtype, here):
    theirs = peers(keras, "lstm", dtype=dtype, recurrent_initializer="zeros")  # the usual one knows no float16
    layer = from_keras(theirs)
    assert {parameter.dtype for parameter in layer.parameters()} == {here}
    assert {array.dtype.name for array in to_keras_weights(layer)[0]} == {dtype}
    if dtype == "float16":
        return  # torch has no decomposition in it, which Keras starts a layer with
    (again,) = to_keras(layer)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(again), arrays(theirs[0]), strict=True))


def test_bfloat16_is_widened(random_layer):
    layer = random_layer("gru", FEATURES, HIDDEN).bfloat16()
    arrays = to_keras_weights(layer)
    assert arrays[0][0].dtype == np.float32
    narrow = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with Keras").bfloat16
    back = from_keras([array.astype(narrow) for array in arrays[0]], "gru")
    assert all(torch.equal(back.state_dict()[name], value.float()) for name, value in layer.state_dict().items())


def test_the_layer_is_trained_on(keras):
    layer = from_keras(peers(keras, "lstm"))
    layer(inputs())[0].sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


def test_the_random_state_stays_as_it_is():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    from_keras([np.ones((5, 8)), np.ones((8, 8))], "elman_tanh")
    assert torch.equal(torch.rand(2), wanted)


def test_arrays_need_no_keras(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    layer = from_keras([np.ones((5, 32)), np.ones((8, 32)), np.ones(32)], "lstm")
    assert to_keras_weights(layer)[0][2].sum() == 32
    with pytest.raises(UsageError, match="pip install keras"):
        to_keras(layer)


# --- what the catalogue has not


h, c = states("h c")
i, f, g, o = gates("i f g o")
RELU_LSTM = Cell(
    "relu_lstm",
    gates=(f, i, o, g),
    states=(h, c),
    update={c: sigmoid(f) * c + sigmoid(i) * relu(g), h: sigmoid(o) * relu(c.new)},
)


def test_other_activations_are_named(keras):
    (lstm,) = peers(keras, "lstm", activation="relu", recurrent_activation="hard_sigmoid")
    with pytest.raises(UsageError, match=r"activation=relu, recurrent_activation='hard_sigmoid'.* gates i f g o"):
        from_keras(lstm)
    (gru,) = peers(keras, "gru", recurrent_activation="tanh")
    with pytest.raises(UsageError, match=r"recurrent_activation=tanh.* gates z r n"):
        from_keras(gru)
    (rnn,) = peers(keras, "elman_tanh", activation="softsign")
    with pytest.raises(
        UsageError, match=r"a SimpleRNN with activation='softsign'.*elman_tanh, elman_relu, elman_sigmoid.*cells.elman"
    ):
        from_keras(rnn)


def test_a_function_of_the_same_name_is_not_taken_for_kerass(keras):
    def tanh(x):
        return x

    with pytest.raises(UsageError, match="activation='tanh'"):
        from_keras(peers(keras, "elman_tanh", activation=tanh))


def test_a_cell_of_ones_own(keras, same):
    theirs = peers(keras, "lstm", bidirectional=True, activation="relu")
    layer = from_keras(theirs, RELU_LSTM)
    assert layer.cell is RELU_LSTM
    same(results(layer, inputs()), run(theirs, inputs()))


def test_a_cell_with_the_equations_of_the_catalogue_is_known(same, random_layer):
    own = Cell(
        "mine",
        gates=(f, o, g, i),
        states=(h, c),
        update={c: sigmoid(f) * c + sigmoid(i) * tanh(g), h: sigmoid(o) * tanh(c.new)},
    )
    layer = random_layer(own, FEATURES, HIDDEN, batch_first=True)
    arrays = to_keras_weights(layer)
    same(results(from_keras(arrays, "lstm"), inputs()), results(layer, inputs()))
    assert all(
        np.array_equal(a, b) for a, b in zip(to_keras_weights(from_keras(arrays, own))[0], arrays[0], strict=True)
    )


def test_a_cell_that_differs_from_the_layer(keras):
    with pytest.raises(UsageError, match="cell is 'gru_reset_before', and these are the weights of 'gru'"):
        from_keras(peers(keras, "gru"), "gru_reset_before")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "mgu"}, "Keras has no cell with the equations of 'mgu'; it has elman_tanh"),
        ({"cell": "lstm", "layer_norm": True}, "no cell with the equations"),
        ({"cell": "lstm", "zoneout": 0.1}, r"Keras has no zoneout, and this layer has zoneout=\(0.1, 0.1\)"),
        ({"cell": "lstm", "proj_size": 3}, "Keras has no proj_size"),
        ({"cell": "gru", "heads": 2}, "Keras has no heads"),
        ({"cell": "gru", "learned_start": True}, "Keras has no learned_start"),
    ],
)
def test_what_keras_has_not(options, message):
    with pytest.raises(UsageError, match=message):
        to_keras_weights(Recurrent(input_size=FEATURES, hidden_size=HIDDEN, **options))


def test_outputs_in_the_order_of_time_are_not_keras():
    with pytest.raises(UsageError, match="time_order=False"):
        to_keras_weights(Reversed(LSTM(FEATURES, HIDDEN)))


def test_a_layer_of_torch_is_told_from_ours():
    with pytest.raises(UsageError, match=r"A LSTM of torch came .* load_state_dict"):
        to_keras_weights(torch.nn.LSTM(5, 8))


# --- wrong arguments


def test_models_and_other_layers(keras):
    with pytest.raises(UsageError, match="is a Dense; wanted a SimpleRNN, GRU or LSTM"):
        from_keras(keras.layers.Dense(3))
    recurrent = [keras.layers.LSTM(8, return_sequences=True, name="one"), keras.layers.LSTM(8, name="two")]
    model = keras.Sequential([keras.Input((None, 5)), *recurrent])
    with pytest.raises(UsageError, match="is a model: give one of its layers 'one', 'two', or a list"):
        from_keras(model)
    with pytest.raises(UsageError, match="is a model: give its layer 'one'"):
        from_keras(keras.Sequential([keras.Input((None, 5)), recurrent[0]]))
    with pytest.raises(UsageError, match="none of its layers"):
        from_keras(keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]))
    with pytest.raises(UsageError, match="runs a StackedRNNCells"):
        from_keras(keras.layers.RNN([keras.layers.LSTMCell(8)]))
    with pytest.raises(UsageError, match="has no weights yet"):
        from_keras(keras.layers.LSTM(8))


def test_an_own_layer_is_not_believed(keras):
    class Doubled(keras.layers.LSTM):
        def call(self, *arguments, **options):
            return 2 * super().call(*arguments, **options)

    with pytest.raises(UsageError, match=r"is a Doubled.*get_weights"):
        from_keras(Doubled(8))

    class Halves(keras.layers.Bidirectional):
        pass

    with pytest.raises(UsageError, match="is a Halves"):
        from_keras(Halves(keras.layers.LSTM(8)))


def test_stacks_that_are_none(keras):
    with pytest.raises(UsageError, match=r"is GRU .*reset_after=False and .* LSTM"):
        from_keras([*peers(keras, "lstm"), *peers(keras, "gru_reset_before", features=HIDDEN)])
    with pytest.raises(UsageError, match="go_backwards and reads the outputs of another"):
        from_keras([*peers(keras, "gru"), *peers(keras, "gru", features=HIDDEN, go_backwards=True)])
    with pytest.raises(UsageError, match="Layer 2 has 5 inputs and layer 1 gives 8"):
        from_keras([*peers(keras, "gru"), *peers(keras, "gru")])
    with pytest.raises(UsageError, match="Layer 2 has 2 directions"):
        from_keras([*peers(keras, "gru"), *peers(keras, "gru", 1, True, features=HIDDEN)])
    with pytest.raises(UsageError, match="Layer 2 has 4 units where layer 1 has 8"):
        from_keras([[np.ones((5, 8)), np.ones((8, 8))], [np.ones((8, 4)), np.ones((4, 4))]], "elman_tanh")


def test_directions_that_differ(keras):
    ahead, back = keras.layers.GRU(8), keras.layers.GRU(8, activation="relu", go_backwards=True)
    both = keras.layers.Bidirectional(ahead, backward_layer=back)
    both.build((None, None, 5))
    with pytest.raises(UsageError, match=r"directions of .* differ: .*activation=tanh.*activation=relu"):
        from_keras(both)
    summed = keras.layers.Bidirectional(ahead, merge_mode="sum")
    summed.build((None, None, 5))
    with pytest.raises(UsageError, match="merge_mode='sum'"):
        from_keras(summed)


ONES = [np.ones((5, 24)), np.ones((8, 24)), np.ones((2, 24))]


@pytest.mark.parametrize(
    ("arrays", "cell", "error", "message"),
    [
        (ONES, None, UsageError, "give `cell`"),
        (ONES, "grru", UsageError, "no cell 'grru'"),
        (ONES, "mgu", UsageError, "'mgu' has the gates"),
        (ONES, "lstm_peephole", UsageError, "3 parameters"),
        (ONES, "gru_reset_before", ShapeError, r"wanted \(24,\).*reset_after=True is 'gru'"),
        ([*ONES[:2], np.ones(24)], "gru", ShapeError, r"wanted \(2, 24\).*reset_after=False is 'gru_reset_before'"),
        (ONES, "lstm", ShapeError, r"recurrent kernel of layer 1 has shape \(8, 24\); wanted \(units, 4 \* units\)"),
        ([np.ones((5, 32)), *ONES[1:]], "gru", ShapeError, r"kernel of layer 1 has shape \(5, 32\)"),
        ([ONES[0].astype(int), *ONES[1:]], "gru", ShapeError, "holds int64; wanted float16"),
        ([ONES[0] * np.nan, *ONES[1:]], "gru", DataError, "kernel of layer 1 holds a number that is not finite"),
        (ONES[:1], "gru", UsageError, "There are 1 arrays for layer 1"),
        ([ONES, *ONES], "gru", UsageError, "mixes"),
        ([], "gru", UsageError, "an empty list"),
        (3, "gru", UsageError, "got int"),
    ],
)
def test_wrong_arrays(arrays, cell, error, message):
    with pytest.raises(error, match=message):
        from_keras(arrays, cell)
