"""The Classifier as its users meet it: fit, predict, evaluate, explain, keep, go on, and refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_labelled import SERIES, SMALL, recordings, reviews
from stopping import StopAt

import ricorso
from ricorso.data.examples import read_examples
from ricorso.errors import DataError, RunError, UsageError
from ricorso.layers.pooling import POOLINGS
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.data import chosen
from ricorso.tasks.classify.task import Classifier
from ricorso.training.interrupt import TrainingInterrupted


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier(**SMALL).fit(*reviews())


@pytest.fixture(scope="module")
def moving() -> Classifier:
    return Classifier(**SERIES).fit(*recordings(missing=True))


def test_it_learns_words_and_tells_what_was_chosen(fitted: Classifier) -> None:
    assert fitted.coding_.labels == ("bad", "good")
    assert fitted.predict(["a lovely story", "dull, tired"]) == ["good", "bad"]
    assert "a step is a word" in fitted.told_
    assert fitted.config_.level == "word"
    assert fitted.validation_ is not None
    assert fitted.validation_["examples"] == 10
    assert fitted.validation_["baseline"]["name"] == "bag of words"
    assert fitted.best_["validation_loss"] is not None


def test_probabilities_are_those_of_the_labels_in_order(fitted: Classifier) -> None:
    texts, labels = reviews()
    found = fitted.predict_proba(texts)
    assert found.shape == (96, 2)
    assert found.sum(1) == pytest.approx(1)
    assert [fitted.coding_.labels[n] for n in found.argmax(1)] == fitted.predict(texts)
    assert np.mean([a == b for a, b in zip(fitted.predict(texts), labels, strict=True)]) > 0.9
    assert fitted.predict([]) == []


def test_an_example_is_labelled_alike_alone_and_in_company(fitted: Classifier, moving: Classifier) -> None:
    for classifier, inputs in ((fitted, reviews()[0][:9]), (moving, recordings(missing=True)[0][:9])):
        together = classifier.predict_proba(inputs)
        alone = np.concatenate([classifier.predict_proba([one]) for one in inputs])
        assert together == pytest.approx(alone, abs=1e-5)


def test_evaluate_measures_and_needs_known_labels(fitted: Classifier) -> None:
    figures = fitted.evaluate(*reviews())
    assert figures["accuracy"] > 0.9
    assert figures["labels"]["good"]["support"] == 48
    assert sum(map(sum, figures["confusion"])) == 96
    assert sum(count for _, _, count in figures["bins"]) == 96
    with pytest.raises(DataError, match=r"text 2: the label 'great' was not there in training. Known: 'bad', 'good'"):
        fitted.evaluate(["a", "b"], ["good", "great"])
    with pytest.raises(DataError, match="has no labels"):
        fitted.evaluate(["a lovely film", "a dull film"])


def test_a_table_has_a_row_for_each_example_and_its_reasons(fitted: Classifier) -> None:
    frame = fitted.table(pl.DataFrame({"text": ["a lovely film", "poor parts"]}), explain=True)
    assert frame.columns == ["id", "label", "p(bad)", "p(good)", "because"]
    assert frame["label"].to_list() == ["good", "bad"]
    assert [because.split()[0] for because in frame["because"]] == ["lovely", "poor"]
    assert "because" not in fitted.table(["a lovely film"]).columns


def test_explain_weighs_every_word_for_a_label(fitted: Classifier) -> None:
    told = dict(fitted.explain("the film was dull"))
    assert list(told) == ["the", "film", "was", "dull"]
    assert told["dull"] == max(told.values()) == 1
    against = dict(fitted.explain("the film was dull", label="good"))
    assert against["dull"] == pytest.approx(-1)
    with pytest.raises(UsageError, match=r"no label 'great'\. Known: bad, good"):
        fitted.explain("the film", label="great")


def test_explain_names_steps_of_recordings_and_symbols_of_any_level(moving: Classifier) -> None:
    one = recordings()[0][0]
    assert [name for name, _ in moving.explain(one)] == [f"step {n}" for n in range(1, len(one) + 1)]
    for level, pieces in (("character", ["h", "é", "t"]), ("byte", ["h", "\ufffd", "\ufffd", "t"])):
        classifier = Classifier(**SMALL | {"level": level, "epochs": 1}).fit(*reviews(24))
        assert [piece for piece, _ in classifier.explain("hét")] == pieces
        assert classifier.explain("")[0][0] == ""


@pytest.mark.parametrize("level", ["word", "character", "byte"])
def test_every_level_learns(level: str) -> None:
    texts = ["aaab", "abaa", "aab", "zzyz", "yzz", "zyzz"] * 8
    labels = ["a", "a", "a", "z", "z", "z"] * 8
    classifier = Classifier(**SMALL | {"level": level}).fit(texts, labels)
    assert classifier.predict(["aaab", "yzz"]) == ["a", "z"]
    assert len(classifier.coding_.vocabulary) == {"word": 7, "character": 6, "byte": 256}[level]


def test_bpe_learns_too() -> None:
    pytest.importorskip("tokenizers", reason="needs the extra text")
    classifier = Classifier(**SMALL | {"level": "bpe", "vocabulary_size": 300}).fit(*reviews())
    assert classifier.predict(["a lovely story"]) == ["good"]
    assert "".join(piece for piece, _ in classifier.explain("a lovely story")) == "a lovely story"


def test_names_are_read_by_character() -> None:
    classifier = Classifier(**SMALL | {"epochs": 1}).fit(["Rossi", "Bianchi", "Meyer", "Braun"] * 4, list("iidd") * 4)
    assert classifier.config_.level == "character"


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", [*((kind,) for kind in POOLINGS), POOLINGS])
def test_every_pooling_in_both_directions(pooling: tuple[str, ...], bidirectional: bool) -> None:
    options = SMALL | {"pooling": pooling, "bidirectional": bidirectional, "epochs": 10}
    classifier = Classifier(**options).fit(*reviews())
    figures = classifier.evaluate(*reviews())
    assert figures["accuracy"] > 0.8
    assert classifier.model_.head.in_features == 8 * (1 + bidirectional) * len(pooling)


@pytest.mark.parametrize("options", [{"cell": "lstm", "num_layers": 2}, {"segment": 4}, {"cell": "mingru"}])
def test_other_cells_layers_and_segments(options: dict[str, Any]) -> None:
    regularised = {"dropout": 0.2, "input_dropout": 0.1, "word_dropout": 0.1}
    classifier = Classifier(**SMALL | regularised | {"epochs": 10} | options).fit(*reviews())
    assert classifier.evaluate(*reviews())["accuracy"] > 0.8


def test_recordings_are_ragged_and_may_have_gaps(moving: Classifier) -> None:
    inputs, labels = recordings(missing=True)
    assert moving.coding_.features is not None
    assert moving.coding_.features.scale.marks
    assert moving.evaluate(inputs, labels)["accuracy"] > 0.9
    assert moving.validation_ is not None
    assert moving.validation_["baseline"]["name"] == "summary of each recording"
    gap = moving.coding_.encode(np.array([[np.nan, 1.0]], np.float32))[0]
    assert gap[[0, 2, 3]].tolist() == [0, 1, 0]
    assert np.isfinite(moving.predict_proba([np.full((3, 2), np.nan, np.float32)])).all()


def test_a_table_of_recordings_gives_what_arrays_give() -> None:
    inputs, labels = recordings(24)
    rows = [
        {"run": f"r{n}", "t": t, "x": float(row[0]), "y": float(row[1]), "label": labels[n]}
        for n, one in enumerate(inputs)
        for t, row in enumerate(one)
    ]
    roles = {"example": "run", "time": "t", "label": "label"}
    table = pl.DataFrame(rows)
    of_table = Classifier(**SERIES | roles).fit(table.sample(fraction=1, shuffle=True, seed=0))
    assert of_table.coding_.features is not None
    assert of_table.coding_.features.names == ("x", "y")
    assert of_table.predict_proba(inputs) == pytest.approx(of_table.predict_proba(table.drop("label")))


def test_several_labels_have_a_threshold_of_their_own() -> None:
    texts, _ = reviews(160)
    said = [[word for word in ("film", "story", "parts") if word in text.split()] for text in texts]
    classifier = Classifier(**SMALL | {"epochs": 12}).fit(texts, said)
    assert classifier.config_.several
    assert classifier.coding_.labels == ("film", "parts", "story")
    figures = classifier.evaluate(texts, said)
    assert figures["f1_micro"] > 0.8
    assert "confusion" not in figures
    assert set(classifier.predict(texts)) <= {tuple(own) for own in _subsets(("film", "parts", "story"))}
    thresholds = classifier.model_.thresholds
    assert not (thresholds == 0.5).any()
    chosen = classifier.predict_proba(texts) >= thresholds.double().numpy()
    assert classifier.table(texts)["label"][0] == "|".join(np.array(classifier.coding_.labels)[chosen[0]])


def _subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for name in names:
        found += [(*one, name) for one in found]
    return found


def test_class_weights_count_a_rare_class_as_much_as_a_frequent_one() -> None:
    texts, labels = ["the same words"] * 60, ["often"] * 54 + ["rarely"] * 6
    options = SMALL | {"epochs": 20, "validation_fraction": 0}
    for weights, share in ((None, 0.1), ("balanced", 0.5)):
        classifier = Classifier(**options, class_weights=weights).fit(texts, labels)
        assert classifier.predict_proba(texts[:1])[0, 1] == pytest.approx(share, abs=0.07)


@pytest.mark.parametrize("pooling", [("last",), ("last", "max", "mean")])
def test_a_stream_ends_where_the_whole_sequence_does(pooling: tuple[str, ...]) -> None:
    options = {"bidirectional": False, "pooling": pooling, "num_layers": 2}
    texts = Classifier(**SMALL | options).fit(*reviews())
    stream = texts.stream()
    for _ in range(2):
        for piece in ("the film", " ", "", "was lovely"):
            found = stream.step(piece)
        assert stream.steps == 4
        assert found == pytest.approx(texts.predict_proba(["the film was lovely"])[0], abs=1e-6)
        stream.reset()
    series = Classifier(**SERIES | options).fit(*recordings(missing=True))
    one, stream = recordings(missing=True)[0][4], series.stream()
    each = [stream.step(step) for step in one]
    assert np.array(each) == pytest.approx(
        np.concatenate([series.predict_proba([one[: n + 1]]) for n in range(len(one))]), abs=1e-6
    )


def test_a_stream_needs_a_model_that_reads_forward(fitted: Classifier) -> None:
    with pytest.raises(UsageError, match="bidirectional=False"):
        fitted.stream()
    attentive = Classifier(**SMALL | {"bidirectional": False, "pooling": ("attention",), "epochs": 1})
    attentive.fit(*reviews(24))
    with pytest.raises(UsageError, match="without attention"):
        attentive.stream()


def test_saved_and_loaded_it_says_the_same(fitted: Classifier, moving: Classifier, tmp_path: Path) -> None:
    for name, classifier, inputs in (("a", fitted, reviews()[0]), ("b", moving, recordings()[0])):
        classifier.save(tmp_path / name)
        loaded = ricorso.load(tmp_path / name)
        assert isinstance(loaded, Classifier)
        assert (loaded.predict_proba(inputs) == classifier.predict_proba(inputs)).all()
        assert loaded.told_ == classifier.told_
        assert loaded.validation_ is None


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    texts, labels = reviews()
    pl.DataFrame({"text": texts, "label": labels}).write_csv(path)
    options = SMALL | {"checkpoint_steps": 3, "dropout": 0.3, "input_dropout": 0.2, "word_dropout": 0.1}
    whole = Classifier(**options).fit(path)
    for name, given in (("file", (path,)), ("list", (texts, labels))):
        with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
            Classifier(**options).fit(*given, out=tmp_path / name, listener=StopAt(8))
    again = [Classifier.resume(tmp_path / "file"), Classifier.resume(tmp_path / "list", texts, labels=labels)]
    for resumed in again:
        for name, weight in whole.model_.state_dict().items():
            assert bool((resumed.model_.state_dict()[name] == weight).all()), name
        assert resumed.validation_ == whole.validation_


def test_a_training_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    texts, labels = reviews()
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        Classifier(**SMALL).fit(texts, labels, out=tmp_path / "run", listener=StopAt(8))
    with pytest.raises(RunError, match="in no file; give them again"):
        Classifier.resume(tmp_path / "run")
    with pytest.raises(RunError, match="not those that this run was trained on"):
        Classifier.resume(tmp_path / "run", [*texts[1:], "other"], labels=labels)


def test_validation_examples_may_be_given(tmp_path: Path) -> None:
    texts, labels = reviews()
    pair = Classifier(**SMALL | {"epochs": 1}).fit(texts[20:], labels[20:], (texts[:20], labels[:20]))
    assert pair.validation_ is not None
    assert pair.validation_["examples"] == 20
    for name, rows in (("train", slice(20, None)), ("valid", slice(20))):
        pl.DataFrame({"text": texts[rows], "label": labels[rows]}).write_csv(tmp_path / f"{name}.csv")
    filed = Classifier(**SMALL | {"epochs": 1}).fit(tmp_path / "train.csv", valid=tmp_path / "valid.csv")
    assert filed.validation_ == pair.validation_


def test_the_validation_loss_is_that_of_calibrated_probabilities() -> None:
    texts, labels = reviews()
    # half the labels are wrong, so that scores become too sure
    mixed = [("good", "bad")[n // 2 % 2] for n in range(len(labels))]
    pair = Classifier(**SMALL).fit(texts[24:], mixed[24:], (texts[:24], mixed[:24]))
    chances = pair.predict_proba(texts[:24])
    own = [pair.coding_.labels.index(label) for label in mixed[:24]]
    assert pair.best_["validation_loss"] == pytest.approx(-np.log(chances[range(24), own]).mean(), rel=1e-3)


def test_without_a_budget_the_passes_are_as_many_as_the_examples_need() -> None:
    options = {name: value for name, value in SMALL.items() if name != "epochs"}
    texts, labels = reviews(600)
    words = sum(len(text.split()) for text in texts) / len(texts)
    # 400 steps would be 6 passes; the texts are so short that 60 words of each are more
    assert round(60 / words) > 6
    assert Classifier(**options | {"batch_size": 8}).fit(texts, labels).best_["steps"] == round(60 / words) * 68
    longer = [" ".join([text, *["the"] * 60]) for text in texts]
    for size, passes in ((16, 11), (2, 3)):
        config, _ = chosen(read_examples(longer, labels), ClassifyConfig.of(options | {"batch_size": size}))
        assert config.epochs == passes
    several = read_examples(longer, [(label,) for label in labels], several=True)
    for examples in (several, read_examples(*recordings(600))):
        config, _ = chosen(examples, ClassifyConfig.of({"batch_size": 2}))
        assert config.epochs == 6
    assert Classifier(**options, minutes=0.01).fit(*reviews(24)).config_.epochs is None


def test_without_validation_nothing_is_measured() -> None:
    classifier = Classifier(**SMALL | {"epochs": 1, "validation_fraction": 0}).fit(*reviews(24))
    assert classifier.validation_ is None
    assert classifier.model_.temperature == 1


def test_a_class_with_one_example_stays_in_training() -> None:
    texts, labels = reviews(30)
    classifier = Classifier(**SMALL | {"epochs": 1}).fit([*texts, "odd one"], [*labels, "odd"])
    assert classifier.validation_ is not None
    assert classifier.coding_.labels == ("bad", "good", "odd")
    assert classifier.validation_["labels"]["odd"]["support"] == 0


def test_unknown_words_and_empty_texts_get_a_label_in_prediction(fitted: Classifier) -> None:
    found = fitted.predict_proba(["Quetzalcoatl", "", "  "])
    assert found[0] == pytest.approx(found[1])
    assert found[1] == pytest.approx(found[2])


def test_a_long_text_is_read_to_its_end(fitted: Classifier) -> None:
    long = "the film " * 20_000
    assert fitted.predict([long + "dull"])[0] in ("good", "bad")
    assert fitted.explain(long + "dull")[-1][0] == "dull"
    assert not np.allclose(fitted.predict_proba([long + "dull dull"]), fitted.predict_proba([long + "lovely lovely"]))


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (["a b", "c d"], ["x", "x"], "every example has the label 'x'. At least two classes"),
        (["a b", " ", "d"], ["x", "y", "x"], "1 of 3 texts are empty .text 2"),
        (["a b", "c"], ["x"], "has 2 examples, but 1 labels"),
        (["a b", "c"], None, "no labels"),
        (["a", "b"], ["x", "y"], "none of the 2 examples can be held out"),
        (["a\0", "b"], ["x", "y"], "zero byte"),
        ([], [], "no examples"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], ["x", "y"], "example 2 has 1 features, example 1 has 2"),
        ([np.zeros((3, 2)), np.full((3, 2), np.inf)], ["x", "y"], "example 2, step 1, feature 1: the value is inf"),
        ({"text": ["a", "b"], "stars": [1, None]}, None, "1 of 2 examples have no label"),
    ],
)
def test_data_that_cannot_be_learnt_are_told(data: Any, labels: Any, message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        Classifier(**SMALL).fit(data, labels)


@pytest.mark.parametrize(
    ("of_texts", "data", "message"),
    [
        (True, [np.zeros((3, 2), np.float32)], "trained on texts; it got a ndarray"),
        (True, [3], "holds int"),
        (False, ["a text"], "trained on recordings; it got a text"),
        (False, [np.zeros((3, 1), np.float32)], r"\(3, 1\); wanted \(steps, 2\)"),
        (False, [np.zeros((0, 2), np.float32)], r"\(0, 2\); wanted \(steps, 2\)"),
        (False, [np.full((3, 2), np.inf, np.float32)], "infinite"),
        (True, pl.DataFrame({"other": [1.5, 2.5]}), "other"),
        (True, "nowhere.csv", "no file or folder 'nowhere.csv'"),
    ],
)
def test_examples_of_another_kind_are_told(
    fitted: Classifier, moving: Classifier, of_texts: bool, data: Any, message: str
) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        (fitted if of_texts else moving).predict(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poolng": ("last",)}, "pooling"),
        ({"pooling": ("median",)}, "pooling"),
        ({"pooling": ()}, "at least one of last"),
        ({"label": "stars"}, "stars"),
        ({"label": "label", "minimum_count": 500}, "No word occurs 500 times"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], message: str) -> None:
    texts, labels = reviews(24)
    with pytest.raises((UsageError, DataError), match=message):
        Classifier(**SMALL | options).fit({"text": texts, "label": labels})


def test_what_has_not_learnt_cannot_label() -> None:
    for use in (Classifier().predict, Classifier().table, Classifier().explain, Classifier().evaluate):
        with pytest.raises(UsageError, match="has not learnt anything yet"):
            use(["a"])


def test_a_damaged_vocabulary_is_refused(fitted: Classifier) -> None:
    known = fitted.coding_.to_json()
    for change in ({"vocabulary": None}, {"labels": []}, {"vocabulary": {"kind": "runes"}}, {"features": {"mean": 1}}):
        with pytest.raises(RunError, match="damaged"):
            type(fitted.coding_).from_json(known | change)


def test_every_setting_says_what_it_is() -> None:
    for name, field in Classifier.config_type.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
