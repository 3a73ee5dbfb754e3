"""Classifiers and taggers looked into, against the layers themselves run by the oracle."""

import json
import re
from copy import deepcopy

import numpy as np
import pytest
import torch
from tests.support.small_labelled import SERIES, SMALL, recordings, reviews
from tests.support.small_tagging import SMALL as SMALL_TAGGING
from tests.support.small_tagging import sentences, write_columns

from ricorso import Classifier, Forecaster, Tagger
from ricorso.errors import DataError, UsageError
from ricorso.insight.inside import section
from ricorso.insight.inspection import inspect
from ricorso.insight.reach import log_odds
from ricorso.tasks.tag.data import Batches

HIDDEN = 8
TEXT = "the film was really dull and its story was in parts poor ."
SENTENCE = ["Anna", "Smith", "visits", "New", "York", "and", "likes", "Paul", "."]


def tagged_series():
    draw = np.random.default_rng(2)
    found = []
    for _ in range(24):
        values = draw.normal(size=(int(draw.integers(8, 14)), 2))
        found.append((values, ["up" if one > 0 else "down" for one in values[:, 0]]))
    return found


@pytest.fixture(scope="module")
def texts():
    return Classifier(**SMALL | {"epochs": 2}).fit(*reviews())


@pytest.fixture(scope="module")
def series():
    return Classifier(**SERIES | {"epochs": 2}).fit(*recordings())


@pytest.fixture(scope="module")
def words():
    return Tagger(**SMALL_TAGGING | {"epochs": 4, "num_layers": 2}).fit(sentences())


@pytest.fixture(scope="module")
def steps():
    return Tagger(hidden_size=HIDDEN, epochs=3, batch_size=8, threads=1).fit(tagged_series())


DATA = {
    "texts": lambda: reviews()[0],
    "series": lambda: recordings()[0],
    "words": lambda: [words for words, _ in sentences()],
    "steps": lambda: [values for values, _ in tagged_series()],
}
CALLED = {"texts": "word", "series": "step", "words": "word", "steps": "step"}


@pytest.fixture(params=DATA)
def kind(request):
    return request.param


@pytest.fixture
def model(kind, request):
    return request.getfixturevalue(kind)


def test_everything_is_there(kind, model):
    data = DATA[kind]()
    before = {name: value.clone() for name, value in model.model_.state_dict().items()}
    gradients = [p.grad for p in model.model_.parameters()]
    found = inspect(model, data)
    layers = model.config_.num_layers
    both = [(layer, direction) for layer in range(1, layers + 1) for direction in ("forward", "backward")]
    assert [(reach.layer, reach.direction) for reach in found.reach] == both
    assert [(gates.layer, gates.direction) for gates in found.gates] == both
    shortest = found.text["shortest"]
    assert all(len(reach.together) == shortest for reach in found.reach)
    assert found.verdict in ("vanishing", "healthy", "exploding")
    assert found.text["total"] == len(data)
    assert found.text["longest"] == max(map(len, data)) if kind != "texts" else max(len(t.split()) for t in data)
    assert found.text["called"]["step"] == CALLED[kind]
    assert (found.nats, found.followers, found.unit) == (None, [], None)
    assert sum(found.profile.shares.values()) == pytest.approx(1)
    assert found.profile.batch_size == model.config_.batch_size
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {"text", "followers", "nats"}.isdisjoint(told)
    assert told["layers"][1]["direction"] == told["layers"][1]["gates"]["direction"] == "backward"
    assert not model.model_.training
    assert all(p.requires_grad and p.grad is g for p, g in zip(model.model_.parameters(), gradients, strict=True))
    assert all(torch.equal(before[name], value) for name, value in model.model_.state_dict().items())


def test_the_same_twice_and_as_far_as_asked(words):
    one, other = (inspect(words, DATA["words"](), steps=4).to_json() for _ in range(2))
    assert one["layers"] == other["layers"]
    assert one["saliency"] == other["saliency"]
    assert len(one["layers"][0]["norms"]["all_states"]) == 4


def test_a_few_examples_are_timed_in_whole_batches(texts, steps):
    for model, data in ((texts, [TEXT]), (steps, [tagged_series()[0][0]])):
        profile = inspect(model, data).profile
        length = len(TEXT.split()) if model is texts else len(data[0])
        assert (profile.batch_size, profile.sequence_length) == (model.config_.batch_size, length)


