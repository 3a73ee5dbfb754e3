from typing import Any

import pytest
from pydantic import ValidationError

from ricorso.errors import UsageError
from ricorso.tasks.generate.config import CHOSEN, GenerateConfig
from ricorso.training.settings import DEFAULT_MINUTES


def test_every_setting_says_what_it_is() -> None:
    for name, field in GenerateConfig.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        GenerateConfig.of({}).cell = "gru"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hiden_size": 3}, "no option 'hiden_size'. Did you mean 'hidden_size'"),
        ({"hidden_size": 0}, "hidden_size should be greater than or equal to 1, got 0"),
        ({"hidden_size": "8"}, "hidden_size should be a valid integer, got '8'"),
        ({"dropout": 1.0}, "dropout should be less than 1"),
        ({"level": "letter"}, "level should be 'character', 'byte', 'bpe' or 'word', got 'letter'"),
        ({"tied": True}, "tied needs vectors for the symbols: give embedding_size"),
        ({"minutes": float("inf")}, "minutes should be a finite number"),
        ({"minutes": 0.0}, "minutes should be greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        GenerateConfig.of(options)


def test_whole_numbers_do_for_fractions() -> None:
    assert GenerateConfig.of({"minutes": 3}).minutes == 3.0


@pytest.mark.parametrize(
    ("options", "minutes"), [({}, DEFAULT_MINUTES), ({"epochs": 2}, None), ({"epochs": 2, "minutes": 1.0}, 1.0)]
)
def test_a_budget_left_out_is_decided(options: dict[str, Any], minutes: float | None) -> None:
    assert GenerateConfig.of(options).resolved().minutes == minutes


@pytest.mark.parametrize("level", CHOSEN)
def test_what_is_left_open_is_decided_by_the_level(level: str) -> None:
    config = GenerateConfig.of({"level": level, "dropout": 0.125}).resolved()
    assert config.dropout == 0.125
    assert config.tied is (level == "word")
    for name, value in CHOSEN[level].items():
        assert getattr(config, name) == (0.125 if name == "dropout" else value)
    for name in ("hidden_size", "sequence_length", "batch_size", "learning_rate", "input_dropout", "embedding_dropout"):
        assert getattr(config, name) is not None


def test_a_task_may_change_the_default_of_a_shared_setting_and_keeps_its_limits() -> None:
    assert GenerateConfig.of({}).weight_decay == 0.05
    with pytest.raises(UsageError, match="weight_decay should be greater than or equal to 0"):
        GenerateConfig.of({"weight_decay": -1.0})
