import json

import pytest

from ricorso import Generator
from ricorso.errors import DataError, UsageError
from ricorso.insight.inspection import inspect, own_text

TINY = {"hidden_size": 8, "batch_size": 2, "sequence_length": 16, "sample_length": 5, "epochs": 1, "threads": 1}


@pytest.fixture(scope="module")
def found(generator, text):
    return inspect(generator, text, steps=40, unit=3)


def test_everything_is_there(found):
    assert found.cell == "lstm"
    assert [reach.layer for reach in found.reach] == [1, 2]
    assert all(len(reach.together) == 40 for reach in found.reach)
    assert len(found.verdicts) == len(found.gates) == 2
    assert found.verdict in ("vanishing", "healthy", "exploding")
    assert {follower.feature for follower in found.followers} >= {"inside double quotes", "inside brackets"}
    assert found.unit.unit.number == 3
    assert found.text["steps"] == 40


def test_as_plain_data(found):
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(plain["layers"]) == 2
    assert plain["layers"][0]["norms"]["all_states"] == found.reach[0].together
    assert set(plain["layers"][1]["gates"]["spectral_radius"]) == set("ifgo")
    assert plain["profile"]["shares"]


def test_the_loss_is_that_of_reading_the_text(generator, text, found):
    expected = generator.evaluate(text, stateful=True)["stateful"]["nats_per_symbol"]
    assert found.nats == pytest.approx(expected, rel=0.5)


def test_the_same_twice(generator, text):
    one, other = (inspect(generator, text, steps=20, seed=4).to_json() for _ in range(2))
    assert one["layers"] == other["layers"]
    assert one["saliency"] == other["saliency"]


def test_a_prompt_is_explained(generator, text):
    saliency = inspect(generator, text, steps=20, prompt="a quick brow").saliency
    assert "".join(saliency.pieces) == "a quick brow"
    assert saliency.probability == max(chance for _, chance in saliency.likeliest)


def test_without_a_prompt_it_is_what_the_text_goes_on_with(generator, text):
    saliency = inspect(generator, text, steps=20).saliency
    assert "".join(saliency.pieces) + saliency.next in text


@pytest.mark.parametrize("cell", ["elman_relu", "lru", "cfc"])
def test_cells_of_other_kinds(cell, text):
    found = inspect(Generator(cell=cell, **TINY).fit(text[:600]), text, steps=20)
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("level", ["byte", "word"])
def test_other_symbols(level, text):
    found = inspect(Generator(level=level, **TINY).fit(text), text, steps=20)
    read = "".join(found.saliency.pieces)
    assert " ".join(read.split()) in " ".join(text.split())


@pytest.mark.parametrize("given", ["validation", "text", "copy", "everything"])
def test_a_run_has_a_text_of_its_own(given, text, tmp_path):
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    (tmp_path / "valid.txt").write_text("The Lazy dog " * 5, encoding="utf-8")
    arguments = {
        "validation": {"text": tmp_path / "text.txt", "validation": tmp_path / "valid.txt"},
        "text": {"text": tmp_path / "text.txt"},
        "copy": {"text": text},
        "everything": {"text": tmp_path / "text.txt"},
    }[given]
    options = TINY | ({"validation_fraction": 0.0} if given == "everything" else {})
    Generator(**options).fit(**arguments, out=tmp_path / "run")
    expected = {"validation": "The Lazy dog " * 5, "everything": text}.get(given, text[int(len(text) * 0.9) :])
    generator = Generator.load(tmp_path / "run")
    assert own_text(generator).text == expected
    assert inspect(tmp_path / "run", steps=10).text["windows"] >= 1


def test_a_text_that_has_moved_is_asked_for(text, tmp_path):
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    Generator(**TINY).fit(tmp_path / "text.txt", out=tmp_path / "run")
    (tmp_path / "text.txt").unlink()
    with pytest.raises(DataError, match=r"ricorso inspect RUN TEXT"):
        inspect(tmp_path / "run")
    assert inspect(tmp_path / "run", text, steps=10).text["path"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": 1}, "2 or more"), ({"unit": 8}, "units 0 to 7"), ({"unit": -1}, "no unit"), ({"prompt": ""}, "empty")],
)
def test_arguments_that_cannot_be_used(options, message, generator, text):
    with pytest.raises(UsageError, match=message):
        inspect(generator, text, **{"steps": 20} | options)


def test_a_model_that_has_learnt_nothing():
    with pytest.raises(UsageError, match="fit first"):
        inspect(Generator(), "a text")
