"""A picture of the data flow of a cell: one self-contained SVG, drawn from the equations."""

import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from ricorso.equations.cell import Cell
from ricorso.equations.diagram import Diagram, Node
from ricorso.equations.layout import Box, Placed, Point, place

# fill, border
COLOURS = {
    "input": ("#dbeafe", "#2563eb"),
    "state": ("#dcfce7", "#15803d"),
    "new": ("#dcfce7", "#15803d"),
    "parameter": ("#f3e8ff", "#7e22ce"),
    "signal": ("#ffedd5", "#c2410c"),
    "noise": ("#fee2e2", "#b91c1c"),
    "gate": ("#fef9c3", "#a16207"),
    "operation": ("#ffffff", "#475569"),
}
MEANINGS = {
    "input": "input",
    "state": "state, old and new",
    "gate": "matrix products",
    "parameter": "trained values",
    "signal": "signal",
    "noise": "noise",
}
MARGIN, TITLE, LEGEND = 16.0, 30.0, 34.0
FONT = "font-family=\"'Segoe UI', Helvetica, Arial, sans-serif\""


def picture(cell: Cell) -> str:
    """The SVG of a cell.

    >>> from ricorso.cells import get_cell
    >>> picture(get_cell("lstm")).startswith("<svg xmlns=")
    True
    """
    diagram = Diagram(cell)
    boxes = [_box(node) for node in diagram.nodes]
    placed = place(boxes, [(edge.source, edge.target) for edge in diagram.edges])
    legend = _legend(cell, diagram)
    width = max(placed.width, _legend_width(legend), 8.0 * len(cell.title)) + 2 * MARGIN
    height = placed.height + TITLE + LEGEND + 2 * MARGIN
    size, title = f'width="{width:.0f}" height="{height:.0f}"', escape(cell.title or cell.name)
    style = f'viewBox="0 0 {width:.0f} {height:.0f}" {FONT} font-size="14"'
    heading = f'x="{MARGIN:g}" y="{MARGIN + 10:g}" font-size="15" font-weight="600" fill="#0f172a"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>',
        f"<title>{title}</title>",
        f'<rect {size} fill="#ffffff"/>',
        f"<text {heading}>{title}</text>",
        f'<g transform="translate({MARGIN + (width - 2 * MARGIN - placed.width) / 2:.1f} {MARGIN + TITLE:g})">',
        *_lines(diagram, placed),
        *(_drawn(node, box, c) for node, box, c in zip(diagram.nodes, boxes, placed.centres, strict=True)),
        "</g>",
        *_legend_drawn(legend, height - MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(node: Node) -> Box:
    length = len(node.label.replace("_", ""))
    if node.kind == "gate":
        return Box(max(40.0, 24.0 + 7.0 * max(length, 0.9 * len(node.caption))), 42.0)
    if node.kind in ("input", "state", "new"):
        return Box(24.0 + 7.0 * length, 30.0, last=node.kind == "new")
    if node.kind == "operation":
        return Box(28.0 if length < 2 else 16.0 + 7.5 * length, 28.0)
    return Box(20.0 + 7.0 * length, 26.0, loose=True)


def _drawn(node: Node, box: Box, centre: Point) -> str:
    (x, y), (fill, border) = centre, COLOURS[node.kind]
    corner = {"gate": 5.0, "operation": 14.0}.get(node.kind, 8.0)
    lift = 8.0 if node.caption else 0.0
    shape = (
        f'<rect x="{x - box.width / 2:.1f}" y="{y - box.height / 2:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:g}" rx="{corner:g}" fill="{fill}" stroke="{border}" stroke-width="1.3"/>'
    )
    texts = _written(node.label, x, y + 5 - lift, 14, "#0f172a")
    if node.caption:
        texts += _written(node.caption, x, y + 14, 11, border)
    return shape + texts


def _written(label: str, x: float, y: float, size: int, colour: str) -> str:
    """A text with what follows an underscore as a subscript, centred."""
    words = []
    for word in re.split(r"( )", label):
        base, _, rest = word.partition("_")
        words.append(escape(base))
        if rest:
            words.append(f'<tspan dy="3" font-size="{max(size - 4, 9)}">{escape(rest)}</tspan>')
            words.append('<tspan dy="-3">\u200b</tspan>')
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{size}" fill="{colour}">{"".join(words)}</text>'
    )


def _lines(diagram: Diagram, placed: Placed) -> list[str]:
    drawn = []
    for edge, route in zip(diagram.edges, placed.routes, strict=True):
        kind = diagram.nodes[edge.source].kind
        colour = COLOURS[kind][1] if kind != "gate" else COLOURS["operation"][1]
        (x, y) = route[-1]
        path = _path([*route[:-1], (x - 6, y)])
        drawn.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        drawn.append(f'<path d="M{x:.1f} {y:.1f}l-8 -3.5v7z" fill="{colour}"/>')
        if edge.mark:
            place = f'x="{x - 9:.1f}" y="{y - 5:.1f}" text-anchor="end" font-size="13" font-weight="700"'
            drawn.append(f'<text {place} stroke="#ffffff" stroke-width="4">{escape(edge.mark)}</text>')
            drawn.append(f'<text {place} fill="#0f172a">{escape(edge.mark)}</text>')
    return drawn


def _path(points: Sequence[Point]) -> str:
    steps = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        curve = f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        steps.append(f"H{x1:.1f}" if y0 == y1 else curve)
    return "".join(steps)


def _legend(cell: Cell, diagram: Diagram) -> list[tuple[str, str]]:
    kinds = {node.kind for node in diagram.nodes}
    legend = [(kind, meaning) for kind, meaning in MEANINGS.items() if kind in kinds]
    return [*legend, ("", f"R: {cell.heads} blocks on the diagonal")] if cell.heads > 1 else legend


def _legend_width(legend: Sequence[tuple[str, str]]) -> float:
    return sum(34 + 6.2 * len(meaning) for _, meaning in legend)


def _legend_drawn(legend: Sequence[tuple[str, str]], y: float) -> list[str]:
    drawn, x = [], MARGIN
    for kind, meaning in legend:
        if kind:
            fill, border = COLOURS[kind]
            drawn.append(
                f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="14" height="12" rx="3" fill="{fill}" stroke="{border}"/>'
            )
        drawn.append(f'<text x="{x + 19:.1f}" y="{y:.1f}" font-size="12" fill="#475569">{escape(meaning)}</text>')
        x += 34 + 6.2 * len(meaning)
    return drawn
