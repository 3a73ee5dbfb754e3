import io
import json
import sys

import pytest

from ricorso.bundle import read_json, to_json


def test_it_goes_on_from_the_prompt(ricorso, trained):
    outcome = ricorso("generate", trained, "--prompt", "The quick", "--length", "30")
    assert outcome.status == 0
    assert outcome.out.startswith("The quick")
    assert len(outcome.out.rstrip("\n")) in range(len("The quick"), len("The quick") + 31)
    assert outcome.out.endswith("\n")


def test_the_same_seed_writes_the_same_text(ricorso, trained):
    first, again, other = (ricorso("generate", trained, "--length", "80", "--seed", seed).out for seed in (1, 1, 2))
    assert first == again != other


def test_greedy_is_temperature_zero(ricorso, trained):
    greedy = ricorso("generate", trained, "--greedy", "--length", "40").out
    assert greedy == ricorso("generate", trained, "--temperature", "0", "--length", "40", "--seed", "7").out


def test_json_holds_prompt_and_continuation(ricorso, trained):
    told = json.loads(ricorso("generate", trained, "--prompt", "fox", "--length", "12", "--json").out)
    assert told["prompt"] == "fox"
    assert len(told["text"]) == 12


def test_the_prompt_may_come_from_standard_input(ricorso, trained, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("The lazy\n"))
    assert ricorso("generate", trained, "--prompt", "-", "--length", "3").out.startswith("The lazy")


def test_unknown_characters_of_a_prompt_are_named(ricorso, trained):
    outcome = ricorso("generate", trained, "--prompt", "fox Ω猫")
    assert outcome.status == 2
    assert "'Ω' (U+03A9)" in outcome.err
    assert "'猫' (U+732B)" in outcome.err
    assert outcome.out == ""
    assert ricorso("generate", trained, "--prompt", "fox Ω猫", "--unknown", "drop", "--length", "3").status == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", "-1"], "temperature must be 0 (greedy) or more, got -1.0"),
        (["--top-k", "0"], "top_k must be 1 or more, got 0"),
        (["--top-p", "1.5"], "top_p must be above 0 and at most 1, got 1.5"),
        (["--length", "-5"], "length must be 0 or more, got -5"),
        (["--greedy", "--temperature", "1"], "exclude one another"),
    ],
)
def test_a_value_out_of_range(ricorso, trained, options, message):
    outcome = ricorso("generate", trained, *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err


def truncate(run):
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def tamper(run):
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def lose(run):
    (run / "vocabulary.json").unlink()


def advance(run):
    manifest = read_json(run / "manifest.json")
    (run / "manifest.json").write_bytes(to_json(manifest | {"format_version": 99}))


def strip(run):
    (run / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "it is truncated or was changed"),
        (tamper, "SHA-256 differs"),
        (lose, "has lost its vocabulary.json"),
        (advance, "was written by a newer Ricorso"),
        (strip, "is not a run of Ricorso"),
    ],
)
@pytest.mark.parametrize("verb", ["generate", "evaluate", "resume"])
def test_a_damaged_run_is_refused(ricorso, trained, text_file, damage, message, verb):
    damage(trained)
    outcome = ricorso(verb, trained, *([text_file] if verb == "evaluate" else []))
    assert (outcome.status, outcome.out) == (1, "")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_what_is_not_a_run(ricorso, place):
    outcome = ricorso("generate", place)
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
