import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_tagging import SMALL, sentences, write_columns
from stopping import StopAt

from ricorso import bundle
from ricorso.data.spans import Span, convert, spans_of
from ricorso.errors import DataError, RunError, UsageError
from ricorso.tasks.tag.task import Tagger
from ricorso.training.interrupt import TrainingInterrupted

WORDS = ["Paul", "Baker", "sees", "New", "York", "."]


@pytest.fixture(scope="module")
def fitted() -> Tagger:
    return Tagger(**SMALL).fit(sentences())


@pytest.fixture(scope="module")
def plain() -> Tagger:
    """Tags that mark no spans."""
    pairs = [(words, [tag[-3:] for tag in tags]) for words, tags in sentences()]
    return Tagger(**SMALL).fit(pairs)


def test_it_finds_names(fitted: Tagger) -> None:
    assert fitted.predict([WORDS]) == [["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"]]
    assert fitted.spans([WORDS]) == [[Span(0, 2, "PER"), Span(3, 5, "LOC")]]
    figures = fitted.evaluate(sentences(20, seed=1))
    assert figures["spans"]["f1"] > 0.95
    assert figures["accuracy"] > 0.95
    assert figures["baseline"]["spans"]["f1"] <= figures["spans"]["f1"]
    assert figures["tokens"] == figures["baseline"]["tokens"] == sum(len(words) for words, _ in sentences(20, seed=1))


def test_it_tells_what_was_found_out(fitted: Tagger, plain: Tagger) -> None:
    assert fitted.told_ == ("tags mark spans (IOB2)", "whole sequences of tags are scored (CRF)")
    assert plain.told_ == ("tags mark no spans", "each step is decided by itself (softmax)")
    assert (fitted.scheme_, plain.scheme_) == ("IOB2", None)
    assert fitted.tags_ == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert plain.tags_ == ("LOC", "O", "PER")
    assert {"validation_loss", "accuracy", "span_f1"} < {key for line in fitted.metrics_ for key in line}
    with pytest.raises(UsageError, match="mark no spans"):
        plain.spans([WORDS])


def test_a_text_is_split_and_a_file_is_read(fitted: Tagger, tmp_path: Path) -> None:
    text = " ".join(WORDS[:-1]) + "."
    assert fitted.predict(text) == fitted.predict([text]) == fitted.predict([WORDS])
    path = tmp_path / "a.txt"
    path.write_text(f"{text}\n{text}\n", encoding="utf-8")
    assert fitted.predict(path) == fitted.predict([WORDS, WORDS])
    assert fitted.sequences(path) == [tuple(WORDS), tuple(WORDS)]


@pytest.mark.parametrize("kind", ["fitted", "plain"])
def test_what_stands_beside_a_sentence_does_not_matter(kind: str, request: pytest.FixtureRequest) -> None:
    tagger = request.getfixturevalue(kind)
    many = [words for words, _ in sentences(7, seed=3)] + [WORDS * 9, ["sees"]]
    together, alone = tagger.probabilities(many), [tagger.probabilities([one])[0] for one in many]
    for a, b, words in zip(together, alone, many, strict=True):
        assert a.shape == (len(words), len(tagger.tags_))
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a.sum(1), 1, atol=1e-5)
    assert tagger.predict(many) == [tagger.predict([one])[0] for one in many]


def test_a_table_has_a_row_for_each_word(fitted: Tagger) -> None:
    frame = fitted.table([["Rosa"], WORDS])
    assert frame.columns == ["sequence", "step", "word", "tag", "probability"]
    assert frame["sequence"].to_list() == [1, *[2] * 6]
    assert frame["step"].to_list() == [1, 1, 2, 3, 4, 5, 6]
    assert frame["word"].to_list() == ["Rosa", *WORDS]
    assert frame["tag"].to_list()[1:] == fitted.predict([WORDS])[0]
    places = [fitted.tags_.index(tag) for tag in frame["tag"][1:]]
    np.testing.assert_allclose(frame["probability"][1:], fitted.probabilities([WORDS])[0][range(6), places], atol=1e-6)
    assert "<mark" in fitted.show([WORDS]).section()


@pytest.mark.parametrize("kind", ["fitted", "plain"])
def test_the_best_sequences_are_the_most_probable_ones(kind: str, request: pytest.FixtureRequest) -> None:
    tagger = request.getfixturevalue(kind)
    words = ["Paul", "sees", "Rosa"]
    found = tagger.best([words], 1000)[0]
    chances = [chance for _, chance in found]
    assert found[0][0] == tagger.predict([words])[0]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, abs=1e-5)
    sequences = [tuple(tags) for tags, _ in found]
    valid = [own for own in product(tagger.tags_, repeat=3) if kind == "plain" or convert(own, "IOB2") == list(own)]
    assert sorted(sequences) == sorted(valid)
    # the probability of a tag at a step is that of all sequences that have it there
    marginal = np.zeros((3, len(tagger.tags_)))
    for tags, chance in found:
        marginal[range(3), [tagger.tags_.index(tag) for tag in tags]] += chance
    np.testing.assert_allclose(tagger.probabilities([words])[0], marginal, atol=1e-5)
    assert [len(one) for one in tagger.best([words, ["sees"]], 2)] == [2, 2]


