"""The section of labels in a report: do they beat a simple method, which are mistaken, are probabilities honest."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from math import isfinite, sqrt
from typing import Any

import numpy as np

from ricorso.pages.page import filled, numbers

# the confusion of more labels than this is shown for the most frequent ones
MOST_LABELS = 40
OTHERS = "other labels"
# up to so many labels the shares are written into the picture
_WRITTEN = 12
_MEASURES = {
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def labels_section(figures: Mapping[str, Any]) -> str:
    """HTML for the page of a run, from what `Classifier.evaluate` measures or `validation_` holds.

    A sentence on whether the network beats the simple method, measures, a table of the labels, for single labels what
    is taken for what, and whether probabilities hold what they promise.
    """
    confusion = _confusion(figures) if "confusion" in figures else None
    return filled(
        files("ricorso.insight") / "classification.html",
        verdict=escape(verdict(figures)),
        examples=f"{figures['examples']:,}",
        measures=_measures(figures),
        labels=_labels(figures["labels"]),
        confusion="" if confusion is None else _confusion_place(figures, len(confusion["names"])),
        honest=escape(honesty(figures)),
        what="a label of an example" if figures["several"] else "the likeliest label",
        data=numbers("labels-data", {"confusion": confusion, "bins": figures["bins"]}),
    )


def verdict(figures: Mapping[str, Any]) -> str:
    """Whether the network beats the simple method, in plain words, and whether that may be chance.

    >>> simple = {"name": "bag of words", "accuracy": 0.8, "f1_micro": 0.8}
    >>> verdict({"accuracy": 0.85, "several": False, "examples": 5000, "labels": {}, "baseline": simple})
    'The network beats the bag of words: its accuracy of 0.850 is 5.0 points above the 0.800 of that.'
    """
    several, count = figures["several"], figures["examples"]
    key, name = ("f1_micro", "micro F1") if several else ("accuracy", "accuracy")
    own, simple = figures[key], figures.get("baseline")
    if not simple:
        return f"The {name} is {own:.3f}."
    other, points = simple[key], 100 * (own - simple[key])
    if abs(points) < 0.05:
        text = f"The network is no better than the {simple['name']}: its {name} of {own:.3f} is the same."
    elif points > 0:
        text = f"The network beats the {simple['name']}: its {name} of {own:.3f} is {points:.1f} points above the "
        text += f"{other:.3f} of that."
    else:
        text = f"The network does not beat the {simple['name']}: its {name} of {own:.3f} is {-points:.1f} points below "
        text += f"the {other:.3f} of that."
    # two standard errors, as if the two had been measured on different examples; of F1 only roughly
    chance = 200 * sqrt((own * (1 - own) + other * (1 - other)) / count)
    if 0.05 <= abs(points) < chance:
        text += f" With {count:,} examples, a difference below {chance:.1f} points may be chance."
    elif points < 0:
        text += " Train longer or on more examples; until then the simple method is the better one."
    return text


def honesty(figures: Mapping[str, Any]) -> str:
    """How far confidence and hits are apart, and on which side, in plain words.

    >>> honesty({"calibration_error": 0.08, "bins": [(0.6, 0.5, 100), (0.9, 0.83, 300)]})
    'The network is too sure: confidence and hits are 8.0 points apart on average.'
    """
    error, bins = figures["calibration_error"], figures["bins"]
    total = sum(count for _, _, count in bins)
    lean = sum((confidence - hits) * count for confidence, hits, count in bins) / total
    apart = f"confidence and hits are {100 * error:.1f} points apart on average."
    if error < 0.03:
        return f"The probabilities hold what they promise: {apart}"
    if abs(lean) < error / 2:
        return f"The probabilities are too high in places and too low in others: {apart}"
    return f"The network is too {'sure' if lean > 0 else 'careful'}: {apart}"


def _measures(figures: Mapping[str, Any]) -> str:
    sides = {"network": figures}
    if figures.get("baseline"):
        sides[figures["baseline"]["name"]] = figures["baseline"]
    supports = [own["support"] for own in figures["labels"].values()]
    if not figures["several"]:
        share = max(supports) / figures["examples"]
        sides["always the most frequent label"] = {"accuracy": share, "f1_micro": share}
    head = "".join(f"<th>{escape(side)}</th>" for side in sides)
    rows = []
    for name, label in _MEASURES.items():
        if name == "f1_micro" and not figures["several"]:
            continue  # the accuracy again
        values = [side.get(name) for side in sides.values()]
        known = [value for value in values if value is not None and isfinite(value)]
        best = max(known) if len(known) > 1 else None
        rows.append(f"<tr><th>{label}</th>{''.join(_cell(value, best) for value in values)}</tr>")
    return (
        f'<div class="wide"><table class="beside"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(value: float | None, best: float | None = None) -> str:
    text = "" if value is None or not isfinite(value) else f"{value:.3f}"
    return f'<td class="best">{text}</td>' if text and value == best else f"<td>{text}</td>"


def _labels(labels: Mapping[str, Mapping[str, Any]]) -> str:
    ranked = sorted(labels.items(), key=lambda item: -item[1]["support"])
    rows = []
    for label, own in ranked:
        bar = f'<td class="bar" style="--share:{own["f1"]:.3f}">{own["f1"]:.3f}</td>'
        measured = _cell(own["precision"]) + _cell(own["recall"]) + bar + _cell(own["roc_auc"])
        rows.append(f"<tr><th>{escape(label)}</th><td>{own['support']:,}</td>{measured}</tr>")
    heads = ("label", "examples", "precision", "recall", "F1", "ROC AUC")
    return (
        '<div class="wide labels" tabindex="0" role="region" aria-label="Measures of each label"><table class="beside">'
        f"<thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _confusion(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Names, counts and shares of each row (null without examples) for the picture; rare labels are put together."""
    names: list[str] = list(figures["labels"])
    counts = np.array(figures["confusion"], np.int64)
    if len(names) > MOST_LABELS:
        kept = np.sort(np.argsort(-counts.sum(1), kind="stable")[: MOST_LABELS - 1])
        group = np.full(len(names), len(kept))
        group[kept] = np.arange(len(kept))
        joined = np.zeros((len(kept) + 1, len(kept) + 1), np.int64)
        np.add.at(joined, (group[:, None], group[None, :]), counts)
        names, counts = [*(names[n] for n in kept), OTHERS], joined
    totals = counts.sum(1)
    shares = [
        [round(n / total, 4) if total else None for n in row]
        for row, total in zip(counts.tolist(), totals.tolist(), strict=True)
    ]
    return {"names": names, "counts": counts.tolist(), "shares": shares, "written": len(names) <= _WRITTEN}


def _confusion_place(figures: Mapping[str, Any], size: int) -> str:
    height, width = (min(max(low + 1.6 * size, least), most) for low, least, most in ((16, 18, 58), (26, 36, 66)))
    return (
        f"<h3>What is taken for what</h3><p>{_mistakes(list(figures['labels']), figures['confusion'])}</p>"
        f'<div class="wider" style="max-width:{width:.0f}rem"><div class="chart">'
        "<h4>Share of each true label (rows) that was given a label (columns)</h4>"
        f'<div id="confusion" style="height:{height:.0f}rem" role="img" '
        'aria-label="Heat map of true and given labels"></div></div></div>'
    )


def _mistakes(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    found = [
        (count, sum(row), names[truth], names[given])
        for truth, row in enumerate(counts)
        for given, count in enumerate(row)
        if truth != given and count
    ]
    if not found:
        return "Nothing was mistaken."
    worst = sorted(found, key=lambda one: -one[0])[:3]
    told = [
        f"{escape(truth)} is taken for {escape(given)} ({count:,} of {total:,})" for count, total, truth, given in worst
    ]
    return f"Most often, {', '.join(told)}."
