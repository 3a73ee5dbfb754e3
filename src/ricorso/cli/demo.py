"""`ricorso demo`: the whole circle, on data that is always at hand."""

from pathlib import Path
from shlex import quote

import click

from ricorso.cli.grammar import json_option
from ricorso.cli.run_folder import free_folder, train_and_tell
from ricorso.errors import UsageError

MINUTES = 1.5


@click.command(epilog="Example: ricorso demo my-book.txt")
@click.argument("text", required=False, type=click.Path(path_type=Path))
@click.option("--minutes", type=float, default=MINUTES, show_default=True, help="Time to train for.")
@click.option(
    "--out", metavar="FOLDER", type=click.Path(path_type=Path), help="The run folder; left out, a new one under runs/."
)
@click.option("--seed", type=int, help="The same seed gives the same training.")
@json_option
def demo(text: Path | None, minutes: float, out: Path | None, seed: int | None, as_json: bool) -> int:
    """Train a text model for a short time, show what it writes, and say what to do next.

    The text is the file TEXT, or else the documentation topics that come with Python itself.
    """
    from ricorso.tasks.generate.task import Generator

    folder = out or free_folder("demo")
    corpus = text if text is not None else python_topics()
    name = str(text) if text is not None else "the documentation topics of this Python"
    click.echo(f"Learning {name} for {minutes:g} minutes, from nothing, on this computer's CPU.", err=True)
    options = {"minutes": minutes} | ({} if seed is None else {"seed": seed})
    generator = Generator(**options)
    return train_and_tell(lambda listener: generator.fit(corpus, out=folder, listener=listener), as_json, _next_steps)


def python_topics() -> str:
    """Return the documentation topics that Python ships, as one text in alphabetical order.

    Topics repeat parts of one another; each paragraph is kept once, so that validation measures unseen text.
    Raises UsageError where Python was installed without them.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise UsageError(
            "This Python came without its documentation topics; name a text: ricorso demo FILE."
        ) from error
    paragraphs = "\n\n".join(text.strip("\n") for _, text in sorted(topics.items())).split("\n\n")
    return "\n\n".join(dict.fromkeys(paragraphs)) + "\n"


def _next_steps(run: Path) -> list[tuple[str, str]]:
    return [
        (f"ricorso generate {quote(str(run))} --prompt 'The '", "write more"),
        ("ricorso train generate FILE --minutes 3", "train on a text of your own"),
        ("ricorso cells lstm", "see the equations it was made from"),
    ]
