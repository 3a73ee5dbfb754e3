"""Reading ONNX files: where arrays lie, which node is meant, and files that are damaged."""

import sys
import warnings

import numpy as np
import pytest

from ricorso.errors import DataError, UsageError
from ricorso.weights import from_onnx, to_onnx_weights

# --- where arrays lie


@pytest.fixture
def nodes(random_nodes):
    return random_nodes("lstm_peephole", 1, True)


def test_bytes_file_and_constants(onnx, nodes, tmp_path, model_of, equal_nodes):
    model = model_of(nodes)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    for source in (model, model.SerializeToString(), path, str(path), model_of(nodes, store="Constant")):
        equal_nodes(to_onnx_weights(from_onnx(source)), nodes)


def test_arrays_in_a_file_beside(onnx, nodes, tmp_path, model_of, equal_nodes):
    path = tmp_path / "model.onnx"
    onnx.save(model_of(nodes), path, save_as_external_data=True, location="arrays.bin", size_threshold=0)
    equal_nodes(to_onnx_weights(from_onnx(path)), nodes)
    with pytest.raises(DataError, match="give the path of the model"):
        from_onnx(path.read_bytes())
    arrays = tmp_path / "arrays.bin"
    arrays.write_bytes(arrays.read_bytes()[:-5000])
    with pytest.raises(
        DataError, match=r"[WRBP] of 'recurrent_0' in '.*model.onnx' lies in 'arrays.bin', which is too short"
    ):
        from_onnx(path)
    arrays.unlink()
    with pytest.raises(DataError, match="which is no file in the folder"):
        from_onnx(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("location", "../arrays.bin", "no file in the folder"),
        ("location", "/etc/hostname", "no file in the folder"),
        ("location", "", "no file in the folder"),
        ("location", "a\0b", "cannot be read"),
        ("offset", "-1", "offset '-1'"),
        ("offset", "9" * 40, "offset '9"),
        ("offset", "99999999", "too short"),
        ("length", "12", "names 12 in"),
    ],
)
def test_a_file_beside_is_only_looked_for_in_the_folder(onnx, nodes, tmp_path, key, value, message, model_of):
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "model.onnx"
    onnx.save(model_of(nodes), path, save_as_external_data=True, location="arrays.bin", size_threshold=0)
    (tmp_path / "arrays.bin").write_bytes((inner / "arrays.bin").read_bytes())
    model = onnx.load(path, load_external_data=False)
    (entry,) = (entry for entry in model.graph.initializer[0].external_data if entry.key == key)
    entry.value = value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match=message):
        from_onnx(path)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE"])
def test_every_float_type(onnx, kind, raw, random_nodes, model_of):
    nodes = random_nodes("gru")
    model = model_of(nodes)
    number = getattr(onnx.TensorProto, kind)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(number)
    wanted = {}
    for tensor in model.graph.initializer:
        if tensor.name != "shape":
            array = onnx.numpy_helper.to_array(tensor).astype(dtype)
            wanted[tensor.name[0]] = array.astype(np.float32) if kind == "BFLOAT16" else array
            values = array.tobytes() if raw else array.ravel().tolist()
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, number, array.shape, values, raw=raw))
    (found,) = to_onnx_weights(from_onnx(model))
    for name, array in wanted.items():
        assert found.inputs[name].dtype == array.dtype
        assert np.array_equal(found.inputs[name], array)


def test_a_stored_first_state_is_warned_about(onnx, random_nodes, model_of):
    model = model_of(random_nodes("gru"), ["initial_h"])
    start = np.zeros((1, 3, 8), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(start, "initial_h"))
    from_onnx(model)
    model.graph.initializer[-1].CopyFrom(onnx.numpy_helper.from_array(start + 1, "initial_h"))
    with pytest.warns(
        UserWarning, match=r"'recurrent_0' in the model starts from values stored as 'initial_h'"
    ) as found:
        from_onnx(model)
    assert found[0].filename == __file__


# --- which node


def test_several_nodes(random_nodes, model_of, equal_nodes):
    nodes = random_nodes("gru", 2)
    model = model_of(nodes)
    with pytest.raises(UsageError, match=r"has 2 recurrent nodes: 'recurrent_0' \(GRU\), 'recurrent_1' \(GRU\)\. Say"):
        from_onnx(model)
    with pytest.raises(UsageError, match=r"no recurrent node 'recurrent_2'\. Did you mean 'recurrent_1'"):
        from_onnx(model, "recurrent_2")
    with pytest.raises(UsageError, match="empty list"):
        from_onnx(model, [])
    equal_nodes(to_onnx_weights(from_onnx(model, "recurrent_1")), nodes[1:])
    equal_nodes(to_onnx_weights(from_onnx(model, "Y_h_0")), nodes[:1])
    for node in model.graph.node:
        node.name = "twice" if node.op_type == "GRU" else ""
    with pytest.raises(UsageError, match="2 nodes of the model are called 'twice'; say an output: 'Y_0', 'Y_1'"):
        from_onnx(model, "twice")
    for node in model.graph.node:
        node.name = ""
    equal_nodes(to_onnx_weights(from_onnx(model, ["Y_0", "Y_1"])), nodes)


