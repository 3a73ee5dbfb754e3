"""What is read and split for the tag task, and what is said of data that cannot be used."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_tagging import SMALL, sentences, write_columns

from ricorso.errors import DataError
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.data import TagData, read, split
from ricorso.tasks.tag.metrics import figures_table
from ricorso.tasks.tag.task import Tagger
from ricorso.tasks.tag.work import TagWork


@pytest.fixture(scope="module")
def fitted() -> Tagger:
    return Tagger(**SMALL | {"epochs": 2}).fit(sentences())


def test_a_wrong_tag_is_told_with_the_line_of_its_sentence(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "a.train", [*sentences(2), (["Paul", "Baker"], ["O", "I-PER"])])
    line = path.read_text(encoding="utf-8").split("\n").index("Paul O") + 1
    with pytest.raises(
        DataError, match=f"a.train, sequence 3 .from line {line}., word 2: 'I-PER' cannot stand after 'O'"
    ):
        Tagger(**SMALL | {"invalid": "error", "scheme": "IOB2"}).fit(path)


def test_missing_features_are_marked(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    series = []
    for _ in range(40):
        values = draw.normal(size=(8, 2))
        gone = draw.random(8) < 0.4
        values[gone, 0] = np.nan
        series.append((values, ["gone" if own else "here" for own in gone]))
    tagger = Tagger(**SMALL | {"epochs": 10}).fit(series)
    assert tagger.evaluate(series)["accuracy"] > 0.95
    tagger.save(tmp_path / "run")
    assert Tagger.load(tmp_path / "run").predict([series[0][0]]) == tagger.predict([series[0][0]])
    whole = [(np.nan_to_num(values), tags) for values, tags in series]
    unmarked = Tagger(**SMALL | {"epochs": 1}).fit(whole)
    assert np.isfinite(unmarked.probabilities([series[0][0]])[0]).all()


def test_a_tag_of_one_sequence_stays_in_training() -> None:
    pairs = [(["a", "b"], ["X", "Y"])] * 6
    for place in range(7):
        own = [*pairs[:place], (["c"], ["Z"]), *pairs[place:]]
        train, held_out = split(read(own, TagConfig()), TagConfig(validation_fraction=0.5))
        assert any("Z" in tags for tags in train.tags)
        assert held_out is not None
        assert (len(train.tags), len(held_out.tags)) == (3, 4)
    alone, none = split(read([(["a"], ["X"]), (["b"], ["Y"])], TagConfig()), TagConfig())
    assert (len(alone.tags), none) == (2, None)


def test_tags_that_training_lacks_are_told(fitted: Tagger) -> None:
    unseen = [(["Paul", "sees", "it"], ["B-GOD", "O", "X"])]
    figures = fitted.evaluate(unseen)
    assert figures["unseen"] == ["B-GOD", "X"]
    assert "Tags that training lacked count as wrong: 'B-GOD', 'X'" in figures_table(figures)
    assert fitted.evaluate(sentences(5))["unseen"] == []
    told = Tagger(**SMALL | {"epochs": 1}).fit(sentences(30), [*sentences(5), *unseen]).told_
    assert "tags for validation that training lacks count as wrong: 'B-GOD', 'X'" in told


def test_why_tags_mark_no_spans_is_told() -> None:
    tagger = Tagger(**SMALL | {"epochs": 1}).fit([*sentences(10), (["Paul"], ["PER"])])
    assert tagger.scheme_ is None
    assert "tags mark no spans, since some are of another form: 'PER'" in tagger.told_


def test_one_long_sequence_among_short_ones_is_no_padding_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, a batch costs as many steps as it has, and gives the same loss and gradients."""
    pairs = [*sentences(20), (["Paul"] * 40_000, ["O"] * 40_000)]
    options = SMALL | {"epochs": 1, "dropout": 0.0, "word_dropout": 0.0, "rare_dropout": 0.0, "crf": False}
    tagger = Tagger(**options).fit(sentences(20))
    data = TagData(read(pairs, tagger.config_), None)
    work = TagWork(
        tagger.model_, data, tagger._inputs, tagger._tags, tagger.config_.model_copy(update={"batch_size": 21})
    )
    batch = work.batch(0, 0, slice(None))
    parts = batch.parts()
    assert sorted(part.lengths.numel() for part in parts) == [1, 20]
    assert sum(part.lengths.numel() * int(part.lengths.max()) for part in parts) < 40_500
    found = []
    for own in (parts, [batch]):
        monkeypatch.setattr(type(batch), "parts", lambda _, own=own: own)
        tagger.model_.zero_grad()
        loss, _ = work.loss(batch, None)
        loss.backward()
        found.append((loss, [p.grad.clone() for p in tagger.model_.parameters() if p.grad is not None]))
    torch.testing.assert_close(found[0][0], found[1][0])
    for a, b in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)
