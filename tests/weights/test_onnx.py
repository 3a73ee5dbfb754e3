"""Layers from ONNX nodes and to them compute what ONNX Runtime does, and weights come back as they were."""

import io
import warnings

import numpy as np
import pytest
import torch

from ricorso.equations import Cell, gates, relu, sigmoid, states
from ricorso.errors import DataError, ShapeError, UsageError
from ricorso.layers import GRU, LSTM, Recurrent
from ricorso.weights import OnnxWeights, Reversed, from_onnx, to_onnx_weights
from ricorso.weights.onnx_node import FORMS

TIME, BATCH, FEATURES, HIDDEN = 7, 3, 5, 8
SHAPES = [(1, False), (2, False), (1, True), (2, True)]
CASES = [(cell, *shape) for cell in FORMS for shape in SHAPES if shape == (2, True) or not cell.startswith("elman_")]


def run(runtime, model, x, **starts):
    """Outputs and states of all layers, each (layers * directions, batch, units)."""
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"X": x, **starts}), strict=True))
    kinds = [kind for kind in ("Y_h", "Y_c") if f"{kind}_0" in found]
    return [found[names[0]], *(np.concatenate([found[n] for n in names if n.startswith(kind)]) for kind in kinds)]


def inputs(dtype=torch.float32):
    return torch.randn(TIME, BATCH, FEATURES, generator=torch.Generator().manual_seed(1)).to(dtype)


def results(layer, x, hx=None):
    with torch.no_grad():
        output, states = layer(x, hx)
    return [output, *(states if isinstance(states, tuple) else (states,))]


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), CASES)
def test_from_onnx_computes_the_same(runtime, same, cell, layers, bidirectional, random_nodes, model_of, equal_nodes):
    nodes = random_nodes(cell, layers, bidirectional)
    model = model_of(nodes)
    layer = from_onnx(model, [f"recurrent_{n}" for n in range(layers)])
    assert (layer.cell.name, layer.num_layers, layer.bidirectional) == (cell, layers, bidirectional)
    same(results(layer, inputs()), run(runtime, model, inputs().numpy()))
    equal_nodes(to_onnx_weights(layer), nodes)


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), CASES)
def test_to_onnx_computes_the_same(runtime, same, random_layer, cell, layers, bidirectional, model_of):
    layer = random_layer(cell, FEATURES, HIDDEN, num_layers=layers, bidirectional=bidirectional)
    nodes = to_onnx_weights(layer)
    same(run(runtime, model_of(nodes), inputs().numpy()), results(layer, inputs()))
    back = from_onnx(nodes).state_dict()
    assert all(torch.equal(back[name], value) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("cell", ["elman_relu", "gru", "lstm_peephole"])
def test_from_given_states_and_without_biases(runtime, same, cell, random_nodes, model_of):
    model = model_of(random_nodes(cell, 1, True, bias=False), ["initial_h", *(["initial_c"] * ("lstm" in cell))])
    layer = from_onnx(model)
    assert not layer.bias
    hx = tuple(torch.randn(2, BATCH, HIDDEN) for _ in layer.cell.states)
    named = {f"initial_{state.name}": value.numpy() for state, value in zip(layer.cell.states, hx, strict=True)}
    same(results(layer, inputs(), hx if len(hx) > 1 else hx[0]), run(runtime, model, inputs().numpy(), **named))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["elman_tanh", "lstm"])
def test_reverse(runtime, same, cell, layers, random_nodes, model_of, equal_nodes):
    nodes = random_nodes(cell, layers, direction="reverse")
    model = model_of(nodes)
    layer = from_onnx(model, [f"recurrent_{n}" for n in range(layers)])
    assert isinstance(layer, Reversed)
    same(results(layer, inputs()), run(runtime, model, inputs().numpy()))
    equal_nodes(to_onnx_weights(layer), nodes)


def test_layout_with_the_batch_first(same, random_nodes):
    (plain,), (first,) = random_nodes("gru"), random_nodes("gru", layout=1)
    layer = from_onnx(first)
    assert layer.batch_first
    output, last = results(from_onnx(plain), inputs())
    same(results(layer, inputs().transpose(0, 1)), [output.transpose(0, 1), last])


