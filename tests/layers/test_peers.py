"""Cells that peers have too give the same results there: outputs and final states, in both directions."""

import pytest
import torch

from ricorso.layers import Recurrent

TIME, BATCH, FEATURES, HIDDEN = 7, 3, 4, 8


def random_layer(cell):
    torch.manual_seed(0)
    layer = Recurrent(cell, FEATURES, HIDDEN, bidirectional=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.4)
    return layer


def problem(layer):
    """Inputs (time, batch, features) and initial states, each (2, batch, hidden)."""
    return torch.randn(TIME, BATCH, FEATURES), tuple(torch.randn(2, BATCH, HIDDEN) for _ in layer.cell.states)


def rows(layer, name, order):
    """The gates of a parameter one below the other, in a peer's order."""
    names = [gate.name for gate in layer.cell.gates]
    parts = dict(zip(names, layer.get_parameter(name).detach().chunk(len(names)), strict=True))
    return torch.cat([parts[gate] for gate in order.split()])


def assert_same(layer, peer):
    """peer: from inputs and initial states to outputs (time, batch, 2 * hidden) and a list of final states."""
    x, states = problem(layer)
    with torch.no_grad():
        output, finals = layer(x, states if len(states) > 1 else states[0])
    finals = finals if isinstance(finals, tuple) else (finals,)
    found, of_found = peer(x, states)
    for theirs, ours in zip((found, *of_found), (output, *finals), strict=True):
        assert theirs.shape == ours.shape
        assert (theirs - ours).abs().max() < 1e-5


# cell, Keras' layer, its options, its order of gates, whether its biases of inputs and products are two
KERAS = [
    ("elman_tanh", "SimpleRNN", {}, "p", False),
    ("elman_relu", "SimpleRNN", {"activation": "relu"}, "p", False),
    ("gru", "GRU", {"reset_after": True}, "z r n", True),
    ("gru_reset_before", "GRU", {"reset_after": False}, "z r n", False),
    ("lstm", "LSTM", {}, "i f g o", False),
]


@pytest.mark.parametrize(("cell", "name", "options", "order", "two"), KERAS, ids=[row[0] for row in KERAS])
def test_equals_keras(keras, cell, name, options, order, two):
    layer = random_layer(cell)

    def one_way(x, states, end):
        own = {**options, "return_sequences": True, "return_state": True, "go_backwards": end != "l0"}
        peer = getattr(keras.layers, name)(HIDDEN, **own)
        peer.build((None, None, FEATURES))
        weight_ih, weight_hh = (rows(layer, f"{which}_{end}", order).T for which in ("weight_ih", "weight_hh"))
        biases = torch.stack([rows(layer, f"{which}_{end}", order) for which in ("bias_ih", "bias_hh")])
        peer.set_weights([w.numpy() for w in (weight_ih, weight_hh, biases if two else biases.sum(0))])
        output, *finals = peer(x.transpose(0, 1), initial_state=list(states))
        output = output.transpose(0, 1)
        return (output.flip(0) if end != "l0" else output), finals

    def both_ways(x, states):
        ways = [one_way(x, [s[n] for s in states], end) for n, end in enumerate(("l0", "l0_reverse"))]
        outputs, finals = zip(*ways, strict=True)
        return torch.cat(outputs, 2), [torch.stack(pair) for pair in zip(*finals, strict=True)]

    with torch.no_grad(), keras.device("cpu"):
        assert_same(layer, both_ways)


# cell, ONNX' operator, its attributes, its order of gates and of peepholes
ONNX = [
    ("elman_tanh", "RNN", {}, "p", ""),
    ("elman_relu", "RNN", {"activations": ["Relu"] * 2}, "p", ""),
    ("elman_sigmoid", "RNN", {"activations": ["Sigmoid"] * 2}, "p", ""),
    ("gru", "GRU", {"linear_before_reset": 1}, "z r n", ""),
    ("gru_reset_before", "GRU", {"linear_before_reset": 0}, "z r n", ""),
    ("lstm", "LSTM", {}, "i o f g", ""),
    ("lstm_peephole", "LSTM", {}, "i o f g", "i o f"),
]


@pytest.mark.parametrize(("cell", "operator", "attributes", "order", "peepholes"), ONNX, ids=[row[0] for row in ONNX])
def test_equals_onnx_runtime(cell, operator, attributes, order, peepholes):
    onnx = pytest.importorskip("onnx", reason="ONNX comes with the extra `peers`")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with the extra `peers`")
    layer = random_layer(cell)
    ends = ("l0", "l0_reverse")

    def stacked(*names):
        return torch.stack([torch.cat([rows(layer, f"{name}_{end}", order) for name in names]) for end in ends])

    def run(x, states):
        fed = {"X": x, "W": stacked("weight_ih"), "R": stacked("weight_hh"), "B": stacked("bias_ih", "bias_hh")}
        fed |= {f"initial_{state.name}": value for state, value in zip(layer.cell.states, states, strict=True)}
        if peepholes:
            own = [[layer.get_parameter(f"w_{gate}_{end}") for gate in peepholes.split()] for end in ends]
            fed["P"] = torch.stack([torch.cat(parts) for parts in own]).detach()
        # The lengths of the sequences, between biases and states, are left out.
        names = ["" if name == "lengths" else name for name in (*list(fed)[:4], "lengths", *list(fed)[4:])]
        results = ["Y", *(f"Y_{state.name}" for state in layer.cell.states)]
        helper, single = onnx.helper, onnx.TensorProto.FLOAT
        node = helper.make_node(operator, names, results, hidden_size=HIDDEN, direction="bidirectional", **attributes)
        graph = helper.make_graph(
            [node],
            cell,
            [helper.make_tensor_value_info(name, single, list(value.shape)) for name, value in fed.items()],
            [helper.make_tensor_value_info(name, single, None) for name in results],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        output, *finals = session.run(None, {name: value.numpy() for name, value in fed.items()})
        return torch.from_numpy(output).transpose(1, 2).flatten(2), [torch.from_numpy(final) for final in finals]

    assert_same(layer, run)
