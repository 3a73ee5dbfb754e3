import json
import math
import re
from dataclasses import replace

import pytest

from ricorso.insight.inside import section
from ricorso.insight.inspection import inspect
from ricorso.insight.reach import Reach


@pytest.fixture(scope="module")
def found(generator, text):
    return inspect(generator, text, steps=30, unit=2, prompt="a <")


@pytest.fixture
def page(found):
    return section(found)


def numbers(page):
    return json.loads(re.search(r'id="inside">(.*?)</script>', page).group(1))


def test_every_part_has_its_heading(page):
    for heading in ("How far the gradient reaches", "Gates", "What units follow", "Where the time"):
        assert f"<h3>{heading}" in page
    assert "$" not in page


def test_curves_are_shares_of_the_gradient(found, page):
    lines = numbers(page)["reach"]
    assert [line["name"] for line in lines] == ["layer 1", "layer 1, output alone", "layer 2", "layer 2, output alone"]
    assert max(lines[0]["y"][:2]) == 1
    assert lines[0]["y"] == pytest.approx(found.reach[0].shares, rel=0.01)


def test_bars_hold_all_units(found, page):
    charts = numbers(page)["constants"]
    assert [sum(chart["y"]) for chart in charts] == [8, 8]
    assert all(f'id="constants{n}"' in page for n in range(2))


def test_text_stays_text(found):
    wild = replace(found.saliency, pieces=["a", "</pre>", "$plotly"], share=[0.0] * 3, norm=[0.0] * 3, next="<b>")
    page = section(replace(found, saliency=wild))
    assert '<pre class="text">a&lt;/pre&gt;$plotly</pre>' in page
    assert "“&lt;b&gt;”" in page


def test_the_unit_asked_for_comes_first(page):
    followers = page[page.index("What units follow") :]
    assert "h[2] of layer 2" in followers[: followers.index("</summary>")]


def test_numbers_that_are_no_numbers_do_not_break_the_page(found):
    wild = Reach(1, [1.0, 0.0, math.inf, math.nan, 1e-200], [0.0] * 5)
    gates = replace(found.gates[0], time_constants={"c": [math.inf] * 8}, dead=[1, 2])
    page = section(replace(found, reach=[wild], verdicts=found.verdicts[:1], gates=[gates]))
    assert numbers(page)["reach"][0]["y"] == [1, None, None, None, None]
    assert numbers(page)["constants"][0]["x"][-1] == "longer"
    assert "2 of 8" in page


def test_a_cell_that_keeps_nothing_says_so(found):
    gates = replace(found.gates[0], time_constants={}, activations=[], spectral_radius={})
    page = section(replace(found, gates=[gates]))
    assert "keep nothing by themselves" in page
    assert "no squashing activations" in page
