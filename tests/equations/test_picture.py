import re
from xml.etree import ElementTree as ET

import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, gates, maximum, states, where
from ricorso.equations.diagram import Diagram
from ricorso.equations.picture import picture
from ricorso.equations.transform import layer_normalised, recurrent_dropout, zoneout

SVG = "{http://www.w3.org/2000/svg}"
CHANGED = [change(CATALOGUE["gru"]) for change in (zoneout, recurrent_dropout, layer_normalised)]


@pytest.mark.parametrize("cell", [*CATALOGUE.values(), *CHANGED], ids=lambda cell: f"{cell.name}-{len(cell.noises)}")
def test_a_picture_is_whole_and_needs_nothing_else(cell):
    drawn = picture(cell)
    root = ET.fromstring(drawn)
    assert not re.search(r"href|url\(|<style|<script|<image", drawn)
    texts = ["".join(text.itertext()).replace("\u200b", "") for text in root.iter(f"{SVG}text")]
    for state in cell.states:
        base, _, rest = state.name.partition("_")
        assert f"{base}{rest + ',' if rest else ''}t" in texts
    width, height = float(root.get("width")), float(root.get("height"))
    assert 200 < width < 1400
    assert 100 < height < 600
    assert picture(cell) == drawn


def flows(cell):
    """Edges by the labels of their ends."""
    diagram = Diagram(cell)
    return {(diagram.nodes[e.source].label, diagram.nodes[e.target].label, e.mark) for e in diagram.edges}


def test_what_flows_in_the_gru_with_reset_before():
    found = flows(CATALOGUE["gru_reset_before"])
    assert {
        ("x_t", "n", ""),
        ("\u00d7", "n", ""),
        ("h_t\u22121", "r", ""),
        ("n", "tanh", ""),
        ("+", "h_t", ""),
    } <= found
    assert ("h_t\u22121", "n", "") not in found


def test_a_subtraction_and_a_quotient_are_marked():
    found = flows(CATALOGUE["slstm"])
    assert ("softplus", "+", "\u2212") in found
    assert ("max 1e-6", "\u00d7", "\u00f7") in found


def test_roles_of_a_choice():
    (a, b), (h,) = gates("a b"), states("h")
    found = flows(Cell("x", (a, b), (h,), {h: where(a, b, 0) + maximum(h, a)}))
    assert {("a", "if else 0", "if"), ("b", "if else 0", "then"), ("a", "max", "")} <= found


def test_a_scale_and_a_shift_are_one_operation():
    labels = [node.label for node in Diagram(CATALOGUE["lstm_layer_norm"]).nodes]
    assert "\u00b7 a_f + s_f" in labels
    assert labels.count("norm") == 5


def test_a_state_that_nothing_reads_is_not_drawn_as_an_input():
    labels = [node.label for node in Diagram(CATALOGUE["lru"]).nodes]
    assert "h_t\u22121" not in labels
    assert "h_t" in labels
