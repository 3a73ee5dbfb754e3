"""The examples run, learn something, and report in the form that their readers rely on."""

import json
import math
from xml.etree import ElementTree as ET

import pytest
from example import run

SETTINGS = {
    "adding_problem": ("--cell", "lem", "lstm:0", "--steps", "10", "--rate", "0.02"),
    "copy_memory": ("--cell", "lru", "--steps", "5", "--rate", "0.02", "--seed", "0", "1"),
}
ROWS = {
    "adding_problem": [("lem", 10.0, 0), ("lstm:0", None, 0), ("elman_sigmoid", 10.0, 0)],
    "copy_memory": [("lru", 5.0, 0), ("lru", 5.0, 1), ("elman_sigmoid", 5.0, 0), ("elman_sigmoid", 5.0, 1)],
}


@pytest.fixture(scope="module", params=sorted(SETTINGS))
def finished(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    written = ("--json", str(folder / "result.json"), "--picture", str(folder / "curves.svg"))
    sizes = ("--iterations", "100", "--hidden", "8", "--threads", "1")
    return request.param, run(request.param, *SETTINGS[request.param], *sizes, *written, folder=folder), folder


def test_one_row_for_each_cell_and_seed(finished):
    name, _, folder = finished
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert [(row["cell"], row["horizon"], row["seed"]) for row in result["rows"]] == ROWS[name]
    assert result["benchmark"] == name
    assert result["machine"]["threads"] == 1
    assert result["iterations"] == 100


def test_loss_falls(finished):
    _, _, folder = finished
    for row in json.loads((folder / "result.json").read_text(encoding="utf-8"))["rows"]:
        assert len(row["curve"]) * row["iterations_a_point"] == 100
        assert sum(row["curve"][-5:]) / 5 < 0.9 * row["curve"][0], row["cell"]
        assert math.isfinite(row["test_loss"])


def test_output_names_guessing_and_the_published_figures(finished):
    name, output, _ = finished
    assert "guessing gives" in output
    assert "published: LSTM" in output
    for cell, _, _ in ROWS[name]:
        assert cell in output


def test_picture_has_a_line_for_every_cell(finished):
    name, _, folder = finished
    drawn = ET.parse(folder / "curves.svg").getroot()
    labels = {element.text for element in drawn.iter() if element.tag.endswith("text")}
    assert {cell for cell, _, _ in ROWS[name]} < labels
    assert "guessing" in labels