@pytest.mark.parametrize("module", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_a_file_that_torch_wrote(onnx, same, module):
    layer = module(FEATURES, HIDDEN, 2, bidirectional=True).eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without onnxscript is the older one, and says so
        torch.onnx.export(layer, (inputs(),), file, dynamo=False, opset_version=17)
    name = module.__name__
    found = from_onnx(file.getvalue(), [f"/{name}", f"/{name}_1"])
    assert list(found.state_dict()) == list(layer.state_dict())
    assert all(torch.equal(value, layer.state_dict()[key]) for key, value in found.state_dict().items())


# --- what the catalogue has not


h, c = states("h c")
i, f, g, o = gates("i f g o")
RELU_LSTM = Cell(
    "relu_lstm",
    gates=(f, i, o, g),
    states=(h, c),
    update={c: sigmoid(f) * c + sigmoid(i) * relu(g), h: sigmoid(o) * relu(c.new)},
)


def test_other_activations_and_a_cell_of_ones_own(runtime, same, random_nodes, model_of):
    nodes = random_nodes("lstm", 1, True, activations=["Sigmoid", "Relu", "Relu"] * 2)
    model = model_of(nodes)
    with pytest.raises(UsageError, match=r"a LSTM with Sigmoid, Relu, Relu; .* gates i o f g, and give that as `cell`"):
        from_onnx(model)
    same(results(from_onnx(model, cell=RELU_LSTM), inputs()), run(runtime, model, inputs().numpy()))
    with pytest.raises(UsageError, match="'mgu' does not fit"):
        from_onnx(model, cell="mgu")
    with pytest.raises(UsageError, match=r"a RNN with Softsign.*elman_tanh, elman_relu"):
        from_onnx(random_nodes("elman_tanh", activations=["Softsign"]))
    with pytest.raises(UsageError, match="cell is 'gru', and these are the weights of 'lstm'"):
        from_onnx(random_nodes("lstm"), cell="gru")


@pytest.mark.parametrize(
    ("cell", "attributes", "error", "message"),
    [
        ("gru", {"clip": 3.0}, UsageError, "clips at 3"),
        ("lstm", {"input_forget": 1}, UsageError, "lstm_coupled"),
        ("lstm", {"direction": "sideways"}, DataError, "direction='sideways'; ONNX allows forward"),
        ("lstm", {"direction": "bidirectional"}, DataError, r"W of 'node' has shape \(1, 32, 5\); wanted \(2, 32, 5\)"),
        ("lstm", {"hidden_size": 4}, DataError, r"W of 'node' has shape .* and 4 units"),
        ("lstm", {"hidden_size": 0}, DataError, "hidden_size=0"),
        ("lstm", {"activations": ["Tanh"]}, DataError, "1 activations; a LSTM has 3"),
        ("gru", {"linear_before_reset": 2}, DataError, "linear_before_reset=2"),
        ("gru", {"speed": 2}, DataError, "attribute speed"),
    ],
)
def test_attributes_that_cannot_be(cell, attributes, error, message, random_nodes):
    with pytest.raises(error, match=message):
        from_onnx(random_nodes(cell, **attributes))


def test_directions_that_differ(random_nodes):
    with pytest.raises(UsageError, match=r"directions of 'node' have different activations: Tanh, Relu"):
        from_onnx(random_nodes("elman_tanh", 1, True, activations=["Tanh", "Relu"]))


def test_activations_in_any_case_and_default_size(random_nodes):
    (node,) = random_nodes("elman_relu", activations=["RELU"])
    assert from_onnx(OnnxWeights("RNN", node.inputs, {"activations": ["RELU"]})).cell.name == "elman_relu"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Recurrent("mgu", 5, 8), "ONNX has no cell with the equations of 'mgu'"),
        (Recurrent("gru", 5, 8, zoneout=0.1), "ONNX has no zoneout"),
        (LSTM(5, 8, proj_size=3), "ONNX has no proj_size"),
        (Reversed(LSTM(5, 8), time_order=False), "in the order of time only"),
        (Reversed(LSTM(5, 8, bidirectional=True)), "one direction"),
        (torch.nn.GRU(5, 8), "A GRU of torch came"),
    ],
)
def test_what_onnx_has_not(layer, message):
    with pytest.raises(UsageError, match=message):
        to_onnx_weights(layer)


def test_bfloat16_is_widened():
    (node,) = to_onnx_weights(GRU(5, 8).bfloat16())
    assert {array.dtype for array in node.inputs.values()} == {np.dtype(np.float32)}


def test_wrong_element_types_of_given_arrays(random_nodes):
    (node,) = random_nodes("gru")
    with pytest.raises(ShapeError, match="W of 'node' holds int64"):
        from_onnx(OnnxWeights("GRU", {**node.inputs, "W": node.inputs["W"].astype(int)}, node.attributes))
    with pytest.raises(DataError, match="is a LTSM; wanted RNN, GRU, LSTM"):
        from_onnx(OnnxWeights("LTSM", node.inputs))
