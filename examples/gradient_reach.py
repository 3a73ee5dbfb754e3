"""How far back the gradient reaches: a sigmoid Elman network beside an LSTM, trained on the same text.

Each is trained for the same time and then looked into with `ricorso.insight`; the norm of the gradient of a loss with
respect to the state so many steps earlier is printed, and drawn as one SVG for each.
"""

import argparse
import math
from html import escape
from pathlib import Path

from rich.console import Console

from ricorso import Generator
from ricorso.cli.demo import python_topics
from ricorso.insight.inspection import Inspection, inspect

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 320, 64, 24, 64, 48
LOWEST = -12
COLOURS = {"all states": "#b3471d", "output alone": "#2f6f8f"}
FONT = "font-family=\"'Segoe UI', Helvetica, Arial, sans-serif\""
console = Console(highlight=False, soft_wrap=True)


def draw(found: Inspection) -> str:
    """The reach of the gradient of the last layer, as SVG; the axes are the same for every model."""
    reach = found.reach[-1]
    last = len(reach.together) - 1

    def across(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    def up(share: float) -> float:
        place = (math.log10(share) - LOWEST) / (1 - LOWEST) if share > 0 else 0.0
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(max(place, 0.0), 1.0)

    half = "does not shrink" if reach.half_life is None else f"halves every {reach.half_life:.1f} steps"
    title = f"{found.cell}: the gradient {half}, a hundredth arrives from {reach.arrives} steps back"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT} font-size="12" fill="#475569">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="600" fill="#0f172a">{escape(title)}</text>',
    ]
    for power in range(LOWEST, 1, 3):
        y = up(10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for quarter in range(5):
        step = last * quarter // 4
        parts.append(f'<text x="{across(step):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{step}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">steps back from the loss</text>')
    hundredth = up(0.01)
    parts.append(f'<path d="M{LEFT} {hundredth:.1f}H{WIDTH - RIGHT}" stroke="#475569" stroke-dasharray="5 4"/>')
    curves = {"all states": reach.together, "output alone": reach.output}
    if reach.output == reach.together:
        del curves["output alone"]
    for n, (name, norms) in enumerate(curves.items()):
        shown = [(k, norm / reach.whole) for k, norm in enumerate(norms) if norm > reach.whole * 10.0**LOWEST]
        line = "L".join(f"{across(k):.1f} {up(share):.1f}" for k, share in shown)
        parts.append(f'<path d="M{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="1.8"/>')
        parts.append(f'<text x="{LEFT + 110 * n}" y="48" fill="{COLOURS[name]}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Train, look inside, and say what arrives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path, help="a text; without it, Python's documentation topics")
    parser.add_argument("--cell", nargs="+", default=["elman_sigmoid", "lstm"], help="cells of the catalogue")
    parser.add_argument("--minutes", type=float, default=2.0, help="training time of each")
    parser.add_argument("--hidden", type=int, default=128, help="units")
    parser.add_argument("--steps", type=int, default=100, help="how many steps back to look")
    parser.add_argument("--threads", type=int, help="processor threads; torch's own choice without it")
    parser.add_argument("--pictures", type=Path, help="a folder for one SVG for each cell")
    chosen = parser.parse_args()
    text = chosen.text or python_topics()
    for cell in chosen.cell:
        options = {"hidden_size": chosen.hidden, "minutes": chosen.minutes, "threads": chosen.threads, "samples": 0}
        model = Generator(cell=cell, **options).fit(text)
        found = inspect(model, text, steps=chosen.steps)
        loss = model.best_["validation_loss"]
        console.print(f"{cell}: validation loss {loss:.3f} nats, {found.verdict}. {found.verdicts[-1].why}")
        if chosen.pictures:
            (chosen.pictures / f"gradient_reach_{cell}.svg").write_text(draw(found), encoding="utf-8")


if __name__ == "__main__":
    main()
