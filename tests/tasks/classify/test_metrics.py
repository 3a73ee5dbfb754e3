"""Measures of labels and probabilities, by hand and by definition."""

import numpy as np
import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.data.vocabulary import CharacterVocabulary
from ricorso.tasks.classify.calibration import best_temperature, calibrate
from ricorso.tasks.classify.coding import Coding
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.metrics import best_threshold, bins, figures, roc_auc
from ricorso.tasks.classify.model import ClassifierModel

LABELS = ("a", "b", "c")


def flags(*rows: str) -> np.ndarray:
    return np.array([[label in row for label in LABELS] for row in rows])


def test_single_labels() -> None:
    truth = flags("a", "a", "b", "c")
    chosen = flags("a", "b", "b", "b")
    probabilities = np.array([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.1, 0.7, 0.2], [0.2, 0.5, 0.3]])
    found = figures(probabilities, chosen, truth, LABELS, several=False)
    assert found["accuracy"] == found["f1_micro"] == 0.5
    assert found["labels"]["a"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "roc_auc": 1.0,
        "support": 2,
    }
    assert found["labels"]["b"]["precision"] == pytest.approx(1 / 3)
    assert found["labels"]["c"]["f1"] == 0.0
    assert found["f1_macro"] == pytest.approx((2 / 3 + 0.5 + 0) / 3)
    assert found["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.4, 0.7, 0.3]).mean())


def test_several_labels() -> None:
    truth, chosen = flags("ab", "", "c"), flags("a", "", "cb")
    found = figures(chosen * 0.8 + 0.1, chosen, truth, LABELS, several=True)
    assert found["accuracy"] == pytest.approx(1 / 3), "all labels of an example have to be right"
    assert found["f1_micro"] == pytest.approx(2 * 2 / (3 + 3))
    assert "confusion" not in found


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.integers(0, 6, 60) / 6, random.random(60) < 0.4
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[truth] for n in scores[~truth]]
    assert roc_auc(scores, truth) == pytest.approx(np.mean(pairs))
    assert np.isnan(roc_auc(scores, np.zeros(60, bool)))


def test_the_threshold_is_where_micro_f1_is_best() -> None:
    random = np.random.default_rng(0)
    # of a few values, so that many are equal
    probabilities, truth = random.integers(1, 9, (40, 3)) / 10, random.random((40, 3)) < 0.3
    found = best_threshold(probabilities, truth)

    def f1(threshold: float) -> float:
        chosen = probabilities >= threshold
        return float(2 * (chosen & truth).sum() / (chosen.sum() + truth.sum()))

    assert f1(found) == pytest.approx(max(f1(n / 100) for n in range(100)))
    assert best_threshold(probabilities, truth & False) == 0.5
    equal, first_two = np.array([[0.9, 0.5, 0.5, 0.5, 0.5, 0.5]]), np.arange(6)[None] < 2
    assert best_threshold(equal, first_two) == pytest.approx(0.7), "one of equals cannot be given alone"
    assert best_threshold(
        np.array([[0.9, 0.7], [0.1, 0.2]]), np.array([[True, True], [False, False]])
    ) == pytest.approx(0.45)


def test_bins_hold_what_they_should() -> None:
    probabilities = np.array([[0.95, 0.05], [0.05, 0.95], [0.55, 0.45]])
    truth = np.array([[True, False], [True, False], [True, False]])
    assert bins(probabilities, truth, several=False) == [(0.55, 1.0, 1), (0.95, 0.5, 2)]


@pytest.mark.parametrize("several", [False, True])
def test_the_temperature_undoes_a_factor_of_the_scores(several: bool) -> None:
    random = np.random.default_rng(0)
    scores = torch.from_numpy(random.normal(0, 2, (20_000, 3)))
    chance = scores.sigmoid().numpy() if several else scores.softmax(1).numpy()
    if several:
        targets = random.random(chance.shape) < chance
    else:
        drawn = (random.random((20_000, 1)) > chance.cumsum(1)).sum(1)
        targets = np.eye(3, dtype=bool)[drawn]
    assert best_temperature(3 * scores, targets, several) == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("several", [False, True])
def test_what_counting_weighs_is_chosen_by_the_validation_examples(several: bool) -> None:
    draw = np.random.default_rng(3)
    targets = np.eye(3, dtype=bool)[draw.integers(0, 3, 400)]
    counted, by_heart = (targets + draw.normal(0, 0.7, targets.shape) for _ in range(2))
    # both are as good; the layers say theirs four times as loudly
    settings = {"hidden_size": 8, "embedding_size": 8, "input_dropout": 0.0, "word_dropout": 0.0, "grams": 1}
    coding = Coding(LABELS, several, CharacterVocabulary.of("ab"), None)
    model = ClassifierModel(CATALOGUE["gru"], coding, ClassifyConfig.of(settings))
    scores = torch.from_numpy(4 * by_heart + counted).float()
    calibrate(model, scores, counted.astype(np.float32), targets, several)
    assert model.counted is not None
    assert model.counted.weight.diag().tolist() == pytest.approx([4.0] * 3)
    # the temperature is that of the new scores
    weighed = torch.from_numpy(4 * (by_heart + counted)).float()
    assert float(model.temperature) == pytest.approx(best_temperature(weighed, targets, several), rel=1e-3)
    calibrate(model, scores, None, targets, several)
    assert model.counted.weight.diag().tolist() == pytest.approx([4.0] * 3)
