import json
import re
from html import unescape
from pathlib import Path

import pytest

import ricorso
from ricorso.pages.page import charting, filled, numbers, page

SOURCE = Path(ricorso.__file__).parent


def test_a_page_is_readable_everywhere_and_asks_nothing_of_a_network() -> None:
    text = page("<fox> & co", "<h1>Hello</h1>")
    assert text.startswith("<!doctype html>")
    assert 'name="viewport"' in text
    assert "<title>&lt;fox&gt; &amp; co</title>" in text
    assert "color: var(--ink)" in text
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", text)


def test_charts_come_with_all_that_they_need() -> None:
    text = charting()
    assert text.count("<script>") == text.count("</script>") == 2
    assert len(text) > 1_000_000
    for name in ("colour", "axis", "layout", "legend", "quiet", "drawn"):
        assert re.search(rf"(?:const|function) {name}\b", text)


def test_numbers_cannot_end_their_element() -> None:
    values = {"name": "<!--<script></script><b>", "x": [1, None]}
    text = numbers("curves", values)
    assert text.count("<") == 2
    assert json.loads(re.fullmatch(r'<script type="application/json" id="curves">(.*)</script>', text)[1]) == values
    with pytest.raises(ValueError, match="JSON"):
        numbers("curves", [float("nan")])


def test_what_is_filled_in_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "part.html"
    file.write_text("<p>$one</p>", encoding="utf-8")
    assert filled(file, one="$two") == "<p>$two</p>"
    with pytest.raises(KeyError):
        filled(file, other="")


def test_the_look_lives_in_one_place() -> None:
    templates = [path for path in SOURCE.rglob("*.html") if path.parent.name != "pages"]
    assert len(templates) >= 3
    for path in templates:
        text = path.read_text(encoding="utf-8")
        assert ":root" not in text, path
        assert "<!doctype" not in text, path


def test_every_colour_that_is_asked_for_is_there() -> None:
    style = (SOURCE / "pages" / "page.css").read_text(encoding="utf-8")
    known = set(re.findall(r"--([\w-]+):", style))
    for path in [*SOURCE.rglob("*.html"), *SOURCE.rglob("pages/*.js")]:
        text = unescape(path.read_text(encoding="utf-8"))
        asked = set(re.findall(r'colour\("(\w+)"\)', text)) | set(re.findall(r"var\(--([\w-]+)\)", text))
        assert asked <= known | set(re.findall(r"--([\w-]+):", text)), path