@pytest.mark.parametrize("learn_as", ["IOB2", "BIOES"])
@pytest.mark.parametrize("scheme", ["IOB1", "BIOES"])
def test_other_schemes(learn_as: str, scheme: Any) -> None:
    pairs = [(words, convert(tags, scheme)) for words, tags in sentences()]
    tagger = Tagger(**SMALL | {"learn_as": learn_as, "epochs": 15}).fit(pairs)
    told = "IOB2" if scheme == "IOB1" else scheme
    assert tagger.scheme_ == told
    assert any(f"({scheme})" in sentence for sentence in tagger.told_)
    found = tagger.predict([WORDS])[0]
    assert convert(found, told) == found
    assert set(found) <= set(tagger.tags_)
    np.testing.assert_allclose(tagger.probabilities([WORDS])[0].sum(1), 1, atol=1e-5)
    assert tagger.evaluate(pairs)["spans"]["f1"] > 0.8


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru", "num_layers": 2, "crf": False, "label_smoothing": 0.1},
        {"cell": "mingru", "bidirectional": False, "characters": False},
        {"crf": True, "input_dropout": 0.1, "recurrent_dropout": 0.1, "weight_drop": 0.1, "scheme": "none"},
    ],
)
def test_other_settings(options: dict[str, Any]) -> None:
    tagger = Tagger(**SMALL | {"epochs": 20} | options).fit(sentences())
    assert tagger.evaluate(sentences(20, seed=1))["accuracy"] > 0.8
    assert (tagger.model_.crf is None) == (options.get("crf") is False)


def test_unknown_words_are_counted_and_tagged(fitted: Tagger) -> None:
    figures = fitted.evaluate([(["Paul", "sees", "Zork"], ["B-PER", "O", "B-LOC"])])
    assert figures["unknown"]["tokens"] == 1
    assert figures["baseline"]["unknown"]["accuracy"] == 0.0
    assert fitted.predict([["", "x"][1:], ["\U0001f600" * 1_000_000]])  # only unknown words, one of them long


def test_a_series_gets_a_tag_at_each_step() -> None:
    draw = np.random.default_rng(0)
    pairs = []
    for length in draw.integers(3, 20, 40):
        high = draw.random(length) < 0.5
        features = np.stack([100 + 50.0 * high + draw.normal(0, 5, length), draw.normal(0, 1, length)], 1)
        pairs.append((features, ["high" if h else "low" for h in high]))
    tagger = Tagger(**SMALL | {"epochs": 10}).fit(pairs)
    figures = tagger.evaluate(pairs)
    assert figures["accuracy"] > 0.95
    assert 0.3 < figures["baseline"]["accuracy"] < 0.7
    assert tagger.predict(pairs[0][0])[0] == tagger.predict([pairs[0][0], pairs[1][0]])[0]
    with pytest.raises(DataError, match="Series 1 has 3 features; the model was trained on 2"):
        tagger.predict([np.zeros((4, 3))])
    with pytest.raises(DataError, match="another kind"):
        tagger.predict("a text")