def test_matrices_are_those_of_each_direction(texts):
    found = inspect(texts, [TEXT])
    for gates, name in zip(found.gates, ("weight_hh_l0", "weight_hh_l0_reverse"), strict=True):
        rows = texts.model_.recurrent.get_parameter(name)[:HIDDEN].detach().double()
        assert gates.spectral_radius["r"] == pytest.approx(torch.linalg.eigvals(rows).abs().max().item())


def double(model):
    return deepcopy(model.model_).double().eval()


def begun_anew(layer, x, place, reverse):
    """The states that a step leaves, as leaves of a graph, and the outputs of all steps as they follow from them.

    Of a layer in both directions the other direction is as it is.
    """
    count = len(layer.cell.states)
    rest = x[place:] if reverse else x[: place + 1]
    own = slice(HIDDEN, None) if reverse else slice(HIDDEN)
    _, finals = layer(rest)
    finals = finals if count > 1 else (finals,)
    leaves = [state[int(reverse)].detach().requires_grad_() for state in finals]
    whole = layer(x)[0].detach()
    hx = tuple(
        torch.stack([torch.zeros_like(leaf), leaf] if reverse else [leaf, torch.zeros_like(leaf)]) for leaf in leaves
    )
    later, _ = layer(x[:place] if reverse else x[place + 1 :], hx if count > 1 else hx[0])
    parts = [later[..., own], leaves[0][None]] if reverse else [leaves[0][None], later[..., own]]
    known = whole[place + 1 :, :, own] if reverse else whole[:place, :, own]
    moved = torch.cat([*parts, known] if reverse else [known, *parts])
    others = whole[..., :HIDDEN] if reverse else whole[..., HIDDEN:]
    return leaves, torch.cat([others, moved] if reverse else [moved, others], -1)


def norm_of(number, leaves):
    return torch.cat([g.flatten() for g in torch.autograd.grad(number, leaves)]).norm().item()


@pytest.mark.parametrize(
    ("cell", "pooling"), [("lstm", ("last",)), ("gru", ("last", "max", "mean")), ("gru", ("attention",))]
)
def test_reach_in_a_classifier(cell, pooling, monkeypatch):
    classifier = Classifier(**SMALL | {"epochs": 1, "cell": cell, "pooling": pooling}).fit(*reviews())
    found = inspect(classifier, [TEXT])
    monkeypatch.setenv("RICORSO_PATH", "naive")
    model, coding = double(classifier), classifier.coding_
    steps = coding.encode(TEXT)
    x, lengths = model.embedded(torch.from_numpy(steps)[:, None]).detach(), torch.tensor([len(steps)])
    counted = torch.from_numpy(coding.counted([steps])).double()

    def odds(outputs):
        return log_odds(model.head(model.pooling(outputs, lengths)) + model.counted(counted))[0]

    outputs = model.recurrent(x)[0].detach().requires_grad_()
    asked = torch.autograd.grad(odds(outputs), outputs)[0].sum(0)[0]
    for curve, reverse in zip(found.reach, (False, True), strict=True):
        own, end = (slice(HIDDEN, None), 0) if reverse else (slice(HIDDEN), -1)
        assert (curve.direct is None) == (pooling == ("last",))
        for back in (1, 3, 7):
            leaves, moved = begun_anew(model.recurrent, x, back if reverse else len(x) - 1 - back, reverse)
            carried = (moved[end, 0, own] * asked[own]).sum()
            assert curve.together[back] == pytest.approx(norm_of(carried, leaves), rel=1e-5)
            leaves, moved = begun_anew(model.recurrent, x, back if reverse else len(x) - 1 - back, reverse)
            whole = norm_of(odds(moved), leaves)
            assert (curve.direct or curve.together)[back] == pytest.approx(whole, rel=1e-5)


def test_reach_in_a_tagger(steps, monkeypatch):
    """Of the last step for the forward layer, of the first for the backward one."""
    values = tagged_series()[0][0]
    found = inspect(steps, [values])
    monkeypatch.setenv("RICORSO_PATH", "naive")
    model = double(steps)
    x = Batches(steps._inputs.encode([values])).at(np.zeros(1, np.int64)).steps.double()
    for curve, reverse in zip(found.reach, (False, True), strict=True):
        for back in (1, 4):
            leaves, moved = begun_anew(model.recurrent, x, back if reverse else len(x) - 1 - back, reverse)
            number = log_odds(model.head(moved[0 if reverse else -1]))[0]
            assert curve.together[back] == pytest.approx(norm_of(number, leaves), rel=1e-5)
            assert curve.direct is None


