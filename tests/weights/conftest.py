"""The packages whose weights are converted; tests are skipped where one is not there."""

import numpy as np
import pytest
import torch

from ricorso.layers import Recurrent
from ricorso.weights import OnnxWeights
from ricorso.weights.onnx_node import FORMS

FEATURES, HIDDEN = 5, 8


@pytest.fixture(scope="session")
def onnx():
    return pytest.importorskip("onnx", reason="ONNX comes with the extra `peers`")


@pytest.fixture(scope="session")
def runtime():
    return pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with the extra `peers`")


@pytest.fixture
def random_layer():
    """A function that makes a layer with random weights, biases included."""

    def make(cell, features, hidden, **options):
        layer = Recurrent(cell, features, hidden, **options)
        generator = torch.Generator().manual_seed(hidden)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        return layer

    return make


@pytest.fixture
def same():
    """A function that compares two lists of arrays to 1e-5."""

    def compare(found, wanted):
        for ours, theirs in zip(found, wanted, strict=True):
            one, other = (torch.as_tensor(value).detach().cpu().numpy() for value in (ours, theirs))
            assert one.shape == other.shape
            assert np.abs(one).max() > 0.01
            assert np.abs(one - other).max() < 1e-5

    return compare


@pytest.fixture
def random_nodes():
    """A function that makes ONNX nodes for a cell of 5 inputs and 8 units, a list from the bottom."""

    def make(cell, layers=1, bidirectional=False, bias=True, **attributes):
        form, random, directions = FORMS[cell], np.random.default_rng(0), 2 if bidirectional else 1
        rows, made = len(form.gates) * HIDDEN, []
        for number in range(layers):
            shapes = {"W": (rows, FEATURES if number == 0 else HIDDEN * directions), "R": (rows, HIDDEN)}
            shapes |= {"B": (2 * rows,)} if bias else {}
            shapes |= {"P": (3 * HIDDEN,)} if form.peepholes else {}
            arrays = {
                name: random.normal(size=(directions, *s), scale=0.4).astype(np.float32) for name, s in shapes.items()
            }
            own = dict(form.options)
            if "activations" in own:
                own["activations"] = own["activations"] * directions
            if bidirectional:
                own["direction"] = "bidirectional"
            made.append(OnnxWeights(form.kind, arrays, {"hidden_size": HIDDEN, **own, **attributes}))
        return made

    return make


@pytest.fixture
def model_of(onnx):
    """A function that makes a model of nodes that feed one another.

    X goes in; the outputs side by side and the last states of each node, Y_h_0 and so on, come out.
    """

    def make(nodes, starts=(), store="initializer"):
        helper, convert = onnx.helper, onnx.numpy_helper.from_array
        made, stored, outputs, x = [], [], [], "X"
        kind = helper.np_dtype_to_tensor_dtype(nodes[0].inputs["W"].dtype)
        for n, node in enumerate(nodes):
            names = [x]
            for role in ("W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"):
                if role in node.inputs:
                    tensor = convert(node.inputs[role], f"{role}_{n}")
                    if store == "Constant":
                        made.append(helper.make_node("Constant", [], [tensor.name], value=tensor))
                    else:
                        stored.append(tensor)
                    names.append(tensor.name)
                else:
                    names.append(role if role in starts else "")
            while not names[-1]:
                names.pop()
            own = [f"Y_{n}", f"Y_h_{n}", *([f"Y_c_{n}"] if node.operator == "LSTM" else [])]
            outputs += own[1:]
            made.append(helper.make_node(node.operator, names, own, name=f"recurrent_{n}", **node.attributes))
            made.append(helper.make_node("Transpose", [own[0]], [f"T_{n}"], perm=[0, 2, 1, 3]))
            made.append(helper.make_node("Reshape", [f"T_{n}", "shape"], [f"X_{n}"]))
            x = f"X_{n}"
        stored.append(convert(np.array([0, 0, -1]), "shape"))
        given = [helper.make_tensor_value_info(name, kind, None) for name in ("X", *starts)]
        last = [helper.make_tensor_value_info(name, kind, None) for name in (x, *outputs)]
        graph = helper.make_graph(made, "graph", given, last, stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)

    return make


@pytest.fixture
def equal_nodes():
    """A function that says whether two lists of nodes hold the same, bit by bit."""

    def compare(found, wanted):
        for one, other in zip(found, wanted, strict=True):
            assert (one.operator, dict(one.attributes)) == (other.operator, dict(other.attributes))
            assert list(one.inputs) == list(other.inputs)
            for name, array in other.inputs.items():
                assert one.inputs[name].dtype == array.dtype
                assert np.array_equal(one.inputs[name], array), name

    return compare
