"""The entry point: which commands there are, and what happens when one fails."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from ricorso.cli.grammar import Group, Member, answer, complaint
from ricorso.errors import RicorsoError

MEMBERS = {
    "train": Member("ricorso.cli.train:train", "Train a model on your data."),
    "resume": Member("ricorso.cli.resume:resume", "Continue a training that was stopped or killed."),
    "tune": Member("ricorso.cli.tune:tune", "Search for good settings."),
    "runs": Member("ricorso.cli.runs:runs", "List your runs, or compare some."),
    "evaluate": Member("ricorso.cli.evaluate:evaluate", "Measure a model on a text."),
    "predict": Member("ricorso.cli.predict:predict", "Forecast with a trained model."),
    "generate": Member("ricorso.cli.generate:generate", "Write text with a trained model."),
    "inspect": Member("ricorso.cli.inspect:inspect", "Look inside a model: its gradients, gates and units."),
    "cells": Member("ricorso.cli.cells:cells", "List the cells, or show the formulas of one."),
    "bench": Member("ricorso.cli.bench:bench", "Measure the speed beside torch.nn on this machine."),
    "demo": Member("ricorso.cli.demo:demo", "The whole circle in two minutes, on data that is always at hand."),
}


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"ricorso {version('ricorso')}")
        ctx.exit()


root = Group(
    "ricorso",
    members=MEMBERS,
    help="Recurrent sequence models, from the equation to the deployed stream.",
    epilog="Example: ricorso train generate my-book.txt --minutes 3",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_print_version,
            help="Print the version.",
        )
    ],
)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status: 0, 1 (the work failed) or 2 (wrong usage).

    A mistake is told in one line on standard error, and with `--json` as an object on standard output too.
    """
    try:
        result = root.main(list(arguments) or ["--help"], prog_name="ricorso", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        return _fail(complaint(error), error.exit_code, arguments)
    except RicorsoError as error:
        return _fail(str(error), error.exit_status, arguments)
    except (KeyboardInterrupt, click.Abort):
        return _fail("Stopped.", 1, arguments)
    except BrokenPipeError:
        # The reader of our output has gone; without this, the interpreter would complain again as it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}.", 1, arguments)


def _fail(message: str, status: int, arguments: Sequence[str]) -> int:
    click.echo(f"ricorso: {message}", err=True)
    if "--json" in arguments:
        answer({"error": message, "status": status})
    return status


def main() -> None:
    """Run the command line of this process and end it."""
    sys.exit(run(sys.argv[1:]))
