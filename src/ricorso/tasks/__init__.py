"""Tasks: what a sequence model can be trained for. `load` and `resume` find the task of a run folder."""

from importlib import import_module
from pathlib import Path
from typing import Any

from ricorso.bundle import CONFIG, read_json, verify
from ricorso.errors import RunError, UsageError

# by name, so that a task and its libraries are loaded when they are wanted
TASKS = {
    "generate": "ricorso.tasks.generate.task:Generator",
    "classify": "ricorso.tasks.classify.task:Classifier",
    "forecast": "ricorso.tasks.forecast.task:Forecaster",
    "tag": "ricorso.tasks.tag.task:Tagger",
}


def load(folder: str | Path, task: str | None = None) -> Any:
    """The trained model of a run folder, as an object of its task's class.

    task: what the run has to be of. Raises RunError when the model cannot be had, UsageError for a run of another task.
    """
    found = _task(Path(folder))
    if task not in (None, found.task):
        raise UsageError(f"'{folder}' is a run of the task {found.task}; this is for {task}.")
    return found.load(folder)


def resume(folder: str | Path, *arguments: Any, **options: Any) -> Any:
    """Go on with the training of a run folder, with the arguments of its task's `resume`."""
    return _task(Path(folder)).resume(folder, *arguments, **options)


def _task(folder: Path) -> Any:
    verify(folder, (CONFIG,), others=False)
    name = read_json(folder / CONFIG).get("task")
    if name not in TASKS:
        raise RunError(f"'{folder}' is a run of the task {name!r}, which this Ricorso does not know. Upgrade it.")
    module, _, attribute = TASKS[name].partition(":")
    return getattr(import_module(module), attribute)
