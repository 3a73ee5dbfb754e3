"""`ricorso train TASK DATA`: every setting of the task's config is an option."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ricorso.cli.grammar import Group, Member
from ricorso.cli.run_folder import free_folder, train_and_tell
from ricorso.cli.task_options import settings_of, task_options

TASKS = {
    "classify": Member("ricorso.cli.train:classify_command", "Learn which label a text or a recording has."),
    "generate": Member("ricorso.cli.train:generate_command", "Learn a text and write more of it."),
    "forecast": Member("ricorso.cli.train:forecast_command", "Learn series and forecast what comes next."),
    "tag": Member("ricorso.cli.train:tag_command", "Learn a label for each word, or each step of a series."),
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

    return _command(
        "generate",
        GenerateConfig,
        validation=True,
        help="Learn the text in the file DATA (`-` reads standard input, .gz files are read as they are).",
        epilog="Example: ricorso train generate my-book.txt --minutes 3 --cell gru --out runs/my-book",
    )


def classify_command() -> click.Command:
    """Make `ricorso train classify`."""
    from ricorso.tasks.classify.config import ClassifyConfig

    return _command(
        "classify",
        ClassifyConfig,
        validation=True,
        help="Learn the labels of the examples in DATA: a table of texts and labels (CSV, TSV, JSONL, Parquet), lines "
        "of a label and a text, a folder with a file or a folder for each label, or a table of series; also .gz.",
        epilog="Example: ricorso train classify reviews.csv --minutes 2 --out runs/reviews",
    )


def forecast_command() -> click.Command:
    """Make `ricorso train forecast`."""
    from ricorso.tasks.forecast.config import ForecastConfig

    return _command(
        "forecast",
        ForecastConfig,
        validation=False,
        help="Learn the series in the file DATA: CSV, JSONL or Parquet, also .gz; a column of times, and either one "
        "that names the series and one or several to forecast, or a column or a row for each series.",
        epilog="Example: ricorso train forecast sales.csv --horizon 28 --minutes 2 --out runs/sales",
    )


def tag_command() -> click.Command:
    """Make `ricorso train tag`."""
    from ricorso.tasks.tag.config import TagConfig

    return _command(
        "tag",
        TagConfig,
        validation=True,
        help="Learn the tags of the words in DATA: CoNLL-U, columns of words and tags (as in CoNLL-2003), or lines of "
        'JSON with "tokens" and "tags"; with --column a table of series with a column of tags; also .gz.',
        epilog="Example: ricorso train tag eng.train --valid eng.testa --out runs/names",
    )


def _command(task: str, config: type[Any], *, validation: bool, **texts: str) -> click.Command:
    options = task_options(
        config,
        out="The run folder; left out, a new one under runs/.",
        settings="options given here come first.",
        validation=validation,
    )
    params = [click.Argument(["data"]), *options]
    return click.Command(task, params=params, callback=lambda **given: _train(task, **given), **texts)  # type: ignore[arg-type]


def _train(
    task: str,
    data: str,
    out: Path | None,
    config_file: Path | None,
    as_json: bool,
    valid: str | None = None,
    **given: Any,
) -> int:
    from ricorso.tasks import TASKS as CLASSES

    module, _, name = CLASSES[task].partition(":")
    model = getattr(import_module(module), name)(**settings_of(config_file, given))
    folder = out or free_folder(data)
    held_out = {} if valid is None else {"validation" if task == "generate" else "valid": Path(valid)}
    return train_and_tell(lambda listener: model.fit(Path(data), **held_out, out=folder, listener=listener), as_json)
