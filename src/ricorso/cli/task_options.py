"""The options that every command about a task has: those of its config, and where they come from and go to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ricorso.errors import UsageError


def task_options(config: type[Any], *, out: str, settings: str, validation: bool) -> list[click.Parameter]:
    """--valid where the task takes validation data, --out, --config, an option for each setting, and --json.

    out: what the folder is for. settings: what comes before the file.
    """
    from ricorso.cli.setting import config_options

    valid = click.Option(
        ["--valid"], metavar="FILE", help="A file for validation; left out, a part of DATA is kept for it."
    )
    return [
        *([valid] if validation else []),
        click.Option(["--out"], type=click.Path(path_type=Path), metavar="FOLDER", help=out),
        click.Option(
            ["--config", "config_file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=f"Settings from a JSON or TOML file, or another run's config.json; {settings}",
        ),
        *config_options(config),
        click.Option(
            ["--json", "as_json"], is_flag=True, help="Print one JSON object; progress goes to standard error."
        ),
    ]


def settings_of(config_file: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a file under those that were typed.

    Raises DataError for a file that cannot be read, UsageError where it alone names a cell in a Python file.
    """
    from ricorso.cells.file import names_file
    from ricorso.cli.setting import merge

    settings = merge(config_file, given)
    if given.get("cell") is None and names_file(str(settings.get("cell", ""))):
        # the settings may come from a stranger's run; code is run only when it was typed
        raise UsageError(f"'{config_file}' names the Python file '{settings['cell']}'; give it yourself, with --cell.")
    return settings
