import inspect
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import ricorso
from ricorso.cells import get_cell
from ricorso.equations import Cell, gates, states, tanh
from ricorso.errors import DataError, RunError, TrainingError, UsageError
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.task import Generator
from ricorso.training.interrupt import TrainingInterrupted
from ricorso.training.listener import Listener

VERSE = "the sea is blue and the sky is wide\nthe wind is cold and the moon is bright\n"
TINY: dict[str, Any] = {
    "cell": "gru",
    "hidden_size": 16,
    "sequence_length": 12,
    "batch_size": 4,
    "epochs": 3,
    "validations": 4,
    "samples": 2,
    "sample_length": 20,
    "average": 0.8,
    "threads": 1,
}


class StopAt(Listener):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, figures: Mapping[str, Any]) -> None:
        if figures["step"] == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def assert_same_weights(one: Generator, other: Generator) -> None:
    for name, tensor in one.model_.state_dict().items():
        assert torch.equal(tensor, other.model_.state_dict()[name]), name


# --- settings, as scikit-learn has them


def test_options_are_stored_as_given_and_checked_in_fit() -> None:
    generator = Generator(hidden_size=-5)
    assert generator.get_params()["hidden_size"] == -5
    with pytest.raises(UsageError, match="hidden_size should be greater"):
        generator.fit(VERSE)


def test_parameters_can_be_got_set_and_cloned() -> None:
    generator = Generator(cell="lstm", dropout=0.2)
    params = generator.get_params(deep=False)
    clone = type(generator)(**params)
    assert all(clone.get_params(deep=False)[name] is value for name, value in params.items())
    assert generator.set_params(dropout=0.5) is generator
    assert generator.get_params()["dropout"] == 0.5
    assert repr(generator) == "Generator(cell='lstm', dropout=0.5)"


def test_the_signature_is_that_of_the_settings() -> None:
    parameters = inspect.signature(Generator).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        name: field.default for name, field in GenerateConfig.model_fields.items()
    }


@pytest.mark.parametrize("call", [lambda: Generator(hiden_size=3), lambda: Generator().set_params(hiden_size=3)])
def test_an_unknown_option_is_answered_with_the_nearest(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="Did you mean 'hidden_size'"):
        call()


def test_an_unknown_cell_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'lstm'"):
        Generator(cell="lstn").fit(VERSE)


# --- training


def test_it_learns_its_text(fitted: Generator) -> None:
    losses = [line["validation_loss"] for line in fitted.metrics_ if line["kind"] == "validation"]
    assert losses[-1] < losses[0] - 0.2
    assert fitted.best_["validation_loss"] == min(losses)
    assert fitted.evaluate(VERSE)["nats_per_symbol"] < 0.9 * math.log(len(fitted.vocabulary_))


def test_the_kept_model_is_the_one_that_validated_best(fitted: Generator, corpus: Path) -> None:
    text = corpus.read_text()
    validation = fitted.evaluate(text[int(len(text) * 0.9) :])
    assert validation["nats_per_symbol"] == pytest.approx(fitted.best_["validation_loss"], abs=1e-9)


def test_same_seed_same_weights_other_seed_others(fitted: Generator, corpus: Path) -> None:
    torch.manual_seed(99)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    again = Generator(**TINY).fit(corpus)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers were used"
    assert torch.get_num_threads() == threads
    assert_same_weights(again, fitted)
    other = Generator(**TINY | {"seed": 1}).fit(corpus)
    assert not torch.equal(other.model_.head.weight, fitted.model_.head.weight)


