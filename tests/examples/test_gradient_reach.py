"""The example on gradient reach runs, and draws what it found."""

from xml.etree import ElementTree as ET

import pytest
from example import run


@pytest.mark.long
def test_one_line_and_one_picture_for_each_cell(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat on the mat, and so did the dog.\n" * 60, encoding="utf-8")
    sizes = ("--minutes", "0.02", "--hidden", "8", "--steps", "20", "--threads", "1")
    told = run("gradient_reach", str(tmp_path / "text.txt"), *sizes, "--pictures", str(tmp_path), folder=tmp_path)
    lines = told.splitlines()
    assert [line.split(":")[0] for line in lines] == ["elman_sigmoid", "lstm"]
    for cell, curves in (("elman_sigmoid", 1), ("lstm", 2)):
        drawn = ET.parse(tmp_path / f"gradient_reach_{cell}.svg").getroot()
        paths = [element for element in drawn.iter() if element.get("fill") == "none"]
        assert len(paths) == curves
        assert paths[0].get("d").count("L") >= 3
        assert any(cell in (element.text or "") for element in drawn.iter())
