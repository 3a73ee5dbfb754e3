import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import undrawn

from ricorso.insight.classification import MOST_LABELS, OTHERS, honesty, labels_section, verdict
from ricorso.pages.page import charting, page
from ricorso.tasks.classify.metrics import bins, figures


def measured(labels: int, several: bool = False, examples: int = 600) -> dict[str, Any]:
    """What a classifier that is often right would be measured as."""
    draw = np.random.default_rng(0)
    names = [f"<{n}>" for n in range(labels)]
    truth = np.eye(labels, dtype=bool)[draw.integers(0, labels, examples)]
    if several:
        truth |= draw.random(truth.shape) < 0.2
    scores = draw.normal(size=truth.shape) + 3 * truth - 1.5 * several
    chance = 1 / (1 + np.exp(-scores)) if several else np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    chosen = chance > 0.5 if several else chance == chance.max(1, keepdims=True)
    simple = {"name": "bag of words", "accuracy": 0.4, "f1_micro": 0.4}
    found = figures(chance, chosen, truth, names, several)
    return found | {"several": several, "bins": bins(chance, truth, several), "baseline": simple}


def data_of(text: str) -> Any:
    found = re.search(r'id="labels-data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize("labels", [2, 18])
def test_every_label_and_the_whole_confusion_are_shown(labels: int) -> None:
    known = measured(labels)
    text = labels_section(known)
    rows = re.findall(r"<tr><th>&lt;(\d+)&gt;</th><td>(\d+)</td>", text)
    assert sorted(int(name) for name, _ in rows) == list(range(labels))
    supports = [int(support) for _, support in rows]
    assert supports == sorted(supports, reverse=True)
    confusion = data_of(text)["confusion"]
    assert confusion["counts"] == known["confusion"]
    assert [sum(row) for row in confusion["shares"]] == pytest.approx([1] * labels, abs=0.01)
    assert confusion["written"] == (labels == 2)
    assert "<0>" not in text.replace(json.dumps(data_of(text)["confusion"]["names"]), "")


def test_rare_labels_are_put_together_in_the_picture_alone() -> None:
    known = measured(60)
    text = labels_section(known)
    confusion = data_of(text)["confusion"]
    assert len(confusion["names"]) == len(confusion["counts"]) == MOST_LABELS
    assert confusion["names"][-1] == OTHERS
    assert np.sum(confusion["counts"]) == np.sum(known["confusion"])
    assert len(re.findall(r"<tr><th>&lt;", text)) == 60
    kept = [int(name.strip("<>")) for name in confusion["names"][:-1]]
    supports = np.sum(known["confusion"], 1)
    assert np.sum(confusion["counts"], 1)[:-1].tolist() == supports[kept].tolist()
    assert min(supports[kept]) >= max(np.delete(supports, kept))


def test_a_label_without_examples_has_no_shares() -> None:
    known = measured(3)
    known["confusion"][1] = [0, 0, 0]
    assert data_of(labels_section(known))["confusion"]["shares"][1] == [None] * 3


def test_the_worst_mistakes_are_named() -> None:
    known = measured(3) | {"confusion": [[9, 1, 0], [5, 4, 0], [0, 0, 7]]}
    text = labels_section(known)
    assert "Most often, &lt;1&gt; is taken for &lt;0&gt; (5 of 9), &lt;0&gt; is taken for &lt;1&gt; (1 of 10)." in text
    assert "Nothing was mistaken." in labels_section(known | {"confusion": [[9, 0, 0], [0, 4, 0], [0, 0, 7]]})


def test_several_labels_have_no_confusion() -> None:
    text = labels_section(measured(4, several=True))
    assert data_of(text)["confusion"] is None
    assert 'id="confusion"' not in text
    assert "micro F1" in text
    assert "always the most frequent" not in text


def test_measures_that_are_missing_leave_their_cell_empty() -> None:
    known = measured(2)
    known["labels"]["<0>"]["roc_auc"] = float("nan")
    known["baseline"] = None
    text = labels_section(known)
    assert "nan" not in text
    assert "bag of words" not in text


def beside(own: float, other: float | None, examples: int = 1000, several: bool = False) -> dict[str, Any]:
    simple = None if other is None else {"name": "bag of words", "accuracy": other, "f1_micro": other}
    return {"accuracy": own, "f1_micro": own, "examples": examples, "several": several, "baseline": simple}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (beside(0.9, 0.8), "The network beats the bag of words: its accuracy of 0.900 is 10.0 points above the 0.800"),
        (beside(0.7, 0.8), "The network does not beat the bag of words: its accuracy of 0.700 is 10.0 points below"),
        (beside(0.7, 0.8), "until then the simple method is the better one."),
        (beside(0.8, 0.8), "is no better than the bag of words: its accuracy of 0.800 is the same."),
        (beside(0.81, 0.8), "With 1,000 examples, a difference below 3.5 points may be chance."),
        (beside(0.79, 0.8), "With 1,000 examples, a difference below 3.6 points may be chance."),
        (beside(0.9, 0.8, several=True), "its micro F1 of 0.900"),
        (beside(0.9, None), "The accuracy is 0.900."),
    ],
)
def test_it_says_plainly_whether_the_network_is_better(found: dict[str, Any], sentence: str) -> None:
    assert sentence in verdict(found)
    assert ("chance" in verdict(found)) == ("chance" in sentence)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([(0.9, 0.89, 50)], "hold what they promise"),
        ([(0.9, 0.7, 50)], "too sure: confidence and hits are 20.0 points apart"),
        ([(0.6, 0.8, 50)], "too careful"),
        ([(0.6, 0.8, 50), (0.9, 0.7, 50)], "too high in places and too low in others"),
    ],
)
def test_it_says_on_which_side_probabilities_err(found: list[tuple[float, float, int]], sentence: str) -> None:
    error = sum(abs(said - right) * count for said, right, count in found) / sum(count for _, _, count in found)
    assert sentence in honesty({"calibration_error": error, "bins": found})


def test_every_chart_is_drawn(tmp_path: Path) -> None:
    place = tmp_path / "labels.html"
    place.write_text(page("labels", charting() + labels_section(measured(5))), encoding="utf-8")
    assert undrawn(place) == []
