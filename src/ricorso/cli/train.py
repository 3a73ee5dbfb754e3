"""`ricorso train TASK DATA`: every setting of the task's config is an option."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ricorso.cli.grammar import Group, Member
from ricorso.cli.run_folder import free_folder, train_and_tell
from ricorso.errors import UsageError

TASKS = {
    "generate": Member("ricorso.cli.train:generate_command", "Learn a text and write more of it."),
    "forecast": Member("ricorso.cli.train:forecast_command", "Learn series and forecast what comes next."),
}

train = Group(
    "train",
    kind="task",
    members=TASKS,
    help="Train a model on your data.",
    epilog="Example: ricorso train generate my-book.txt --minutes 3",
)


def generate_command() -> click.Command:
    """Make `ricorso train generate`."""
    from ricorso.tasks.generate.config import GenerateConfig

    valid = click.Option(
        ["--valid"], metavar="FILE", help="A text file for validation; left out, the end of DATA is kept for it."
    )
    return _command(
        "generate",
        [valid],
        GenerateConfig,
        _train_generate,
        "Learn the text in the file DATA (`-` reads standard input, .gz files are read as they are).",
        "Example: ricorso train generate my-book.txt --minutes 3 --cell gru --out runs/my-book",
    )


def forecast_command() -> click.Command:
    """Make `ricorso train forecast`."""
    from ricorso.tasks.forecast.config import ForecastConfig

    return _command(
        "forecast",
        [],
        ForecastConfig,
        _train_forecast,
        "Learn the series in the file DATA: CSV, JSONL or Parquet, also .gz; a column of times, and either one that "
        "names the series and one or several to forecast, or a column or a row for each series.",
        "Example: ricorso train forecast sales.csv --horizon 28 --minutes 2 --out runs/sales",
    )


def _command(
    name: str, params: list[click.Option], config: type[Any], callback: Callable[..., int], about: str, example: str
) -> click.Command:
    from ricorso.cli.setting import config_options

    shared: list[click.Parameter] = [
        click.Argument(["data"]),
        *params,
        click.Option(
            ["--out"],
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="The run folder; left out, a new one under runs/.",
        ),
        click.Option(
            ["--config", "config_file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Settings from a JSON or TOML file, or another run's config.json; options given here come first.",
        ),
        *config_options(config),
        click.Option(
            ["--json", "as_json"], is_flag=True, help="Print one JSON object; progress goes to standard error."
        ),
    ]
    return click.Command(name, params=shared, callback=callback, help=about, epilog=example)


def _settings(config_file: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    from ricorso.cells.file import names_file
    from ricorso.cli.setting import merge

    settings = merge(config_file, given)
    if given.get("cell") is None and names_file(str(settings.get("cell", ""))):
        # the settings may come from a stranger's run; code is run only when it was typed
        raise UsageError(f"'{config_file}' names the Python file '{settings['cell']}'; give it yourself, with --cell.")
    return settings


def _train_generate(
    data: str, valid: str | None, out: Path | None, config_file: Path | None, as_json: bool, **given: Any
) -> int:
    from ricorso.tasks.generate.task import Generator

    generator = Generator(**_settings(config_file, given))
    folder = out or free_folder(data)
    validation = None if valid is None else Path(valid)
    return train_and_tell(
        lambda listener: generator.fit(Path(data), validation, out=folder, listener=listener), as_json
    )


def _train_forecast(data: str, out: Path | None, config_file: Path | None, as_json: bool, **given: Any) -> int:
    from ricorso.tasks.forecast.task import Forecaster

    forecaster = Forecaster(**_settings(config_file, given))
    folder = out or free_folder(data)
    return train_and_tell(lambda listener: forecaster.fit(Path(data), out=folder, listener=listener), as_json)
