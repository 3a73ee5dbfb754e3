"""Learning curves as one small SVG: loss, on a logarithmic scale, over iterations."""

import math
from collections.abc import Sequence
from html import escape

COLOURS = ("#2563eb", "#15803d", "#c2410c", "#7e22ce", "#0e7490", "#a16207", "#be185d")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 64, 128, 44, 48
FONT = "font-family=\"'Segoe UI', Helvetica, Arial, sans-serif\""


def draw(title: str, curves: Sequence[tuple[str, Sequence[float]]], each: int, level: tuple[str, float]) -> str:
    """The SVG. each: iterations between the points of a curve. level: name and height of a line to compare with."""
    losses = [loss for _, curve in curves for loss in curve if 0 < loss < math.inf] + [level[1]]
    low, high = math.floor(math.log10(min(losses))), math.ceil(math.log10(min(max(losses), 30 * level[1])))
    last = each * max(len(curve) for _, curve in curves)

    def across(iteration: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * iteration / last

    def up(loss: float) -> float:
        place = min(max((math.log10(max(loss, 1e-300)) - low) / (high - low), 0.0), 1.0)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * place

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT} font-size="12" fill="#475569">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="600" fill="#0f172a">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        y = up(10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for quarter in range(5):
        iteration = last * quarter // 4
        parts.append(
            f'<text x="{across(iteration):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{iteration:,}</text>'
        )
    parts.append(f'<text x="{across(last / 2):.1f}" y="{HEIGHT - 8}" text-anchor="middle">iterations</text>')
    names = [(up(level[1]), level[0], "#475569")]
    parts.append(f'<path d="M{LEFT} {names[0][0]:.1f}H{WIDTH - RIGHT}" stroke="#475569" stroke-dasharray="5 4"/>')
    for n, (name, curve) in enumerate(curves):
        points = [(across(each * k), up(loss)) for k, loss in enumerate(curve, 1) if math.isfinite(loss)]
        if not points:
            continue
        colour, line = COLOURS[n % len(COLOURS)], "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"/>')
        names.append((points[-1][1], name, colour))
    parts += [
        f'<text x="{WIDTH - RIGHT + 8}" y="{y + 4:.1f}" fill="{colour}">{escape(name)}</text>'
        for y, name, colour in _apart(names)
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _apart(names: list[tuple[float, str, str]], least: float = 15.0) -> list[tuple[float, str, str]]:
    """Labels moved apart, so that none covers another and the lowest stays in the picture."""
    placed: list[tuple[float, str, str]] = []
    for y, name, colour in sorted(names):
        placed.append((max(y, placed[-1][0] + least) if placed else y, name, colour))
    over = max(0.0, placed[-1][0] - (HEIGHT - BOTTOM))
    for n in reversed(range(len(placed))):
        y, name, colour = placed[n]
        below = placed[n + 1][0] - least if n + 1 < len(placed) else y - over
        placed[n] = (min(y, below), name, colour)
    return placed
