"""How good tags are: by step, by tag, by span."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ricorso.data.spans import Span, spans_of
from ricorso.data.table import listed

Tags = Sequence[Sequence[str]]


def token_figures(truth: Tags, found: Tags) -> dict[str, Any]:
    """The share of right tags, their number, and precision, recall, F1 and support of each tag."""
    right: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for own, told in zip(truth, found, strict=True):
        wanted.update(own)
        given.update(told)
        right.update(a for a, b in zip(own, told, strict=True) if a == b)
    return {
        "accuracy": right.total() / max(wanted.total(), 1),
        "tokens": wanted.total(),
        "tags": _each(right, given, wanted),
    }


def span_figures(truth: Tags, found: Tags) -> dict[str, Any]:
    """Precision, recall and F1 of spans that are right in both ends and in kind, over all and by kind.

    As the script conlleval of CoNLL-2000 counts them.

    >>> span_figures([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]])["f1"]
    0.0
    """
    right: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for own, told in zip(truth, found, strict=True):
        a, b = set(spans_of(own)), set(spans_of(told))
        for spans, counts in ((a & b, right), (a, wanted), (b, given)):
            counts.update(_kinds(spans))
    every = _figures(right.total(), given.total(), wanted.total())
    return {**every, "kinds": _each(right, given, wanted)}


def accuracy_where(sequences: Sequence[Sequence[str]], truth: Tags, found: Tags, chosen: Callable[[str], bool]) -> Any:
    """The share of right tags among the chosen words, and how many these are."""
    pairs = [
        a == b
        for words, own, told in zip(sequences, truth, found, strict=True)
        for word, a, b in zip(words, own, told, strict=True)
        if chosen(word)
    ]
    return {"accuracy": sum(pairs) / len(pairs) if pairs else None, "tokens": len(pairs)}


def figures_table(figures: Mapping[str, Any]) -> str:
    """What `Tagger.evaluate` found, as text: over all beside the baseline, then by kind of span or by tag."""
    sides = (figures, figures["baseline"])
    lines = [f"  {'':<24}{'model':>10}{'most frequent tag of each word':>34}"]
    rows = [("right tags", [side["accuracy"] for side in sides])]
    if figures["unknown"]["tokens"]:
        rows.append(("right tags, new words", [side["unknown"]["accuracy"] for side in sides]))
    if figures["spans"]:
        rows += [(f"{name} of spans", [side["spans"][key] for side in sides]) for name, key in _NAMES.items()]
    lines += [f"  {name:<24}{model:>10.2%}{simple:>34.2%}" for name, (model, simple) in rows]
    each = figures["spans"]["kinds"] if figures["spans"] else figures["tags"]
    lines += [
        "",
        f"  {'kind' if figures['spans'] else 'tag':<24}" + "".join(f"{name:>12}" for name in (*_NAMES, "number")),
    ]
    for name, own in sorted(each.items(), key=lambda pair: -pair[1]["support"]):
        lines.append(
            f"  {name:<24}" + "".join(f"{own[key]:>12.2%}" for key in _NAMES.values()) + f"{own['support']:>12,}"
        )
    lines += ["", f"  {figures['sequences']:,} sequences, {figures['tokens']:,} tags."]
    if figures["repaired"]:
        lines.append(f"  The tags of {figures['repaired']:,} sequences do not fit the scheme and were repaired.")
    if figures["unseen"]:
        lines.append(f"  Tags that training lacked count as wrong: {listed(figures['unseen'])}.")
    return "\n".join(lines)


_NAMES = {"precision": "precision", "recall": "recall", "F1": "f1"}


def _kinds(spans: Iterable[Span]) -> list[str]:
    return [span.kind for span in spans]


def _each(right: Counter[str], given: Counter[str], wanted: Counter[str]) -> dict[str, dict[str, Any]]:
    return {name: _figures(right[name], given[name], wanted[name]) for name in sorted(given | wanted)}


def _figures(right: int, given: int, wanted: int) -> dict[str, Any]:
    return {
        "precision": right / given if given else 0.0,
        "recall": right / wanted if wanted else 0.0,
        "f1": 2 * right / (given + wanted) if given + wanted else 0.0,
        "support": wanted,
    }