def test_log_odds():
    scores = torch.tensor([[1.0, 3.0, 2.0]])
    chance = scores.double().softmax(-1).max()
    assert log_odds(scores).item() == pytest.approx(float(chance.log() - (1 - chance).log()))
    assert log_odds(scores, several=True).item() == 3


def test_what_spoke_for_a_label(texts):
    found = inspect(texts, [TEXT]).saliency
    assert list(zip(found.pieces, found.share, strict=True)) == texts.explain(TEXT)
    assert [found.next] == texts.predict([TEXT])
    assert found.probability == pytest.approx(texts.predict_proba([TEXT]).max())
    model, coding = double(texts), texts.coding_
    steps = coding.encode(TEXT)
    x, lengths = model.embedded(torch.from_numpy(steps)[:, None]).detach(), torch.tensor([len(steps)])
    counted = torch.from_numpy(coding.counted([steps])).double()
    wanted = coding.labels.index(found.next)

    def score(changed):
        scores = model.scores(changed, lengths, counted)[0]
        return (scores[wanted] - scores.mean()).item()

    slopes = []
    for number in range(x.shape[-1]):
        change = torch.zeros_like(x)
        change[4, 0, number] = 1e-5
        slopes.append((score(x + change) - score(x - change)) / 2e-5)
    assert found.norm[4] == pytest.approx(np.linalg.norm(slopes), rel=1e-3)


def test_what_spoke_for_a_tag(words, monkeypatch):
    found = inspect(words, [SENTENCE]).saliency
    sure = words.table([SENTENCE])["probability"].to_list()
    assert found.pieces == SENTENCE
    assert found.step == int(np.argmin(sure))
    assert found.next == words.predict([SENTENCE])[0][found.step]
    assert found.probability == pytest.approx(min(sure))
    monkeypatch.setenv("RICORSO_PATH", "naive")
    model = double(words)
    batch = Batches(words._inputs.encode([SENTENCE])).at(np.zeros(1, np.int64))
    x = model.vectors(batch.steps).detach().requires_grad_()
    scores = model.head(model.recurrent(x)[0])[found.step, 0]
    classes, _ = model.best(model(batch), batch.lengths)
    (gradient,) = torch.autograd.grad(scores[classes[0, found.step, 0]] - scores.mean(), x)
    assert found.norm == pytest.approx(gradient.norm(dim=-1)[:, 0].tolist(), rel=1e-4)
    assert found.share == pytest.approx((gradient * x).sum(-1)[:, 0].tolist(), rel=1e-4, abs=1e-7)


def test_a_prompt_is_explained(texts, words):
    assert inspect(texts, DATA["texts"](), prompt="a lovely film").saliency.pieces == ["a", "lovely", "film"]
    assert inspect(words, DATA["words"](), prompt="Rosa likes Oslo").saliency.pieces == ["Rosa", "likes", "Oslo"]


def test_the_seed_says_which_example_is_explained(texts):
    data = ["short", TEXT, "the story was really really fine"]
    assert " ".join(inspect(texts, data).saliency.pieces) == TEXT
    assert " ".join(inspect(texts, data, seed=1).saliency.pieces) == data[2]


