"""What the guide shows runs, and its table is what the code has."""

import re
import runpy
import warnings
from pathlib import Path

import torch

from ricorso.cells import CATALOGUE
from ricorso.weights import keras_layer, onnx_node

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "weights-from-keras-and-onnx.md"


def test_what_is_shown_runs(keras, onnx, same, tmp_path, monkeypatch, capsys):
    shown = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "shown.py").write_text("\n".join(shown), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    tagger = torch.nn.LSTM(12, 100, 2, bidirectional=True).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter of torch, and what Keras does with NumPy
        torch.onnx.export(tagger, (torch.randn(20, 4, 12),), "tagger.onnx", dynamo=False, opset_version=17)
        left = runpy.run_path("shown.py")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Recurrent(gru, 12, 100, num_layers=2, batch_first=True, bidirectional=True)"
    assert float(printed[1]) < 1e-5
    x = torch.randn(4, 20, 12)
    with torch.no_grad():
        same([left["trained"].eval()(x)[0]], [left["there"](x)])
        same([left["tagger"](x)[0]], [tagger(x)[0]])
        same([left["layer"](x)[0][:, -1]], [left["theirs"](x)])
    assert [node.op_type for node in left["nodes"]] == ["LSTM", "LSTM"]
    assert len(left["stored"]) == 6


def said(form):
    options = [f", {name}={value[0] if isinstance(value, list) else value}" for name, value in form.options.items()]
    usual = "".join(options).replace(", activation=tanh", "") + (" with P" if form.peepholes else "")
    return f"{form.kind}{usual}: {' '.join(form.gates)}"


def test_the_table_is_what_the_code_has():
    wanted = []
    for name, form in onnx_node.FORMS.items():
        own = " ".join(gate.name for gate in CATALOGUE[name].gates)
        there = said(keras_layer.FORMS[name]) if name in keras_layer.FORMS else ""
        wanted.append(f"| `{name}` | {own} | {there} | {said(form)} |".replace("|  |", "| |"))
    assert [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")] == wanted
    assert set(keras_layer.FORMS) <= set(onnx_node.FORMS)
