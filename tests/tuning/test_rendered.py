"""The page of a search in a browser."""

from typing import Any

from browser import undrawn


def test_every_chart_is_drawn(found: Any) -> None:
    assert undrawn(found.report) == []
