"""`ricorso train TASK DATA`: every setting of the task's config is an option."""

from pathlib import Path
from typing import Any

import click

from ricorso.cli.grammar import Group, Member
from ricorso.cli.run_folder import free_folder, train_and_tell, usual_next_steps
from ricorso.errors import UsageError

TASKS = {
    "generate": Member("ricorso.cli.train:generate_command", "Learn a text and write more of it."),
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
    from ricorso.cli.setting import config_options
    from ricorso.tasks.generate.config import GenerateConfig

    params: list[click.Parameter] = [
        click.Argument(["data"]),
        click.Option(
            ["--valid"], metavar="FILE", help="A text file for validation; left out, the end of DATA is kept for it."
        ),
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
        *config_options(GenerateConfig),
        click.Option(
            ["--json", "as_json"], is_flag=True, help="Print one JSON object; progress goes to standard error."
        ),
    ]
    return click.Command(
        "generate",
        params=params,
        callback=_train_generate,
        help="Learn the text in the file DATA (`-` reads standard input, .gz files are read as they are).",
        epilog="Example: ricorso train generate my-book.txt --minutes 3 --cell gru --out runs/my-book",
    )


def _train_generate(
    data: str, valid: str | None, out: Path | None, config_file: Path | None, as_json: bool, **given: Any
) -> int:
    from ricorso.cells.file import names_file
    from ricorso.cli.setting import merge
    from ricorso.tasks.generate.task import Generator

    settings = merge(config_file, given)
    if given.get("cell") is None and names_file(str(settings.get("cell", ""))):
        # the settings may come from a stranger's run; code is run only when it was typed
        raise UsageError(f"'{config_file}' names the Python file '{settings['cell']}'; give it yourself, with --cell.")
    generator = Generator(**settings)
    folder = out or free_folder(data)
    validation = None if valid is None else Path(valid)
    return train_and_tell(
        lambda listener: generator.fit(Path(data), validation, out=folder, listener=listener), as_json, usual_next_steps
    )
