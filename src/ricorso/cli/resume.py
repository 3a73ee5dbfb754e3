"""`ricorso resume RUN`: go on with a training that was stopped or killed."""

from pathlib import Path

import click

from ricorso.cli.grammar import json_option
from ricorso.cli.run_folder import train_and_tell


@click.command(epilog="Example: ricorso resume runs/my-book")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data", metavar="FILE", type=click.Path(path_type=Path), help="Where the training text is now, if it was moved."
)
@click.option(
    "--valid",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the validation text is now, if it was moved.",
)
@json_option
def resume(run: Path, data: Path | None, valid: Path | None, as_json: bool) -> int:
    """Continue the training in the folder RUN with its own settings and budget.

    It starts from the newest checkpoint that is whole. With a budget in epochs the result is the one that an
    uninterrupted training would have had.
    """
    from ricorso import tasks

    return train_and_tell(lambda listener: tasks.resume(run, data, valid, listener=listener), as_json)