def test_other_kinds_of_models(texts):
    data, labels = reviews()
    several = [own.split("/") for own in ("good/long", "bad", "good", "bad/long") * (len(data) // 4)]
    for options in ({"level": "character", "num_layers": 2}, {"layer_norm": True, "grams": 0}):
        found = inspect(Classifier(**SMALL | {"epochs": 1} | options).fit(data, labels), data)
        json.dumps(found.to_json(), allow_nan=False)
    assert inspect(Classifier(**SMALL | {"epochs": 1}).fit(data, several), data).saliency.kind == "label"
    one_way = inspect(Classifier(**SMALL | {"epochs": 1, "bidirectional": False}).fit(data, labels), data)
    assert [reach.direction for reach in one_way.reach] == [None]


def test_a_run_has_examples_of_its_own(tmp_path):
    data, labels = reviews()
    lines = [f"text,label\n{''}", *(f'"{t}",{own}\n' for t, own in zip(data, labels, strict=True))]
    (tmp_path / "reviews.csv").write_text("".join(lines), encoding="utf-8")
    model = Classifier(**SMALL | {"epochs": 1}).fit(tmp_path / "reviews.csv", out=tmp_path / "run")
    found = inspect(tmp_path / "run")
    assert found.text["total"] == model.validation_["examples"]
    assert found.text["path"] == str((tmp_path / "reviews.csv").resolve())
    (tmp_path / "reviews.csv").write_text("".join(lines[:-2]), encoding="utf-8")
    with pytest.raises(DataError, match=r"others than in training.*Name some: ricorso inspect RUN DATA"):
        inspect(tmp_path / "run")
    (tmp_path / "reviews.csv").unlink()
    with pytest.raises(DataError, match=r"not at hand.*Name some: ricorso inspect RUN DATA"):
        inspect(tmp_path / "run")
    assert inspect(tmp_path / "run", data).text["path"] is None


def test_a_run_has_sentences_of_its_own(tmp_path, words):
    write_columns(tmp_path / "some.conll", sentences())
    Tagger(**SMALL_TAGGING | {"epochs": 1}).fit(tmp_path / "some.conll", out=tmp_path / "run")
    found = inspect(tmp_path / "run")
    assert found.text["total"] == 6
    assert found.text["path"].endswith("some.conll")
    assert inspect(words).text["total"] == 6
    (tmp_path / "some.conll").unlink()
    with pytest.raises(DataError, match=r"not at hand.*Name some: ricorso inspect RUN DATA"):
        inspect(tmp_path / "run")
    assert inspect(tmp_path / "run", write_columns(tmp_path / "new.conll", sentences(8))).text["total"] == 8


def test_examples_in_no_file_are_asked_for(texts):
    with pytest.raises(DataError, match="in no file"):
        inspect(texts)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("texts", {"unit": 1}, "text model"),
        ("words", {"unit": 1}, "text model"),
        ("series", {"prompt": "a"}, "reads numbers"),
        ("steps", {"prompt": "a"}, "reads numbers"),
        ("texts", {"prompt": " "}, "empty"),
        ("words", {"prompt": ""}, "empty"),
    ],
)
def test_arguments_that_cannot_be_used(model, options, message, request):
    with pytest.raises(UsageError, match=message):
        inspect(request.getfixturevalue(model), DATA[model](), **options)


def test_what_is_too_short(texts, words):
    with pytest.raises(DataError, match="longest of the 2 texts has 3 words"):
        inspect(texts, ["a b c", "a"])
    with pytest.raises(DataError, match="longest of the 1 sentences has 1 word"):
        inspect(words, [["Anna"]])


def test_tasks_that_cannot_be_looked_into():
    with pytest.raises(UsageError, match="'forecast'"):
        inspect(Forecaster(horizon=2), [1.0])
    for model in (Classifier(), Tagger()):
        with pytest.raises(UsageError, match="fit first"):
            inspect(model, ["a"])


def numbers(page):
    return json.loads(re.search(r'id="inside">(.*?)</script>', page).group(1))


def test_a_page_of_texts(texts):
    page = section(inspect(texts, [TEXT, "<b>good</b> film and a </pre> story"]))
    names = [line["name"] for line in numbers(page)["reach"]]
    assert names[:2] == ["layer 1, forward", "layer 1, forward, with pooling"]
    assert len(names) == 4
    assert "2 texts, " in page
    assert "handed to the output of the last word" in page
    assert "What units follow" not in page
    assert numbers(page)["said"] == []
    assert "$" not in page
    wild = section(inspect(texts, ["</pre> <b> good film and story"]))
    assert "&lt;/pre&gt; &lt;b&gt;" in re.sub("</?span[^>]*>", "", wild)


def test_a_page_of_recordings(series):
    found = inspect(series, DATA["series"]())
    page = section(found)
    assert numbers(page)["said"] == found.saliency.share
    assert 'id="said"' in page
    assert "The model gives this recording the label" in page


def test_a_page_of_sentences(words):
    found = inspect(words, DATA["words"]())
    page = section(found)
    assert [line["layer"] for line in numbers(page)["reach"] if line["dash"] == "solid"] == [1, 2, 3, 4]
    assert f"“{found.saliency.pieces[found.saliency.step]}”: it has the tag" in page
    assert "before whole sequences of tags are weighed" in page
    told = [line for own in found.advice for line in own]
    assert len(told) == len(set(told))
