"""How good labels and their probabilities are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
BINS = 10


def figures(probabilities: Floats, chosen: Flags, truth: Flags, labels: Sequence[str], several: bool) -> dict[str, Any]:
    """Measures of `chosen` labels and probabilities against the truth, (examples, labels) each.

    accuracy (of several labels: all of them right), f1_macro, f1_micro, log_loss, roc_auc (the mean over labels, where
    both outcomes occur), calibration_error (the mean distance of confidence and hits in ten bins), `labels`: precision,
    recall, f1, roc_auc and support of each; `confusion` for single labels: rows are the truth.
    """
    hits, given, wanted = (truth & chosen).sum(0), chosen.sum(0), truth.sum(0)
    f1 = _share(2 * hits, given + wanted)
    areas = [roc_auc(probabilities[:, n], truth[:, n]) for n in range(len(labels))]
    seen = wanted + given > 0
    measured = {
        "accuracy": float((chosen == truth).all(1).mean()),
        "f1_macro": float(f1[seen].mean()) if seen.any() else float("nan"),
        "f1_micro": float(_share(2 * hits.sum(), given.sum() + wanted.sum())),
        "log_loss": _log_loss(probabilities, truth, several),
        "roc_auc": _mean(areas),
        "calibration_error": calibration_error(probabilities, truth, several),
        "examples": len(truth),
        "labels": {
            label: {
                "precision": float(_share(hits[n], given[n])),
                "recall": float(_share(hits[n], wanted[n])),
                "f1": float(f1[n]),
                "roc_auc": areas[n],
                "support": int(wanted[n]),
            }
            for n, label in enumerate(labels)
        },
    }
    if not several:
        counts = np.zeros((len(labels), len(labels)), np.int64)
        np.add.at(counts, (truth.argmax(1), chosen.argmax(1)), 1)
        measured["confusion"] = counts.tolist()
    return measured


def roc_auc(scores: Floats, truth: Flags) -> float:
    """The chance that a positive example has a higher score than a negative one; ties count half. NaN without both.

    >>> roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def bins(probabilities: Floats, truth: Flags, several: bool) -> list[tuple[float, float, int]]:
    """Mean confidence, share of hits and count in each of ten bins of confidence that is not empty."""
    if several:
        confidence, hit = probabilities.ravel(), truth.ravel()
    else:
        best = probabilities.argmax(1)
        rows = np.arange(len(best))
        confidence, hit = probabilities[rows, best], truth[rows, best]
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        (float(confidence[place == n].mean()), float(hit[place == n].mean()), int((place == n).sum()))
        for n in range(BINS)
        if (place == n).any()
    ]


def calibration_error(probabilities: Floats, truth: Flags, several: bool) -> float:
    """The mean distance between confidence and hits over the bins, weighted by their counts."""
    found = bins(probabilities, truth, several)
    return sum(abs(confidence - hits) * count for confidence, hits, count in found) / sum(n for _, _, n in found)


def best_threshold(probabilities: Floats, truth: Flags) -> float:
    """The probability from which on to give a label, so that micro F1 on these examples is best; 0.5 without labels.

    It is one for all labels: the best one for each alone fits chance where the label is rare, and gives a label that
    is hard to tell to nearly every example.
    """
    if not truth.any():
        return 0.5
    order = np.argsort(-probabilities, axis=None, kind="stable")
    falling = np.append(probabilities.ravel()[order], 0.0)
    hits = np.cumsum(truth.ravel()[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + truth.sum())
    # equal probabilities are given together
    f1[falling[:-1] == falling[1:]] = 0
    best = int(f1.argmax())
    return float(falling[best] + falling[best + 1]) / 2


def _log_loss(probabilities: Floats, truth: Flags, several: bool) -> float:
    clipped = probabilities.clip(1e-12, 1)
    if several:
        each = np.where(truth, np.log(clipped), np.log((1 - probabilities).clip(1e-12, 1)))
        return float(-each.mean())
    return float(-np.log(clipped[truth]).mean())


def _share(part: Any, whole: Any) -> Any:
    return np.divide(part, whole, out=np.zeros_like(np.asarray(whole, float)), where=np.asarray(whole) > 0)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