def test_the_listener_hears_everything(corpus: Path, tmp_path: Path) -> None:
    heard: list[str] = []

    class All(Listener):
        def on_start(self, info: Mapping[str, Any]) -> None:
            heard.append("start")
            assert info["training_symbols"] == 1368
            assert info["steps"] == 3 * info["batches_per_epoch"] == 3 * 28

        def on_step(self, figures: Mapping[str, Any]) -> None:
            heard.append("step")
            assert 0 < figures["progress"] <= 1

        def on_validation(self, figures: Mapping[str, Any]) -> None:
            heard.append("validation")

        def on_sample(self, text: str) -> None:
            heard.append("sample")
            assert len(text) == 20

        def on_checkpoint(self, folder: Path) -> None:
            heard.append("checkpoint")
            assert (folder / "manifest.json").exists()

        def on_end(self, info: Mapping[str, Any]) -> None:
            heard.append("end")
            assert info["steps"] == 84

    Generator(**TINY).fit(corpus, out=tmp_path / "run", listener=All())
    assert heard[0] == "start"
    assert heard[-1] == "end"
    assert (heard.count("step"), heard.count("validation"), heard.count("sample")) == (84, 4, 2)
    assert heard.count("checkpoint") >= 2


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "num_layers": 2, "dropout": 0.2},
        {"cell": "elman_tanh", "embedding_size": 6},
        {"level": "byte"},
        {"level": "bpe", "vocabulary_size": 280},
        {"validation_fraction": 0.0},
    ],
    ids=str,
)
def test_every_kind_of_model_comes_back_from_its_folder(options: dict[str, Any], tmp_path: Path) -> None:
    made = Generator(**TINY | {"epochs": 1} | options).fit(VERSE * 6, out=tmp_path / "run")
    again = ricorso.load(tmp_path / "run")
    assert_same_weights(again, made)
    assert again.generate("the ", 40, seed=3) == made.generate("the ", 40, seed=3)
    assert again.evaluate(VERSE) == made.evaluate(VERSE)
    assert again.metrics_ == made.metrics_
    assert again.best_ == made.best_
    assert again.get_params() == made.config_.model_dump()


def test_a_cell_of_the_users_own_travels_as_data(tmp_path: Path) -> None:
    (p,), (h,) = gates("p"), states("h")
    own = Cell("halfway", gates=(p,), states=(h,), update={h: (h + tanh(p)) / 2})
    made = Generator(**TINY | {"cell": own, "epochs": 1}).fit(VERSE * 6, out=tmp_path / "run")
    again = ricorso.load(tmp_path / "run")
    assert again.model_.recurrent.cell.name == "halfway"
    assert again.get_params()["cell"] is again.model_.recurrent.cell
    assert again.generate("the ", 40, seed=3) == made.generate("the ", 40, seed=3)


def test_a_folder_in_use_is_not_touched(fitted: Generator, corpus: Path) -> None:
    assert fitted.run_
    with pytest.raises(UsageError, match="holds a run already"):
        Generator(**TINY).fit(corpus, out=fitted.run_)
    with pytest.raises(UsageError, match="holds a run already"):
        fitted.save(fitted.run_)


