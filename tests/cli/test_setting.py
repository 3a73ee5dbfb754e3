from typing import Annotated, Literal

import click
import pytest
from pydantic import BaseModel, Field

from ricorso.cli.setting import config_options, merge


class Config(BaseModel):
    size: int = Field(3, description="How large.")
    rate: float = Field(1e-3, description="How fast.")
    limit: int | None = Field(None, description="How far.")
    level: Literal["low", "high"] = Field("low", description="Where.")
    careful: bool = Field(True, description="How.")
    name: Annotated[str, Field(description="Who.")] = "x"


def parsed(*arguments):
    command = click.Command("c", params=config_options(Config), callback=lambda **values: values)
    return command.main(list(arguments), standalone_mode=False)


def test_what_is_not_given_is_none():
    assert parsed() == dict.fromkeys(Config.model_fields)


def test_values_have_the_type_of_the_field():
    given = parsed("--size", "5", "--rate", "2", "--limit", "7", "--level", "high", "--no-careful", "--name", "y")
    assert given == {"size": 5, "rate": 2.0, "limit": 7, "level": "high", "careful": False, "name": "y"}


def test_a_choice_is_checked():
    with pytest.raises(click.BadParameter, match="'medium' is not one of 'low', 'high'"):
        parsed("--level", "medium")


def test_a_type_without_a_command_line_form_is_refused():
    class Odd(BaseModel):
        pairs: dict[str, int] = {}

    with pytest.raises(TypeError, match="no command-line form"):
        config_options(Odd)


def test_options_go_before_the_file(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"size": 1, "limit": 2}')
    assert merge(path, {"size": 9, "rate": None}) == {"size": 9, "limit": 2}
