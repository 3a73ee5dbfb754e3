"""Given vectors of words beside the learnt ones: unseen words, cases, keeping, going on, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_labelled import SMALL, recordings, reviews
from stopping import StopAt

import ricorso
from ricorso.errors import DataError, UsageError
from ricorso.tasks.classify.task import Classifier
from ricorso.training.interrupt import TrainingInterrupted

GIVEN = {
    "lovely": (1.0, 0.0, 0.2), "moving": (1.0, 0.1, 0.0), "fine": (0.9, 0.0, 0.1), "Gorgeous": (1.0, 0.0, 0.1),
    "dull": (-1.0, 0.0, 0.1), "tired": (-1.0, 0.1, 0.0), "poor": (-0.9, 0.0, 0.2), "dreary": (-1.0, 0.1, 0.1),
    "Dull": (9.0, 9.0, 9.0), "don't-know": (0.0, 5.0, 5.0),
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lines = [" ".join([word, *map(str, numbers)]) for word, numbers in GIVEN.items()]
    (tmp_path / "vectors.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "vectors.txt"


def test_words_that_only_the_file_knows_are_understood(path: Path) -> None:
    options = SMALL | {"grams": 0, "epochs": 20, "embedding_size": 1, "vectors": str(path)}
    classifier = Classifier(**options).fit(*reviews())
    assert classifier.predict(["a gorgeous story", "dreary and dreary"]) == ["good", "bad"]
    assert "10 given vectors of 3" in classifier.told_
    model, vocabulary = classifier.model_, classifier.coding_.vocabulary
    assert model.given is not None
    assert vocabulary is not None
    for word in ("lovely", "gorgeous", "dull"):
        number = int(vocabulary.encode(word)[0])
        wanted = GIVEN["Gorgeous" if word == "gorgeous" else word]
        assert model.given[number].tolist() == pytest.approx(wanted)
    assert not model.given[int(vocabulary.encode("the")[0])].any()
    assert not model.given[0].any()
    assert model.embedding is not None
    assert model.embedding.num_embeddings < len(vocabulary) == len(model.given)


def test_kept_streamed_and_explained_it_says_the_same(path: Path, tmp_path: Path) -> None:
    classifier = Classifier(**SMALL | {"vectors": str(path), "bidirectional": False}).fit(*reviews())
    text = "the film was gorgeous"
    chances = classifier.predict_proba([text])[0]
    loaded = ricorso.load(classifier.save(tmp_path / "run"))
    assert isinstance(loaded, Classifier)
    assert (loaded.predict_proba([text])[0] == chances).all()
    stream = loaded.stream()
    for word in text.split():
        found = stream.step(word)
    assert found == pytest.approx(chances, abs=1e-6)
    assert [word for word, _ in loaded.explain(text)] == text.split()


@pytest.mark.parametrize("steps", [3, 100])
def test_a_stopped_training_goes_on_to_the_same_weights(path: Path, tmp_path: Path, steps: int) -> None:
    options = SMALL | {"vectors": str(path), "checkpoint_steps": steps}
    texts, labels = reviews()
    whole = Classifier(**options).fit(texts, labels)
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        Classifier(**options).fit(texts, labels, out=tmp_path / "run", listener=StopAt(4))
    resumed = Classifier.resume(tmp_path / "run", texts, labels=labels)
    for name, weight in whole.model_.state_dict().items():
        assert torch.equal(resumed.model_.state_dict()[name], weight), name


def test_vectors_are_not_changed_by_training(path: Path) -> None:
    classifier = Classifier(**SMALL | {"vectors": str(path), "vectors_limit": 4}).fit(*reviews())
    assert classifier.model_.given is not None
    found = classifier.model_.given.numpy()
    assert np.unique(found[found.any(1)], axis=0) == pytest.approx(
        np.unique(np.array(list(GIVEN.values())[:4], np.float32), axis=0)
    )


def test_where_vectors_do_not_fit_that_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vectors are of words; leave out init_from"):
        Classifier(**SMALL, vectors=str(path), level="byte").fit(*reviews(24))
    with pytest.raises(UsageError, match="the texts are read otherwise"):
        Classifier(**SMALL, vectors=str(path)).fit(["Rossi", "Meyer"] * 8, ["i", "d"] * 8)
    with pytest.raises(UsageError, match="the texts are read otherwise"):
        Classifier(vectors=str(path), epochs=1).fit(*recordings())
    with pytest.raises(DataError, match="There is no file"):
        Classifier(**SMALL, vectors=str(tmp_path / "none.txt")).fit(*reviews(24))
