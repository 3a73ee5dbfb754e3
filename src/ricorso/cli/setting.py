"""Command-line options from a task's config, so that names, types, help and defaults live once."""

import json
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel

from ricorso.errors import DataError, UsageError


def config_options(config: type[BaseModel]) -> list[click.Parameter]:
    """Return one option for each field of a config; an option that is not given is None."""
    options: list[click.Parameter] = []
    for name, field in config.model_fields.items():
        flag = "--" + name.replace("_", "-")
        kind = _click_type(field.annotation)
        default = field.get_default(call_default_factory=False)
        shown = "" if default is None else f"  [default: {_shown(default)}]"
        options.append(
            click.Option(
                [f"{flag}/--no-{flag[2:]}" if kind is click.BOOL else flag, name],
                type=None if kind is click.BOOL else kind,
                default=None,
                help=(field.description or "") + shown,
            )
        )
    return options


def read_config_file(path: Path, option: str = "--config") -> dict[str, Any]:
    """Read settings from a JSON or TOML file, told apart by the name; a run's config.json holds them under "settings".

    Raises DataError when the file is missing, malformed (with line and column) or not a table of settings.
    """
    if path.suffix.lower() not in (".json", ".toml"):
        raise UsageError(f"{option} needs a file that ends in .json or .toml, got '{path}'.")
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise DataError(f"There is no file '{path}'; check the path given to {option}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}).") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is not TOML: {error}.") from error
    if not isinstance(values, dict):
        raise DataError(f"{path} holds a {type(values).__name__}; a table of settings was expected, such as {{...}}.")
    return values["settings"] if isinstance(values.get("settings"), dict) else values


def merge(file: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file with those given on the command line over them."""
    values = read_config_file(file) if file else {}
    return values | {name: value for name, value in given.items() if value is not None}


def _click_type(annotation: Any) -> click.ParamType[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _click_type(arguments[0])
    if origin in (Union, types.UnionType):
        return _click_type(next(argument for argument in arguments if argument is not types.NoneType))
    if origin is Literal:
        return click.Choice([str(argument) for argument in arguments])
    if origin is tuple:
        return _Several(_click_type(arguments[0]))
    known: dict[Any, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, bool: click.BOOL, str: click.STRING}
    if annotation not in known:
        raise TypeError(f"There is no command-line form for a setting of type {annotation!r}.")
    return known[annotation]


class _Several(click.ParamType[Any]):
    """Values with commas between them."""

    name = "values"

    def __init__(self, each: click.ParamType[Any]) -> None:
        self.each = each

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.split(",") if value.strip() else ()
        return tuple(self.each.convert(part.strip(), param, ctx) for part in parts)


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(_shown(part) for part in default)
    return f"{default:g}" if isinstance(default, float) else str(default)
