from xml.etree import ElementTree as ET

from ricorso.bench.picture import picture
from ricorso.bench.plan import Report

SVG = "{http://www.w3.org/2000/svg}"


def texts(tree):
    return [element.text for element in tree.iter(f"{SVG}text")]


def test_it_is_an_svg_that_shows_every_size(report):
    tree = ET.fromstring(picture(report))
    found = texts(tree)
    assert "some <processor> (x86_64), 2 threads, torch 2.13.0, float32, medians" in found
    assert found.count("128 × 8") == 2
    assert {"4.00", "40.0", "0.50", "10.0"} <= set(found)
    assert "lem (beside a torch loop)" in found
    assert "results differ" in found
    assert "beside ONNX Runtime" in found


def test_bars_are_as_long_as_the_logarithm_of_the_ratio(report):
    tree = ET.fromstring(picture(report))
    bars = [float(element.get("width")) for element in tree.iter(f"{SVG}rect")][1:]
    once, four, half, forty, *_ = bars
    assert once == 0
    assert abs(four - 2 * half) < 0.2
    assert abs(forty / four - 5.3219 / 2) < 0.01


def test_everything_is_inside(report):
    tree = ET.fromstring(picture(report))
    width, height = float(tree.get("width")), float(tree.get("height"))
    for element in (*tree.iter(f"{SVG}rect"), *tree.iter(f"{SVG}text")):
        assert 0 <= float(element.get("x", 0)) <= width
        assert 0 <= float(element.get("y", 0)) <= height


def test_a_report_without_answers_has_a_picture_too(report):
    ET.fromstring(picture(Report(report.plan, 1e9, [], report.about)))
