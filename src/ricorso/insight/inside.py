"""The section "A look inside" of a report."""

import json
import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import pairwise
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
    constants = _constants(inspection.gates)
    template = files("ricorso.insight").joinpath("inside.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        shades=_shades(),
        read=escape(inspection.read),
        exact="exact" if inspection.examples else "those that training would use",
        measured=_measured(inspection),
        verdicts=_verdicts(inspection),
        activations=_activations(inspection.gates),
        dead=_dead(inspection.gates),
        radii=_radii(inspection.gates),
        constants=_places(constants),
        followers="" if inspection.examples else _followers(inspection.followers, inspection.unit),
        saliency=_explained(inspection) if inspection.examples else _saliency(inspection.saliency),
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
    for n, found in enumerate(inspection.reach, 1):
        whole = found.whole or 1.0
        name = f"layer {found.place}" if len(inspection.reach) > 1 else "gradient"
        lines.append({"layer": n, "name": name, "dash": "solid", "y": _shown(found.together, whole)})
        if found.direct is not None:
            shown = {"layer": n, "name": f"{name}, with pooling", "dash": "dash"}
            lines.append(shown | {"y": _shown(found.direct, max(found.direct) or 1.0)})
        elif found.output != found.together and any(found.output[1:]):
            shown = {"layer": n, "name": f"{name}, output alone", "dash": "dot"}
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
        "said": inspection.saliency.share if _in_numbers(inspection) else [],
        "profile": [{"name": name, "share": share} for name, share in inspection.profile.shares.items()],
    }


def _shown(norms: Sequence[float], whole: float) -> list[float | None]:
    """Shares for a logarithmic axis; three digits are all that can be seen, and None where nothing can be."""
    return [float(f"{n / whole:.3g}") if math.isfinite(n) and n > 0 and n / whole > 1e-30 else None for n in norms]


def _verdicts(inspection: Inspection) -> str:
    parts = []
    told = zip(inspection.reach, inspection.verdicts, inspection.advice, strict=True)
    for found, verdict, lines in told:
        layer = f"Layer {found.place}: " if len(inspection.reach) > 1 else ""
        head = f'{layer}<span class="verdict {verdict.name}">{verdict.name}</span>. {escape(verdict.why)}'
        advice = "".join(f"<li>{escape(line)}</li>" for line in lines)
        parts.append(f"<p>{head}</p>" + (f"<ul>{advice}</ul>" if advice else ""))
    return "".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _activations(layers: Sequence[Gates]) -> str:
    rows = [
        (gates.place, a.name, f"{a.mean:.2f}", f"{a.low:.0%}", f"{a.high:.0%}", f"{a.stuck:.0%}")
        for gates in layers
        for a in gates.activations
    ]
    head = ("layer", "activation", "mean", "saturated low", "saturated high", "units stuck")
    return _table(head, rows) if rows else "<p>This cell has no squashing activations.</p>"


def _dead(layers: Sequence[Gates]) -> str:
    told = [f"layer {g.place}: {len(g.dead)} of {g.units}" for g in layers if g.dead]
    return f"<p>Dead units, whose output never changes: {', '.join(told)}.</p>" if told else "<p>No unit is dead.</p>"


def _radii(layers: Sequence[Gates]) -> str:
    rows = [(g.place, name, f"{radius:.2f}") for g in layers for name, radius in g.spectral_radius.items()]
    if not rows:
        return ""
    about = "<p>Spectral radius of the recurrent matrices: above 1 a matrix alone would make things grow.</p>"
    return about + _table(("layer", "gate", "spectral radius"), rows)


