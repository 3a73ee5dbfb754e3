from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ricorso.cells import get_cell
from ricorso.data.vocabulary import CharacterVocabulary
from ricorso.errors import UsageError
from ricorso.insight.feature import features
from ricorso.insight.passage import take
from ricorso.insight.units import Activity, Unit, correlations

TEXT = 'Ann said "no (or so)" twice.\n  Then "yes".\n' * 12


class Planted:
    """Layers of noise in which a few units follow the text."""

    def __init__(self, passage, planted, states=2, hidden=8):
        self.cell = SimpleNamespace(states=get_cell("lstm").states[:states])
        rng = np.random.default_rng(0)
        self.values = [rng.normal(size=(len(passage.ids) - 1, hidden)) for _ in range(states)]
        for (state, unit), values in planted.items():
            self.values[state][:, unit] = values
        self.passage = passage

    def after(self, state):
        values = torch.from_numpy(self.values[state])
        return values.reshape(self.passage.windows, self.passage.steps, -1).transpose(0, 1)


@pytest.fixture
def activity():
    passage = take(TEXT, CharacterVocabulary.of(TEXT), steps=50, units=16)
    known = features(passage.pieces[:-1])
    first = Planted(passage, {(1, 3): 2 * known["inside double quotes"] + 0.1, (0, 6): -known["position in the line"]})
    second = Planted(passage, {(0, 2): known["inside brackets"] - 0.5})
    return Activity([first, second], passage)


def test_the_planted_units_are_found(activity):
    found = {follower.feature: follower for follower in activity.followers()}
    assert found["inside double quotes"].unit == Unit(1, "c", 3)
    assert found["inside double quotes"].correlation == pytest.approx(1)
    assert found["position in the line"].unit == Unit(1, "h", 6)
    assert found["position in the line"].correlation == pytest.approx(-1)
    assert found["inside brackets"].unit == Unit(2, "h", 2)
    assert abs(found["inside a word"].correlation) < 0.9


def test_the_excerpt_shows_the_feature(activity):
    found = {follower.feature: follower for follower in activity.followers()}["inside double quotes"]
    text = "".join(found.pieces)
    assert text in TEXT
    values = dict(zip(range(len(found.values)), found.values, strict=True))
    inside = text.index('"') + 1
    assert values[inside] == 1
    assert values[text.index("\n")] < 0.1


def test_a_property_the_text_lacks_is_left_out():
    passage = take("plain words and no more\n" * 20, CharacterVocabulary.of(TEXT), steps=50, units=16)
    names = [follower.feature for follower in Activity([Planted(passage, {})], passage).followers()]
    assert names == ["position in the line", "inside a word"]


def test_a_unit_that_is_asked_for_is_one_of_the_top_layer(activity):
    assert activity.unit(5).unit == Unit(2, "h", 5)
    with pytest.raises(UsageError, match="units 0 to 7"):
        activity.unit(8)


def test_correlations_are_those_of_numpy():
    rng = np.random.default_rng(1)
    values, feature = rng.normal(size=(50, 3)), rng.normal(size=50)
    expected = [np.corrcoef(column, feature)[0, 1] for column in values.T]
    assert correlations(values, feature).tolist() == pytest.approx(expected)