def test_nodes_that_make_no_stack(random_nodes):
    (gru,), (lstm,), (peephole,) = (random_nodes(cell) for cell in ("gru", "lstm", "lstm_peephole"))
    with pytest.raises(UsageError, match=r"is a LSTM and .* a GRU"):
        from_onnx([gru, lstm])
    with pytest.raises(UsageError, match="has peepholes"):
        from_onnx([lstm, peephole])
    with pytest.raises(UsageError, match="linear_before_reset=0 and"):
        from_onnx([gru, *random_nodes("gru_reset_before")])
    with pytest.raises(UsageError, match="direction='reverse' and"):
        from_onnx([gru, *random_nodes("gru", direction="reverse")])
    with pytest.raises(UsageError, match="Layer 2 has 5 inputs and layer 1 gives 8"):
        from_onnx([gru, gru])
    with pytest.raises(UsageError, match="leave it out"):
        from_onnx([gru], "recurrent_0")
    with pytest.raises(UsageError, match="holds something else"):
        from_onnx([3])


# --- files that are no models, or damaged ones


def test_no_models(tmp_path):
    pytest.importorskip("onnx", reason="ONNX comes with the extra `peers`")
    (tmp_path / "text.onnx").write_text("once upon a time", encoding="utf-8")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(DataError, match=r"text.onnx' is no ONNX model, or is damaged"):
        from_onnx(tmp_path / "text.onnx")
    with pytest.raises(DataError, match=r"empty.onnx' is no ONNX model with operators"):
        from_onnx(tmp_path / "empty.onnx")
    with pytest.raises(DataError, match="There is no file"):
        from_onnx(tmp_path / "none.onnx")
    with pytest.raises(DataError, match="There is no file"):
        from_onnx(tmp_path)
    with pytest.raises(UsageError, match="got int"):
        from_onnx(3)


def test_arrays_need_no_package_and_files_do(monkeypatch, random_nodes, equal_nodes):
    monkeypatch.setitem(sys.modules, "onnx", None)
    equal_nodes(to_onnx_weights(from_onnx(random_nodes("gru"))), random_nodes("gru"))
    with pytest.raises(UsageError, match="needs the package `onnx`: pip install onnx"):
        from_onnx("model.onnx")


def test_a_huge_file_is_not_read(tmp_path):
    pytest.importorskip("onnx", reason="ONNX comes with the extra `peers`")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(2**31)  # takes no room on the disk
    with pytest.raises(DataError, match="2,147,483,648 bytes, more than an ONNX file can hold"):
        from_onnx(tmp_path / "huge.onnx")


def damaged(model, name):
    """The model with one thing changed, and what is said about it."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next(node for node in model.graph.node if node.op_type == "LSTM")
    attributes = {attribute.name: attribute for attribute in node.attribute}
    w, r = arrays["W_0"], arrays["R_0"]
    if name == "shape":
        w.dims[2] = 1 << 60
        return r"W of 'recurrent_0' in the model has shape \(2, 32, 1152921504606846976\) and 320 numbers"
    if name == "negative":
        w.dims[0] = -2
        return "has shape .-2, 32, 5.; the file is damaged"
    if name == "short":
        r.raw_data = r.raw_data[:-4]
        return r"R of .* has shape \(2, 32, 8\) and 511 numbers"
    if name == "integers":
        r.data_type = 6
        return "R of .* is stored as INT32; wanted float16"
    if name == "no such type":
        r.data_type = 999
        return "stored as an unknown type"
    if name == "not finite":
        r.raw_data = b"\xff" * len(r.raw_data)
        return "R of .* holds a number that is not finite"
    if name == "gone":
        w.name = "V"
        return r"W of .* \('W_0'\) is not among the arrays"
    if name == "no name":
        node.input[2] = ""
        return "'recurrent_0' in the model has no R"
    if name == "given":
        w.name = "V"
        model.graph.input.add().name = "W_0"
        return "is an input of the model and not stored"
    if name == "computed":
        w.name = "V"
        model.graph.node.add(op_type="Unsqueeze", output=["W_0"])
        return "is not stored but computed by a Unsqueeze. Fold the constants"
    if name == "attribute":
        attributes["hidden_size"].type = 3
        return "attribute 'hidden_size' with a type or name"
    if name == "unknown attribute":
        attributes["hidden_size"].name = "size"
        return "attribute size"
    if name == "transposed":
        w.dims[1], w.dims[2] = 5, 32
        return r"W of .* has shape \(2, 5, 32\); wanted \(2, 32, 32\)"
    if name == "flat":
        w.dims[:] = [320]
        return r"W of .* has shape \(320,\); wanted"
    if name == "old":
        model.opset_import[0].version = 6
        return "operator set 6, and those from 7 on are read"
    if name == "another domain":
        node.domain = "com.microsoft"
        return "has no RNN, GRU, LSTM node"
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "shape", "negative", "short", "integers", "no such type", "not finite", "gone", "no name", "given", "computed",
        "attribute", "unknown attribute", "transposed", "flat", "old", "another domain",
    ],
)  # fmt: skip
def test_damaged_models(nodes, name, model_of):
    model = model_of(nodes)
    message = damaged(model, name)
    with pytest.raises(DataError, match=message):
        from_onnx(model.SerializeToString())


def test_random_damage_ends_in_an_error_of_ours_or_in_a_layer(random_nodes, model_of):
    """Bytes of the structure and of the arrays, cut files among them."""
    content = model_of(random_nodes("lstm_peephole", bias=False)).SerializeToString()
    random, ends = np.random.default_rng(0), {"layer": 0, "error": 0}
    for trial in range(400):
        damaged = bytearray(content[: random.integers(len(content))] if trial % 8 == 0 else content)
        for _ in range(random.integers(1, 4)):
            if damaged:
                # half of the damage next to the ends, where names and shapes are
                near = random.integers(min(len(damaged), 200)) * random.choice([-1, 1])
                place = near if random.random() < 0.5 else random.integers(len(damaged))
                damaged[place] = random.integers(256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from_onnx(bytes(damaged))
            ends["layer"] += 1
        except (DataError, UsageError):
            ends["error"] += 1
    assert min(ends.values()) > 20
