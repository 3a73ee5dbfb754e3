"""The section "A look inside" of a report."""

import json
import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

from ricorso.insight.colour import LEVELS, coloured
from ricorso.insight.gates import Gates
from ricorso.insight.inspection import Inspection
from ricorso.insight.saliency import Saliency
from ricorso.insight.units import Follower

# upper ends of the bars of time constants, in steps
BARS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
LOWEST = 1e-12


def section(inspection: Inspection) -> str:
    """The HTML of what was found; it draws its charts with the plotly of the page around it."""
    path = inspection.text["path"]
    constants = _constants(inspection.gates)
    template = files("ricorso.insight").joinpath("inside.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        shades=_shades(),
        symbols=f"{inspection.text['symbols']:,}",
        source=escape(Path(path).name if path else "a text"),
        windows=inspection.text["windows"],
        verdicts=_verdicts(inspection),
        activations=_activations(inspection.gates),
        dead=_dead(inspection.gates),
        radii=_radii(inspection.gates),
        constants=_places(constants),
        followers=_followers(inspection.followers, inspection.unit),
        saliency=_saliency(inspection.saliency),
        profile=_profile(inspection),
        # "</" would end the script element that holds the numbers
        numbers=json.dumps(_numbers(inspection, constants), allow_nan=False).replace("</", "<\\/"),
    )


def _shades() -> str:
    lines = []
    for sign, hue in (("p", "230, 120, 40"), ("n", "50, 130, 200")):
        lines += [f".{sign}{n} {{ background: rgba({hue}, {0.75 * n / LEVELS:.2f}); }}" for n in range(1, LEVELS + 1)]
    return "\n".join(lines)


def _numbers(inspection: Inspection, constants: Sequence[dict[str, Any]]) -> dict[str, Any]:
    lines: list[dict[str, Any]] = []
    for found in inspection.reach:
        whole = found.whole or 1.0
        name = f"layer {found.layer}" if len(inspection.reach) > 1 else "gradient"
        lines.append({"layer": found.layer, "name": name, "dash": "solid", "y": _shown(found.together, whole)})
        if found.output != found.together and any(found.output[1:]):
            shown = {"layer": found.layer, "name": f"{name}, output alone", "dash": "dot"}
            lines.append(shown | {"y": _shown(found.output, whole)})
    values = [value for line in lines for value in line["y"] if value]
    floor = max(math.floor(math.log10(min(values, default=1.0))), math.log10(LOWEST))
    ceiling = math.log10(max(values, default=1.0)) + 0.3
    return {
        "reach": lines,
        "floor": floor,
        "ceiling": ceiling,
        "tick": max(1, round((ceiling - floor) / 7)),
        "constants": constants,
        "profile": [{"name": name, "share": share} for name, share in inspection.profile.shares.items()],
    }


def _shown(norms: Sequence[float], whole: float) -> list[float | None]:
    """Shares for a logarithmic axis; three digits are all that can be seen, and None where nothing can be."""
    return [float(f"{n / whole:.3g}") if math.isfinite(n) and n > 0 and n / whole > 1e-30 else None for n in norms]


def _verdicts(inspection: Inspection) -> str:
    parts = []
    for found, verdict in zip(inspection.reach, inspection.verdicts, strict=True):
        layer = f"Layer {found.layer}: " if len(inspection.reach) > 1 else ""
        head = f'{layer}<span class="verdict {verdict.name}">{verdict.name}</span>. {escape(verdict.why)}'
        advice = "".join(f"<li>{escape(line)}</li>" for line in verdict.advice)
        parts.append(f"<p>{head}</p>" + (f"<ul>{advice}</ul>" if advice else ""))
    return "".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _activations(layers: Sequence[Gates]) -> str:
    rows = [
        (str(gates.layer), a.name, f"{a.mean:.2f}", f"{a.low:.0%}", f"{a.high:.0%}", f"{a.stuck:.0%}")
        for gates in layers
        for a in gates.activations
    ]
    head = ("layer", "activation", "mean", "saturated low", "saturated high", "units stuck")
    return _table(head, rows) if rows else "<p>This cell has no squashing activations.</p>"


