"""An HTML page that opens without a network: the style, the script that draws charts, and numbers for it."""

import json
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from typing import Any


def page(title: str, body: str) -> str:
    """A whole page. title: plain text; body: HTML, with `charting()` before its first chart is drawn.

    >>> "<title>a &amp; b</title>" in page("a & b", "<h1>Hello</h1>")
    True
    """
    room = files("ricorso.pages")
    return filled(room / "page.html", title=escape(title), style=_text(room / "page.css"), body=body)


def filled(template: Traversable, **parts: object) -> str:
    """The text of a file with its $places filled. Raises KeyError for a place without a part."""
    return Template(_text(template)).substitute(parts)


def charting() -> str:
    """The script elements that charts need: Plotly's own from its package, and what our charts share."""
    from plotly.offline import get_plotlyjs

    plotly = get_plotlyjs().replace("</script", "<\\/script")
    return f"<script>{plotly}</script>\n<script>\n{_text(files('ricorso.pages') / 'chart.js')}</script>"


def numbers(identifier: str, values: Any) -> str:
    """A script element that holds plain data as JSON. Raises ValueError for infinities and NaN.

    >>> numbers("curves", ["<b>"])
    '<script type="application/json" id="curves">["\\\\u003cb>"]</script>'
    """
    # "</script" would end the element, "<!--" would change how it is read; neither is left
    text = json.dumps(values, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{identifier}">{text}</script>'


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