@pytest.mark.parametrize("text", ["x\n", "one line and another\n"])
def test_too_short_a_text_is_refused_and_leaves_no_folder(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too short"):
        Generator().fit(text, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_one_repeated_character_trains() -> None:
    made = Generator(**TINY | {"epochs": 1}).fit("a" * 2000)
    assert set(made.generate("a", 10)) == {"a"}


# --- stopping and going on


@pytest.mark.parametrize("step", [1, 40])
def test_stopped_by_ctrl_c_and_resumed_equals_never_stopped(
    fitted: Generator, corpus: Path, tmp_path: Path, step: int
) -> None:
    with pytest.raises(TrainingInterrupted, match="ricorso resume") as caught:
        Generator(**TINY).fit(corpus, out=tmp_path / "run", listener=StopAt(step))
    assert caught.value.run == tmp_path / "run"
    assert ricorso.load(tmp_path / "run").generate("the", 5), "what was learnt so far can be used"
    again = ricorso.resume(tmp_path / "run")
    assert_same_weights(again, fitted)
    assert_same_weights(ricorso.load(tmp_path / "run"), fitted)
    timed = ("seconds", "symbols_per_second", "time")
    timeless = [
        [{k: v for k, v in line.items() if k not in timed} for line in each.metrics_] for each in (again, fitted)
    ]
    assert timeless[0] == timeless[1]


def test_killed_outright_and_resumed_equals_never_stopped(fitted: Generator, corpus: Path, tmp_path: Path) -> None:
    code = f"""
import os, signal
from ricorso import Generator
from ricorso.training.listener import Listener
class Kill(Listener):
    def on_step(self, figures):
        if figures["step"] == 50:
            os.kill(os.getpid(), signal.SIGKILL)
Generator(**{TINY!r}).fit({str(corpus)!r}, out={str(tmp_path / "run")!r}, listener=Kill())
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(RunError, match=r"holds no model yet.*ricorso resume"):
        ricorso.load(tmp_path / "run")
    assert_same_weights(ricorso.resume(tmp_path / "run"), fitted)


def test_a_text_without_a_file_is_kept_for_resuming(tmp_path: Path) -> None:
    text = "\ufeff" + VERSE * 5 + "\r\n\r\n" + VERSE * 5
    whole = Generator(**TINY).fit(text, validation=VERSE)
    with pytest.raises(TrainingInterrupted):
        Generator(**TINY).fit(text, validation=VERSE, out=tmp_path / "run", listener=StopAt(10))
    assert_same_weights(ricorso.resume(tmp_path / "run"), whole)


def test_a_text_that_changed_or_moved(corpus: Path, tmp_path: Path, fitted: Generator) -> None:
    copy = tmp_path / "copy.txt"
    shutil.copy(corpus, copy)
    with pytest.raises(TrainingInterrupted):
        Generator(**TINY).fit(copy, out=tmp_path / "run", listener=StopAt(10))
    copy.write_text(corpus.read_text() + "more")
    with pytest.raises(RunError, match="not the one this run was trained on"):
        ricorso.resume(tmp_path / "run")
    copy.unlink()
    with pytest.raises(DataError, match="no file"):
        ricorso.resume(tmp_path / "run")
    assert_same_weights(ricorso.resume(tmp_path / "run", text=corpus), fitted)


def test_resuming_a_finished_or_saved_run_loads_it(fitted: Generator, tmp_path: Path) -> None:
    assert fitted.run_
    assert_same_weights(ricorso.resume(fitted.run_), fitted)
    assert_same_weights(ricorso.resume(fitted.save(tmp_path / "saved")), fitted)


def test_a_full_disk_while_saving_spares_the_checkpoint(fitted: Generator, corpus: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Full(Listener):
        def on_checkpoint(self, folder: Path) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))

    try:
        with pytest.raises(TrainingError, match=r"checkpoint of step \d+ is whole.*ricorso resume"):
            Generator(**TINY).fit(corpus, out=tmp_path / "run", listener=Full())
        with pytest.raises(RunError, match="could not be written"):
            fitted.save(tmp_path / "saved")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "saved").exists()
    assert_same_weights(ricorso.resume(tmp_path / "run"), fitted)


# --- the run folder


def test_the_run_folder_holds_what_it_should(fitted: Generator, corpus: Path) -> None:
    run = fitted.run_
    assert run
    listed = json.loads((run / "manifest.json").read_text())["files"]
    assert set(listed) == {"config.json", "model.safetensors", "cell.json", "vocabulary.json", "metrics.jsonl"}
    config = json.loads((run / "config.json").read_text())
    assert config["task"] == "generate"
    assert set(config["settings"]) == set(GenerateConfig.model_fields)
    assert config["data"]["text"]["path"] == str(corpus.resolve())
    assert config["versions"]["torch"] == torch.__version__
    assert json.loads((run / "cell.json").read_text())["name"] == get_cell("gru").name


def copied(fitted: Generator, tmp_path: Path) -> Path:
    assert fitted.run_
    shutil.copytree(fitted.run_, tmp_path / "run")
    return tmp_path / "run"


def reseal(run: Path, name: str, change: dict[str, Any]) -> None:
    """Change a JSON file and make the manifest agree, as a careful forger would."""
    from ricorso.bundle import seal

    data = json.loads((run / name).read_text())
    (run / name).write_text(json.dumps(data | change))
    seal(run)


def test_a_truncated_or_changed_file_is_refused(fitted: Generator, tmp_path: Path) -> None:
    run = copied(fitted, tmp_path)
    weights = run / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RunError, match="SHA-256"):
        ricorso.load(run)
    os.truncate(weights, 100)
    with pytest.raises(RunError, match="truncated"):
        ricorso.load(run)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", {"task": "compose"}, "task 'compose'"),
        ("config.json", {"settings": {"hidden_size": 17}}, "shape|no tensor"),
        ("config.json", {"settings": {"hidden_size": 10**9}}, "cannot be made"),
        ("config.json", {"settings": {"hiden_size": 16}}, "cannot be used"),
        ("config.json", {"settings": 5}, "cannot be used"),
        ("config.json", {"data": None}, "cannot be used"),
        ("cell.json", {"update": [["h", ["system", "p"]]]}, "cannot be used"),
        ("cell.json", {"gates": ["r"]}, "cannot be used"),
        ("vocabulary.json", {"symbols": ["a", "b"]}, "shape"),
        ("vocabulary.json", {"kind": "words"}, "words"),
    ],
)
def test_a_forged_folder_is_refused(
    fitted: Generator, tmp_path: Path, name: str, change: dict[str, Any], message: str
) -> None:
    run = copied(fitted, tmp_path)
    reseal(run, name, change)
    with pytest.raises(RunError, match=message):
        ricorso.load(run)


def test_other_folders_are_no_runs(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError):
            ricorso.load(path)
        with pytest.raises(RunError):
            ricorso.resume(path)


# --- writing


def test_writing_goes_on_from_the_prompt(fitted: Generator) -> None:
    text = fitted.generate("the sea", 30, seed=1)
    assert len(text) == 30
    assert fitted.generate("the sea", 30, seed=1) == text
    assert fitted.generate("the sea", 30, seed=2) != text
    assert fitted.generate("the moon", 30, seed=1) != text
    assert fitted.generate("the sea", 30, temperature=0) == fitted.generate("the sea", 30, top_k=1)
    assert fitted.generate("the sea", 0) == ""
    assert len(fitted.generate(length=10)) == 10


def test_greedy_writing_is_what_the_model_finds_likeliest(fitted: Generator) -> None:
    ids = fitted.vocabulary_.encode("the ").tolist()
    for _ in range(15):
        with torch.no_grad():
            scores, _ = fitted.model_(torch.tensor(ids)[:, None])
        scores[-1, 0] = -math.inf
        ids.append(int(scores[-1].argmax()))
    assert fitted.generate("the ", 15, temperature=0) == fitted.vocabulary_.decode(ids[4:])


def test_a_stream_is_the_same_text_in_pieces(fitted: Generator) -> None:
    pieces = list(fitted.stream("the ", 25, seed=4))
    assert "".join(pieces) == fitted.generate("the ", 25, seed=4)
    assert len(pieces) == 25


def test_unknown_characters_of_the_prompt_are_named_or_dropped(fitted: Generator) -> None:
    with pytest.raises(UsageError, match=r"'É' \(U\+00C9\), '床' \(U\+5E8A\)"):
        fitted.generate("thÉ 床")
    assert fitted.generate("thÉe 床", 9, seed=1, unknown="drop") == fitted.generate("the ", 9, seed=1)
    assert len(fitted.generate("床", 9, unknown="drop")) == 9


@pytest.mark.parametrize(
    "options", [{"length": -1}, {"temperature": -1.0}, {"top_k": 0}, {"top_p": 2.0}, {"unknown": "ignore"}]
)
def test_wrong_wishes_are_refused_at_once(fitted: Generator, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        fitted.stream("the", **options)


def test_the_unknown_symbol_is_never_written() -> None:
    text = "".join(chr(0x4E00 + i) for i in range(300)) * 2 + "".join(chr(0x6000 + i) for i in range(300))
    made = Generator(**TINY | {"epochs": 1, "validation_fraction": 0.0}).fit(text)
    assert len(made.vocabulary_) == 301
    assert "\ufffd" not in made.generate(length=2000, temperature=2.0, seed=0)


# --- measuring


def test_figures_fit_together(fitted: Generator) -> None:
    figures = fitted.evaluate(VERSE * 8, stateful=True)
    assert figures["symbols"] == figures["characters"] == len(VERSE) * 8 - 1
    assert figures["perplexity"] == pytest.approx(math.exp(figures["nats_per_symbol"]))
    assert figures["bits_per_character"] == pytest.approx(figures["nats_per_symbol"] / math.log(2))
    assert figures["window"] == 256
    assert figures["stateful"]["symbols"] == figures["symbols"]
    assert figures["stateful"]["nats_per_symbol"] != figures["nats_per_symbol"]
    assert "stateful" not in fitted.evaluate(VERSE)


def test_bits_count_characters_where_symbols_are_bytes() -> None:
    made = Generator(**TINY | {"level": "byte", "epochs": 1}).fit("grün\n" * 200)
    figures = made.evaluate("grün\n" * 20)
    assert figures["symbols"] == 119
    assert figures["characters"] == 99
    assert figures["bits_per_character"] == pytest.approx(figures["nats_per_symbol"] * 119 / 99 / math.log(2))


def test_unknown_symbols_are_counted(fitted: Generator) -> None:
    assert fitted.evaluate("the ÉÉÉÉ\n")["unknown"] == pytest.approx(4 / 9)


def test_measuring_needs_two_symbols(fitted: Generator, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a")
    with pytest.raises(DataError, match="at least 2"):
        fitted.evaluate(tmp_path / "one.txt")


def test_nothing_works_before_fit() -> None:
    for call in (Generator().generate, lambda: Generator().evaluate("x\n"), lambda: Generator().save("x")):
        with pytest.raises(UsageError, match="call fit first"):
            call()
