import json
import math

import ricorso as package


def test_the_figures_are_those_of_the_model(ricorso, trained, text_file):
    told = json.loads(ricorso("evaluate", trained, text_file, "--json").out)
    expected = package.load(trained).evaluate(text_file)
    assert {name: told[name] for name in expected} == expected
    assert math.isclose(told["perplexity"], math.exp(told["nats_per_symbol"]))


def test_they_are_shown_with_their_protocol(ricorso, trained, text_file):
    outcome = ricorso("evaluate", trained, text_file)
    assert outcome.status == 0
    assert "each from a zero state" in outcome.out
    assert "bits per character" in outcome.out
    assert "One pass" not in outcome.out


def test_the_stateful_figures_stand_apart(ricorso, trained, text_file):
    outcome = ricorso("evaluate", trained, text_file, "--stateful")
    assert "not comparable" in outcome.out
    assert outcome.out.count("nats per symbol") == 2


def test_unknown_symbols_are_mentioned(ricorso, trained, tmp_path):
    (tmp_path / "other.txt").write_text("ΩΩΩ The fox", encoding="utf-8")
    assert "unknown symbols" in ricorso("evaluate", trained, "other.txt").out


def test_a_missing_text(ricorso, trained):
    outcome = ricorso("evaluate", trained, "nowhere.txt")
    assert (outcome.status, outcome.out) == (1, "")
    assert "There is no file 'nowhere.txt'" in outcome.err