def _dead(layers: Sequence[Gates]) -> str:
    told = [f"layer {g.layer}: {len(g.dead)} of {g.units}" for g in layers if g.dead]
    return f"<p>Dead units, whose output never changes: {', '.join(told)}.</p>" if told else "<p>No unit is dead.</p>"


def _radii(layers: Sequence[Gates]) -> str:
    rows = [(str(g.layer), name, f"{radius:.2f}") for g in layers for name, radius in g.spectral_radius.items()]
    if not rows:
        return ""
    about = "<p>Spectral radius of the recurrent matrices: above 1 a matrix alone would make things grow.</p>"
    return about + _table(("layer", "gate", "spectral radius"), rows)


def _constants(layers: Sequence[Gates]) -> list[dict[str, Any]]:
    """A histogram for each layer and state that units keep by themselves."""
    names = [f"to {BARS[0]}", *(f"{low:g}–{high:g}" for low, high in pairwise(BARS)), "longer"]
    found = []
    for gates in layers:
        for state, values in gates.time_constants.items():
            counts = [0] * len(names)
            for value in values:
                counts[sum(value > end for end in BARS)] += 1
            last = max(n for n, count in enumerate(counts) if count)
            title = f"Layer {gates.layer}. " if len(layers) > 1 else ""
            median = sorted(values)[len(values) // 2]
            title += f"How long units keep {state} (median {median:.1f} steps)"
            found.append({"title": title, "layer": gates.layer, "x": names[: last + 1], "y": counts[: last + 1]})
    return found


def _places(constants: Sequence[dict[str, Any]]) -> str:
    if not constants:
        return "<p>The units of this cell keep nothing by themselves: all memory goes through the recurrent matrix.</p>"
    about = (
        "<p>Time constants: after so many steps a unit holds 1/e of what it had, if nothing is added. They come from "
        "the gate that keeps the state, averaged over the text.</p>"
    )
    charts = [
        f'<div class="chart"><h4>{title}</h4><div id="constants{n}" role="img" aria-label="{title}"></div></div>'
        for n, title in enumerate(escape(shown["title"]) for shown in constants)
    ]
    return about + f'<div class="small">{"".join(charts)}</div>'


def _followers(followers: Sequence[Follower], unit: Follower | None) -> str:
    parts: list[str] = []
    for follower in ([unit] if unit else []) + list(followers):
        about = str(follower.unit) if follower is unit else f"{follower.unit}, correlation {follower.correlation:+.2f}"
        head = f"{escape(follower.feature)}: {escape(about)}"
        is_open = " open" if not parts else ""
        text = coloured(follower.pieces, follower.values)
        parts.append(f'<details{is_open}><summary>{head}</summary><pre class="text">{text}</pre></details>')
    return "".join(parts) or "<p>The text has none of the properties that are looked for.</p>"


def _saliency(found: Saliency) -> str:
    text, norms = (
        coloured(found.pieces, [value / (max(map(abs, values)) or 1.0) for value in values])
        for values in (found.share, found.norm)
    )
    expected = ", ".join(f"{_quoted(symbol)} {chance:.0%}" for symbol, chance in found.likeliest)
    return (
        f"<p>After this text the model gives {_quoted(found.next)} the probability {found.probability:.1%}. Orange "
        f"symbols spoke for it, blue ones against (gradient times input). What it expects most: {expected}.</p>"
        f'<pre class="text">{text}</pre><details><summary>The norm of the gradient of each symbol: where a change '
        f'would matter most</summary><pre class="text">{norms}</pre></details>'
    )


def _quoted(symbol: str) -> str:
    shown = {"\n": "a line break", " ": "a space", "\t": "a tab"}.get(symbol)
    return shown or f"“{escape(symbol)}”"


def _profile(inspection: Inspection) -> str:
    profile = inspection.profile
    return (
        f"{profile.milliseconds:.1f} ms for a batch of {profile.batch_size} sequences of {profile.sequence_length} "
        f"symbols, measured on this machine over a few steps."
    )