def _constants(layers: Sequence[Gates]) -> list[dict[str, Any]]:
    """A histogram for each layer and state that units keep by themselves."""
    names = [f"to {BARS[0]}", *(f"{low:g}–{high:g}" for low, high in pairwise(BARS)), "longer"]
    found = []
    for number, gates in enumerate(layers, 1):
        for state, values in gates.time_constants.items():
            counts = [0] * len(names)
            for value in values:
                counts[sum(value > end for end in BARS)] += 1
            last = max(n for n, count in enumerate(counts) if count)
            title = f"Layer {gates.place}. " if len(layers) > 1 else ""
            median = sorted(values)[len(values) // 2]
            title += f"How long units keep {state} (median {median:.1f} steps)"
            found.append({"title": title, "layer": number, "x": names[: last + 1], "y": counts[: last + 1]})
    return found


def _places(constants: Sequence[dict[str, Any]]) -> str:
    if not constants:
        return "<p>The units of this cell keep nothing by themselves: all memory goes through the recurrent matrix.</p>"
    about = (
        "<p>Time constants: after so many steps a unit holds 1/e of what it had, if nothing is added. They come from "
        "the gate that keeps the state, averaged over what was read.</p>"
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
    about = (
        "<h3>What units follow</h3>\n<p>Of all units of all states, the one that goes most closely with a property of "
        "the text. Orange is positive, blue is\nnegative.</p>\n"
    )
    return about + ("".join(parts) or "<p>The text has none of the properties that are looked for.</p>")


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


def _measured(inspection: Inspection) -> str:
    """What the curves of the gradient show."""
    examples = inspection.examples
    if examples is None:
        return (
            "The norm of the gradient of one loss with respect to the state so many steps earlier, relative to the "
            f"step of the loss itself; the mean over {inspection.text['windows']} places of the text."
        )
    step = examples.step
    both = f"; in a backward layer it is the first {step}, and the {step}s after it" if _both(inspection) else ""
    told = (
        f"The norm of the gradient with respect to the state so many {step}s earlier, relative to where it begins; the "
        f"mean over these {examples.several}. What is differentiated is {examples.followed}{both}."
    )
    if examples.direct is not None:
        told += (
            " Pooling reads other steps too, and hands them a gradient that need not travel: with it all, the dashed "
            "line, as a share of its largest value."
        )
    return escape(told)


def _both(inspection: Inspection) -> bool:
    return any(found.direction is not None for found in inspection.reach)


def _in_numbers(inspection: Inspection) -> bool:
    """Whether steps are rows of numbers, which cannot be coloured."""
    return inspection.examples is not None and inspection.examples.step == "step"


def _explained(inspection: Inspection) -> str:
    """The words, or the steps, that spoke for a label or a tag."""
    found, examples = inspection.saliency, inspection.examples
    assert examples is not None
    step, names = examples.step, found.pieces
    likeliest = ", ".join(f"{_quoted(name)} {chance:.0%}" for name, chance in found.likeliest if chance >= 0.005)
    told = f"the {found.kind} {_quoted(found.next)} with the probability {found.probability:.1%}"
    if found.step is None:
        about = f"The model gives this {examples.one} {told}."
    else:
        which = f"“{escape(names[found.step])}”" if step == "word" else escape(names[found.step])
        about = f"The step of which the model is least sure is {which}: it has {told}."
    about = (
        f"<p>{about} Orange {step}s spoke for it, blue ones against (gradient times input). Likeliest: {likeliest}.</p>"
    )
    if _in_numbers(inspection):
        return about + (
            '<div class="chart"><h4>What each step said</h4>'
            '<div id="said" role="img" aria-label="Gradient times input by step"></div></div>'
        )
    # words come without the blanks between them
    pieces = [f"{name} " for name in names] if step == "word" else names
    text, norms = (
        coloured(pieces, [value / (max(map(abs, values)) or 1.0) for value in values])
        for values in (found.share, found.norm)
    )
    return (
        f'{about}<pre class="text">{text}</pre><details><summary>The norm of the gradient of each {step}: where a '
        f'change would matter most</summary><pre class="text">{norms}</pre></details>'
    )


def _quoted(symbol: str) -> str:
    shown = {"\n": "a line break", " ": "a space", "\t": "a tab"}.get(symbol)
    return shown or f"“{escape(symbol)}”"


def _profile(inspection: Inspection) -> str:
    profile, step = inspection.profile, inspection.examples.step if inspection.examples else "symbol"
    return (
        f"{profile.milliseconds:.1f} ms for a batch of {profile.batch_size} sequences of {profile.sequence_length} "
        f"{step}s{' on average' if inspection.examples else ''}, measured on this machine over a few steps."
    )