def test_a_table_of_series(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = ["who,x,state,y"]
    for step in range(30):
        for who in "ab":
            x = draw.normal(0, 1)
            rows.append(f"{who},{x:.3f},{'up' if x > 0 else 'down'},{step}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    tagger = Tagger(**SMALL | {"column": "state", "example": "who", "epochs": 2}).fit(path, path, out=tmp_path / "run")
    assert tagger.held_out_ is not None
    assert tagger.held_out_.names == ("x", "y")
    assert [len(tags) for tags in tagger.predict(path)] == [30, 30]
    unlabelled = tmp_path / "other.csv"
    unlabelled.write_text("y,more,who,x\n1,m,a,0.5\n2,m,a,0.1\n1,m,b,0.5\n", encoding="utf-8")
    loaded = Tagger.load(tmp_path / "run")
    found = loaded.predict(unlabelled)
    assert [len(tags) for tags in found] == [2, 1]
    assert found == tagger.predict([np.array([[0.5, 1], [0.1, 2]]), np.array([[0.5, 1]])])
    for text, message in (
        ("who,x,state\na,1,up\na,inf,down\n", "column 'x', row 2: inf is infinite or too large"),
        ("who,x,state\na,1,up\na,-1e39,down\n", "column 'x', row 2: -1e\\+39 is infinite or too large"),
        ("who,x,state\na,1,up\n,2,down\n", "column 'who', row 2: it is not said which series"),
        ("who,x,y,state\na,1,q,up\na,2,r,down\n", "column 'y' holds texts such as 'q', not numbers.*--example"),
        ("who,x,stat\na,1,up\na,2,down\n", "no column 'state'. Did you mean 'stat'"),
        ("what,x,state\na,1,up\na,2,down\n", "no column 'who'"),
        ("who,x,state\na,1,up\na,2,\n", "column 'state', row 2: the tag is missing"),
        ("who,x\na,1\na,2\n", "state"),
        ("who,state\na,up\na,down\n", "no columns of numbers beside 'state'"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            Tagger(**SMALL | {"column": "state", "example": "who"}).fit(path)


def test_saved_and_loaded_it_tags_the_same(fitted: Tagger, tmp_path: Path) -> None:
    fitted.save(tmp_path / "run")
    loaded = Tagger.load(tmp_path / "run")
    assert loaded.tags_ == fitted.tags_
    for a, b in zip(loaded.probabilities([WORDS]), fitted.probabilities([WORDS]), strict=True):
        np.testing.assert_array_equal(a, b)
    figures = fitted.evaluate(sentences(20, seed=1))
    assert loaded.evaluate(sentences(20, seed=1)) == figures
    assert json.loads(json.dumps(figures)) == figures


def stopped(tagger: Tagger, *data: Any, out: Path) -> None:
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        tagger.fit(*data, out=out, listener=StopAt(11))


def vectors_file(folder: Path) -> Path:
    words = ["paul", "rome", "york", "sees", "berlin"]
    lines = [f"{word} {n} {n % 2} 1" for n, word in enumerate(words)]
    path = folder / "vectors.txt"
    path.write_text("5 3\n" + "\n".join(lines), encoding="utf-8")
    return path


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "train", sentences(30))
    options = SMALL | {"epochs": 5, "checkpoint_steps": 3, "dropout": 0.2, "vectors": str(vectors_file(tmp_path))}
    whole = Tagger(**options).fit(path)
    assert any("5 given vectors of 3" in sentence for sentence in whole.told_)
    stopped(Tagger(**options), path, out=tmp_path / "run")
    again = Tagger.resume(tmp_path / "run")
    for name, weight in whole.model_.state_dict().items():
        assert bool((again.model_.state_dict()[name] == weight).all()), name
    loaded = Tagger.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.probabilities([WORDS])[0], whole.probabilities([WORDS])[0])
    stopped(Tagger(**options), path, path, out=tmp_path / "other")
    write_columns(path, sentences(31))
    with pytest.raises(RunError, match="not those that this run was trained on"):
        Tagger.resume(tmp_path / "other")
    write_columns(path, sentences(30))
    assert Tagger.resume(tmp_path / "other").data_["validation"]["sequences"] == 30
    done = Tagger.resume(tmp_path / "other")
    assert done.held_out_ is not None
    assert done.evaluate(done.held_out_) == done.evaluate(path)


def test_how_long_it_trains_follows_from_the_data() -> None:
    config = Tagger.config_type
    assert config().for_size(3142).epochs == 20
    assert (config().for_size(100_000).epochs, config().for_size(10).epochs) == (10, 60)
    tagger = Tagger(**SMALL | {"epochs": None, "batch_size": 30}).fit(sentences(30))
    assert (tagger.config_.epochs, tagger.config_.minutes) == (60, 3.0)
    assert Tagger(**SMALL | {"epochs": None, "minutes": 0.001}).fit(sentences(30)).config_.epochs is None


def test_data_in_no_file_are_given_again(tmp_path: Path) -> None:
    options = SMALL | {"epochs": 3, "checkpoint_steps": 3}
    stopped(Tagger(**options), sentences(30), out=tmp_path / "run")
    with pytest.raises(RunError, match="in no file; give them again"):
        Tagger.resume(tmp_path / "run")
    assert Tagger.resume(tmp_path / "run", sentences(30)).predict([WORDS])


def test_given_vectors_help_with_words_that_were_never_seen(tmp_path: Path) -> None:
    tagger = Tagger(**SMALL | {"epochs": 1, "vectors": str(vectors_file(tmp_path))}).fit(sentences(30))
    found = tagger.model_.vectors
    assert found is not None
    assert found.given is not None
    assert found.given.tolist() == [[0, 0, 0], [0, 0, 1], [1, 1, 1], [2, 0, 1], [3, 1, 1], [4, 0, 1]]
    assert not any("given" in name for name, _ in tagger.model_.named_parameters())
    batch = tagger._inputs.encode([("Berlin", "Oslo", "PAUL")]).batch(np.array([0]))  # type: ignore[arg-type]
    assert batch.vectors is not None  # type: ignore[union-attr]
    assert batch.vectors.flatten().tolist() == [5, 0, 1]  # type: ignore[union-attr]


def test_a_damaged_vocabulary_is_told(fitted: Tagger, tmp_path: Path) -> None:
    fitted.save(tmp_path / "run")
    good = bundle.read_json(tmp_path / "run" / bundle.VOCABULARY)
    for damage, message in (
        ({"tags": {"tags": [], "scheme": None, "learnt": None, "source": None}}, "no list of tags"),
        ({"tags": {"tags": ["O"], "scheme": "IOB2", "learnt": None, "source": None}}, "names the schemes"),
        ({"inputs": {"kind": "pictures"}}, "unknown kind 'pictures'"),
        ({"inputs": {"kind": "words", "words": 3}}, "lacks a list of words"),
        ({"usual": None}, "cannot be used"),
    ):
        (tmp_path / "run" / bundle.VOCABULARY).write_bytes(bundle.to_json(good | damage))
        bundle.seal(tmp_path / "run")
        with pytest.raises(RunError, match=message):
            Tagger.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([], {}, "no sequences"),
        ([(["a"], ["X", "Y"])], {}, "Sequence 1 has 1 steps and 2 tags"),
        ([(["a"], ["X"]), ([], [])], {}, "Sequence 2 is empty"),
        ([(["a"], ["X"]), (["b"], ["X"])], {}, "The data: all steps have the tag 'X'"),
        ([(["a"], [3])], {}, "tags that are not texts"),
        (["abc"], {}, "wanted a pair of words and tags"),
        ([(["a", ""], ["X", "Y"])], {}, "Sequence 1 should be words that are not empty"),
        ([(np.zeros((2, 3)), ["X", "Y"]), (np.zeros((2, 4)), ["X", "Y"])], {}, "Sequence 2 has 4 features"),
        ([(np.array([[1.0], [np.inf]]), ["X", "Y"])], {}, "Sequence 1, step 2: a feature is infinite or too large"),
        ([(["a", "b\0"], ["X", "Y"])], {}, "Sequence 1, word .*: a zero byte stands at character 2"),
        ([(["a", "b\ud800"], ["X", "Y"])], {}, "Sequence 1, word .*: character 2 is half a character"),
        ([(["a", "b"], ["DET", "NOUN"])], {"scheme": "IOB2"}, "no tag marks a span as IOB2 does.* 'DET', 'NOUN'"),
        ([(np.zeros(3), ["X", "Y", "X"])], {}, r"wanted \(time, features\)"),
        (
            [(["a", "b"], ["B-X", "I-Y"])] * 3,
            {"invalid": "error"},
            "sequence 1, word 2: 'I-Y' cannot stand after .*--invalid repair",
        ),
        ([(["a", "b"], ["B-X", "O"])] * 3, {"vectors": "nowhere.txt"}, "no file 'nowhere.txt'"),
    ],
)
def test_data_that_cannot_be_used_are_told(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Tagger(**SMALL | options).fit(data)


def test_invalid_tags_are_repaired_and_told() -> None:
    pairs = [*sentences(30), (["Paul", "Baker"], ["O", "I-PER"])]
    tagger = Tagger(**SMALL | {"epochs": 1}).fit(pairs)
    assert any("1 sequences have tags that IOB2 does not allow" in sentence for sentence in tagger.told_)
    figures = tagger.evaluate([(["Paul", "Baker"], ["O", "I-PER"])])
    assert figures["repaired"] == 1
    assert figures["spans"]["kinds"]["PER"]["support"] == 1


def test_a_tag_that_was_never_seen_counts_as_wrong(fitted: Tagger) -> None:
    figures = fitted.evaluate([(["Paul", "sees"], ["B-GOD", "O"])])
    assert figures["tags"]["B-GOD"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    valid = [*sentences(5), (["Paul"], ["B-GOD"])]
    tagger = Tagger(**SMALL | {"epochs": 1}).fit(sentences(30), valid)
    assert np.isfinite(tagger.best_["validation_loss"])


def test_settings_that_cannot_be_used(fitted: Tagger) -> None:
    with pytest.raises(UsageError, match="label_smoothing is for a softmax"):
        Tagger(crf=True, label_smoothing=0.1).fit(sentences())
    with pytest.raises(UsageError, match="Did you mean 'hidden_size'"):
        Tagger(hiden_size=3)
    with pytest.raises(UsageError, match="has not learnt anything yet"):
        Tagger().predict([WORDS])
    with pytest.raises(UsageError, match="count must be 1 or more"):
        fitted.best([WORDS], 0)
    with pytest.raises(DataError, match="Sequence 2 is empty"):
        fitted.predict([["a"], []])


def test_spans_agree_with_tags(fitted: Tagger) -> None:
    many = [words for words, _ in sentences(10, seed=5)]
    assert fitted.spans(many) == [spans_of(tags) for tags in fitted.predict(many)]
