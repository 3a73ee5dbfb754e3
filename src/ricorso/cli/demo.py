"""`ricorso demo`: the whole circle, on data that is always at hand."""

from pathlib import Path
from shlex import quote

import click

from ricorso.cli.grammar import json_option
from ricorso.cli.run_folder import free_folder, train_and_tell
from ricorso.errors import UsageError, did_you_mean

# how long each demo trains unless told otherwise
MINUTES = {"generate": 1.5, "forecast": 0.5}


@click.command(epilog="Example: ricorso demo my-book.txt")
@click.argument("what", metavar="[TASK | FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--minutes", type=float, help="Time to train for; left out, 1.5 for text and 0.5 for forecast.")
@click.option(
    "--out", metavar="FOLDER", type=click.Path(path_type=Path), help="The run folder; left out, a new one under runs/."
)
@click.option("--seed", type=int, help="The same seed gives the same training.")
@json_option
def demo(what: Path | None, minutes: float | None, out: Path | None, seed: int | None, as_json: bool) -> int:
    """Train a model for a short time, show what it makes, and say what to do next.

    Without TASK, or with `generate`, a text model learns the documentation topics that come with Python itself; with
    the name of a FILE, the text in it. With `forecast`, a model learns two series that are made on the spot, forecasts
    them, and runs free on its own forecasts. A file that is named like a task is taken as a file.
    """
    task = None if what is None or (what.exists() and not what.is_dir()) else _task(str(what))
    if task == "forecast":
        from ricorso.cli.demo_forecast import demo_forecast

        return demo_forecast(MINUTES[task] if minutes is None else minutes, out, seed, as_json)
    return _demo_text(None if task else what, MINUTES["generate"] if minutes is None else minutes, out, seed, as_json)


def _task(word: str) -> str | None:
    """The task that a word names, None for a file that is not there; a near miss is answered."""
    near = "" if Path(word).suffix else did_you_mean(word, MINUTES)
    if word not in MINUTES and near:
        raise UsageError(f"There is no file and no demo '{word}'.{near}")
    return word if word in MINUTES else None


def _demo_text(text: Path | None, minutes: float, out: Path | None, seed: int | None, as_json: bool) -> int:
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
