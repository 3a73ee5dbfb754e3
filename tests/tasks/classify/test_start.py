"""A classifier that starts from a language model: what it takes over, how it unfreezes, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_labelled import SMALL, recordings, reviews
from stopping import StopAt

import ricorso
from ricorso.errors import RunError, UsageError
from ricorso.tasks.classify.task import Classifier
from ricorso.tasks.generate.task import Generator
from ricorso.training.interrupt import TrainingInterrupted
from ricorso.training.listener import Listener

READER: dict[str, Any] = {
    "level": "word", "hidden_size": 8, "embedding_size": 4, "num_layers": 2, "cell": "lstm", "epochs": 1, "threads": 1,
    "samples": 0, "sequence_length": 16, "batch_size": 4, "minimum_count": 1,
}  # fmt: skip
START = {name: value for name, value in SMALL.items() if name != "embedding_size"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader") / "run"
    Generator(**READER).fit("\n".join(reviews()[0]) + "\n", out=folder)
    return folder


class Weights(Listener):
    """Keeps a copy of all weights after each step."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier, self.steps = classifier, list[dict[str, torch.Tensor]]()

    def on_step(self, figures: Any) -> None:
        own = self.classifier.model_.named_parameters()
        self.steps.append({name: parameter.detach().clone() for name, parameter in own})


def test_it_reads_as_the_language_model_does(reader: Path) -> None:
    classifier = Classifier(**START | {"epochs": 1, "init_from": str(reader), "learning_rate": 1e-12, "average": 0.0})
    classifier.fit(*reviews())
    generator = ricorso.load(reader)
    assert isinstance(generator, Generator)
    config, text = classifier.config_, "the film was lovely"
    assert (config.cell, config.num_layers, config.embedding_size, config.level) == ("lstm", 2, 4, "word")
    assert not config.bidirectional
    ids = torch.from_numpy(generator.vocabulary_.encode(text)).long()[:, None]
    assert classifier.coding_.encode(text).tolist() == ids[:, 0].tolist()
    model = classifier.model_.eval()
    read, _ = model.recurrent(model.embedded(ids))
    wanted, _ = generator.model_.recurrent(generator.model_._inputs(ids))
    assert torch.allclose(read, wanted, atol=1e-5)
    assert read.abs().max() > 0.01


@pytest.mark.parametrize(("unfreeze", "first"), [(None, 1), (2, 2), (0, 0)])
def test_layers_begin_to_learn_one_after_the_other_from_the_top(reader: Path, unfreeze: int | None, first: int) -> None:
    classifier = Classifier(
        **START | {"epochs": 8, "init_from": str(reader), "unfreeze_epochs": unfreeze, "log_every": 1}
    )
    seen = Weights(classifier)
    classifier.fit(*reviews(40), listener=seen)
    batches = 3  # of 36 examples by 16
    places = {"head.": 0, "recurrent.weight_hh_l1": 1, "recurrent.weight_hh_l0": 2, "embedding.": 3}
    for name in seen.steps[0]:
        for part, place in places.items():
            if name.startswith(part):
                changed = [
                    n for n in range(1, len(seen.steps)) if (seen.steps[n][name] != seen.steps[n - 1][name]).any()
                ]
                assert changed[0] == max(1, place * first * batches), name
    assert all(parameter.requires_grad for parameter in classifier.model_.parameters())


@pytest.mark.parametrize("steps", [3, 100])
def test_a_stopped_training_goes_on_to_the_same_weights(reader: Path, tmp_path: Path, steps: int) -> None:
    options = START | {"init_from": str(reader), "checkpoint_steps": steps, "dropout": 0.3}
    texts, labels = reviews()
    whole = Classifier(**options).fit(texts, labels)
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        Classifier(**options).fit(texts, labels, out=tmp_path / "run", listener=StopAt(8))
    resumed = Classifier.resume(tmp_path / "run", texts, labels=labels)
    for name, weight in whole.model_.state_dict().items():
        assert bool((resumed.model_.state_dict()[name] == weight).all()), name
    loaded = ricorso.load(tmp_path / "run")
    assert isinstance(loaded, Classifier)
    assert (loaded.predict_proba(texts) == resumed.predict_proba(texts)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 9}, "hidden_size is 8 in the run to start from, got 9"),
        ({"level": "byte"}, "level is word in the run"),
        ({"unfreeze_epochs": 2, "init_from": None}, "give init_from as well"),
        ({"init_from": "nowhere"}, "There is no run folder 'nowhere'"),
    ],
)
def test_what_does_not_fit_the_run_is_told(reader: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, RunError), match=message):
        Classifier(**START | {"init_from": str(reader)} | options).fit(*reviews(24))


def test_only_a_language_model_with_vectors_of_texts_is_a_start(reader: Path, tmp_path: Path) -> None:
    Classifier(**SMALL | {"epochs": 1}).fit(*reviews(24), out=tmp_path / "labels")
    with pytest.raises(UsageError, match="is a run of 'classify'"):
        Classifier(**START, init_from=str(tmp_path / "labels")).fit(*reviews(24))
    bare = READER | {"level": "character", "embedding_size": None}
    Generator(**bare).fit("\n".join(reviews()[0]), out=tmp_path / "bare")
    with pytest.raises(UsageError, match="reads symbols without vectors"):
        Classifier(**START, init_from=str(tmp_path / "bare")).fit(*reviews(24))
    series = {name: value for name, value in START.items() if name != "hidden_size"}
    with pytest.raises(UsageError, match="init_from is for texts"):
        Classifier(**series, init_from=str(reader)).fit(*recordings())
