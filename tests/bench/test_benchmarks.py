"""The benchmarks that stand on this room run, and their results make a page."""

import importlib
import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "layer_speed": {"GRID": [(8, 1), (8, 3)], "STEPS": 5},
    "layer_speed_stacks": {"OF_STACKS": [(8, 1), (8, 3)], "STEPS": 5},
    "inference": {"GRID": [(8, 1), (8, 3)], "STEPS": 5},
    "streaming": {"SIZES": (8,), "STREAMS": 3},
    "ragged": {"GRID": [(8, 8, 3)], "IN_MEMORY": [(8, 8, 3)]},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a benchmark on small sizes and return its result; results lie in an own folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(importlib.import_module("measurement"), "RESULTS", tmp_path)

    def run(name, *arguments):
        file = name.removesuffix("_stacks")
        monkeypatch.setattr(sys, "argv", [file, "--seconds", "0.01", *arguments])
        module = importlib.import_module(file)
        for constant, value in FILES[name].items():
            monkeypatch.setattr(module, constant, value)
        monkeypatch.setattr(module, "product_rate", lambda: 1e12, raising=False)
        if file == "ragged":
            monkeypatch.setattr(module, "in_a_process_of_its_own", lambda *_: 2**20)
        module.main()
        return json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))

    yield run
    for name in ("measurement.memory", "measurement", *(file.removesuffix("_stacks") for file in FILES)):
        sys.modules.pop(name, None)


def page(folder, monkeypatch, section):
    """The lines of one section of the page on speed, made from results in a folder."""
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    monkeypatch.setitem(generate[section].__globals__, "RESULTS", folder)
    return generate[section]()


def test_layer_speed(run):
    found = run("layer_speed")
    assert {row["kind"] for row in found["rows"]} == set(found["geometric_mean_ratio"]) == {"lstm", "gru", "rnn"}
    assert all(row["ratio"] > 0 and row["share_of_product_rate"] > 0 for row in found["rows"])
    assert found["machine"]["threads"] >= 1


def test_stacks(run, tmp_path, monkeypatch):
    run("layer_speed_stacks", "--stacks")
    lines = page(tmp_path, monkeypatch, "_stacks_section")
    assert "|  |  | units | batch 1 | batch 3 | geometric mean |" in lines
    assert sum(line.startswith(("| 2 layers", "| both directions")) for line in lines) == 6


def test_inference(run, tmp_path, monkeypatch):
    found = run("inference")
    lines = page(tmp_path, monkeypatch, "_inference_section")
    ratio = found["rows"][1]["ratio"]
    assert (
        ", ".join(f"{value:.2f}" for value in ratio.values()) in lines[lines.index("## Inference on whole batches") + 7]
    )


def test_streams(run, tmp_path, monkeypatch):
    found = run("streaming")
    lines = page(tmp_path, monkeypatch, "_streams_section")
    assert found["streams"] == 3
    assert f"{found['rows'][0]['ratio']['torch']:.2f}" in "\n".join(lines)
    assert sum(line.startswith("| lstm | 8 |") for line in lines) == 3


def test_ragged(run, tmp_path, monkeypatch):
    found = run("ragged")
    lines = page(tmp_path, monkeypatch, "_ragged_section")
    assert set(found["rows"][0]["ratio"]) == {"torch", "padded", "torch_padded"}
    assert "| gru | 8 | 8 | 3 | 1 | 1 | 1 | 1 |" in lines


def test_results_that_are_not_there_leave_no_section(tmp_path, monkeypatch):
    for section in ("_stacks_section", "_inference_section", "_streams_section", "_ragged_section"):
        assert page(tmp_path, monkeypatch, section) == []
