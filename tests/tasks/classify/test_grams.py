"""Counted groups of symbols against plain counting, example by example."""

from collections import Counter
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_labelled import SMALL, reviews

import ricorso
from ricorso import bundle
from ricorso.errors import RunError
from ricorso.tasks.classify import grams as grams_module
from ricorso.tasks.classify.grams import Grams, groups
from ricorso.tasks.classify.task import Classifier

SYMBOLS = 4


def plain(sequence: list[int], longest: int) -> set[tuple[int, ...]]:
    return {tuple(sequence[n : n + size]) for size in range(1, longest + 1) for n in range(len(sequence) - size + 1)}


def naive_bayes(sequences: list[list[int]], own: list[bool], longest: int) -> dict[tuple[int, ...], float]:
    """The weight of each group for one label, counted in the plainest way."""
    inside: Counter[tuple[int, ...]] = Counter()
    outside: Counter[tuple[int, ...]] = Counter()
    for sequence, label in zip(sequences, own, strict=True):
        (inside if label else outside).update(plain(sequence, longest))
    known = {*inside, *outside}
    sums = [sum(counts.values()) + len(known) for counts in (inside, outside)]
    return {key: log((inside[key] + 1) / sums[0]) - log((outside[key] + 1) / sums[1]) for key in known}


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[int]], np.ndarray[Any, Any], int]:
    sequence = st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=6)
    sequences = draw(st.lists(sequence, min_size=3, max_size=24))
    flags = st.lists(st.booleans(), min_size=2, max_size=2)
    targets = np.array([draw(flags) for _ in sequences])
    targets[0], targets[1] = [True, False], [False, True]
    return sequences, targets, draw(st.integers(1, 3))


def arrays(sequences: list[list[int]]) -> list[np.ndarray[Any, Any]]:
    return [np.array(own, np.int32) for own in sequences]


@settings(deadline=None, max_examples=60)
@given(problems())
def test_scores_are_those_of_plain_counting_by_all_and_by_the_others(
    problem: tuple[list[list[int]], np.ndarray[Any, Any], int],
) -> None:
    sequences, targets, longest = problem
    parts = np.random.default_rng(0).permutation(len(sequences)) % min(10, len(sequences))
    learnt, honest = Grams.of(arrays(sequences), targets, SYMBOLS, longest)
    share = targets.mean(0).clip(1e-6, 1 - 1e-6)
    prior = np.log(share / (1 - share))
    whole, without = np.zeros(targets.shape), np.zeros(targets.shape)
    for label in range(2):
        own = targets[:, label].tolist()
        weights = naive_bayes(sequences, own, longest)
        for row, sequence in enumerate(sequences):
            found = plain(sequence, longest)
            whole[row, label] = prior[label] + sum(weights[key] for key in found)
            rest = np.flatnonzero(parts != parts[row])
            others = naive_bayes([sequences[n] for n in rest], [own[n] for n in rest], longest)
            without[row, label] = prior[label] + sum(others.get(key, 0.0) for key in found)
    scale = 1 / max(without.std(), 1e-6)
    assert learnt.scores(arrays(sequences)) == pytest.approx(whole * scale, rel=1e-4, abs=1e-4 * max(scale, 1))
    assert honest == pytest.approx(without * scale, rel=1e-4, abs=1e-4 * max(scale, 1))


@given(st.lists(st.integers(0, SYMBOLS - 1), max_size=7), st.integers(1, 4))
def test_no_two_groups_have_one_number(sequence: list[int], longest: int) -> None:
    found = groups(np.array(sequence, np.int32), SYMBOLS, longest)
    assert len(set(found.tolist())) == len(plain(sequence, longest))


@pytest.fixture(scope="module")
def learnt() -> Grams:
    draw = np.random.default_rng(0)
    sequences = [draw.integers(0, SYMBOLS, draw.integers(1, 9)) for _ in range(30)]
    return Grams.of(sequences, np.eye(3, dtype=bool)[draw.integers(0, 3, 30)], SYMBOLS, 3)[0]


def test_a_running_sequence_is_scored_like_each_of_its_beginnings(learnt: Grams) -> None:
    sequence = np.array([0, 1, 1, 0, 1, 3, 3, 0, 1, 1])
    stream = learnt.stream()
    for end, symbol in enumerate(sequence.tolist(), 1):
        stream.push(symbol)
        assert stream.score == pytest.approx(learnt.scores([sequence[:end]])[0], abs=1e-5)


def test_what_each_step_spoke_adds_up_to_the_score(learnt: Grams) -> None:
    for sequence in ([2], [0, 1, 1, 0, 1, 3, 3, 0, 1, 1], [3, 3, 3, 3]):
        steps = np.array(sequence)
        assert learnt.spoke(steps).sum(0) + learnt.prior == pytest.approx(learnt.scores([steps])[0], abs=1e-5)
    # a symbol of its own is told by its own place
    assert learnt.spoke(np.array([2]))[0] == pytest.approx(learnt.weights[learnt.keys == 3][0])


def test_of_too_many_groups_the_frequent_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grams_module, "_MOST_GROUPS", 2)
    sequences = arrays([[0], [1, 0], [1, 2], [3]])
    few, honest = Grams.of(sequences, np.eye(2, dtype=bool)[[0, 1, 0, 1]], SYMBOLS, 2)
    assert few.keys.tolist() == [1, 2]
    assert honest.shape == (4, 2)
    assert honest[3] == pytest.approx(few.prior)


def test_a_model_adds_what_counting_says_to_what_it_read(tmp_path: Path) -> None:
    texts, labels = reviews()
    classifier = Classifier(**SMALL).fit(texts, labels)
    counted, coding = classifier.model_.counted, classifier.coding_
    assert counted is not None
    assert coding.grams is not None
    assert classifier.config_.grams == 2
    said = coding.grams.scores([coding.encode(text) for text in texts]) @ counted.weight.detach().numpy().T
    before = np.log(classifier.predict_proba(texts)) * float(classifier.model_.temperature)
    counted.weight.data.zero_()
    after = np.log(classifier.predict_proba(texts)) * float(classifier.model_.temperature)
    assert np.diff(before - after) == pytest.approx(np.diff(said), abs=1e-3)
    assert Classifier(**SMALL | {"grams": 0}).fit(texts, labels).coding_.grams is None


def test_damaged_counts_are_refused(tmp_path: Path) -> None:
    folder = Classifier(**SMALL | {"epochs": 1}).fit(*reviews(24)).save(tmp_path / "run")
    whole = bundle.read_tensors(folder / bundle.COUNTS)
    for change, message in (
        ({"keys": whole["keys"][::-1].copy()}, "does not fit"),
        ({"prior": whole["prior"][:1]}, "does not fit"),
        ({"weights": whole["weights"].astype(np.float64)}, "does not fit"),
        ({"prior": None}, "holds no 'prior'"),
    ):
        kept = {name: values for name, values in (whole | change).items() if values is not None}
        (folder / bundle.COUNTS).write_bytes(bundle.to_safetensors(kept))
        bundle.seal(folder)
        with pytest.raises(RunError, match=message):
            ricorso.load(folder)
