"""Where a search begins: what is asked is checked, then searched for."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ricorso import bundle
from ricorso.cells.file import names_file, resolve_cell
from ricorso.errors import UsageError, did_you_mean
from ricorso.tuning import space as spaces
from ricorso.tuning.listener import SearchListener
from ricorso.tuning.question import FILE, Question, fingerprint
from ricorso.tuning.result import TuneResult
from ricorso.tuning.rules import rules_of
from ricorso.tuning.search import Search
from ricorso.tuning.study import PRUNERS, SAMPLERS, Proposals, load_optuna

TUNES = Path("tunes")


def tune(
    task: str,
    data: str | Path,
    *,
    trials: int,
    space: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    validation: str | Path | None = None,
    out: str | Path | None = None,
    sampler: Literal["tpe", "random", "grid"] = "tpe",
    pruner: Literal["median", "hyperband", "none"] = "median",
    folds: int = 1,
    workers: int = 1,
    keep: int = 1,
    listener: SearchListener | None = None,
) -> TuneResult:
    """Search for settings with which a task learns its data best.

    space: what is searched: for each setting a range ("64..512", "1e-4..1e-2:log", "0..0.5:0.1"), or a list of values;
    left out, what is usually worth searching for the task, less what `settings` fixes. settings: options of the task's
    class, the same in every trial: give `epochs` for a search that comes out the same each time. validation: data of
    its own, for tasks that take it. folds: above 1, cross-validation: blocks of a text, rolling origins of series,
    examples with every label in proportion, whole sequences with tags.
    workers: processes that train side by side. keep: how many of the best keep their run folders. out: the folder of
    the search; one that holds the same search is continued.

    Raises UsageError, DataError, TrainingError when no trial comes to its end, SearchInterrupted on Ctrl-C.

        result = ricorso.tuning.tune("generate", "book.txt", trials=20, settings={"epochs": 3})
        generator = ricorso.Generator(**result.best_settings).fit(Path("book.txt"))
    """
    load_optuna()
    rules = rules_of(task)
    config = rules.load_config()
    # as they come back from tune.json
    fixed = {name: list(value) if isinstance(value, tuple) else value for name, value in (settings or {}).items()}
    _check_counts(trials=trials, folds=folds, workers=workers)
    _check_name("sampler", sampler, SAMPLERS)
    _check_name("pruner", pruner, PRUNERS)
    if str(data) == "-" or str(validation) == "-":
        raise UsageError("A search reads its data for every trial, so standard input will not do; give a file.")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError("A search is not started by torchrun; use workers to train trials side by side.")
    if keep < 0:
        raise UsageError(f"keep must be 0 or more, got {keep}.")
    if validation is not None and not rules.validation:
        raise UsageError(f"The task {task} holds out a part of its data itself; leave out validation (--valid).")
    if folds > 1 and validation is not None:
        raise UsageError("With folds the validation data is cut from the data; leave out --folds or --valid.")
    from_data = validation is None and (folds == 1 or not rules.validation)
    if from_data and getattr(config.of(fixed), "validation_fraction", None) == 0:
        raise UsageError(
            "With validation_fraction=0 nothing is held out that trials could be compared by; leave it out."
        )
    wanted = {name: text for name, text in rules.space.items() if name not in fixed} if space is None else space
    rules.check_comparable(wanted)
    searched = spaces.read_space(wanted, config)
    fixed = {name: value for name, value in fixed.items() if name not in searched}
    spaces.check_space(searched, fixed, config)
    for name in spaces.cells(searched, fixed):
        resolve_cell(name)
    idle = rules.check(Path(data), None if validation is None else Path(validation), fixed)
    if space is None:
        searched = spaces.read_space({name: own for name, own in searched.items() if name not in idle}, config)
    question = Question(
        task=task,
        data=fingerprint(Path(data)),
        validation=None if validation is None else fingerprint(Path(validation)),
        settings=fixed,
        space=spaces.to_json(searched),
        sampler=sampler,
        pruner=pruner,
        folds=folds,
        seed=config.of(fixed).seed,
        threads=_threads(fixed, workers),
        trials=trials,
        keep=keep,
    )
    Proposals(searched, sampler, question.seed)
    folder = Path(out) if out is not None else _free_folder(Path(data))
    if (folder / FILE).is_file():
        known = Question.read(folder)
        known.check_same(question, folder)
        question = replace(question, threads=known.threads)
    else:
        bundle.check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
    return Search(folder, question, listener or SearchListener()).run(workers)


def continue_search(
    folder: str | Path, *, trials: int | None = None, workers: int = 1, listener: SearchListener | None = None
) -> TuneResult:
    """Go on with the search in a folder. trials: how many in all, the ones that are done included.

    A search over a cell from a Python file is not continued like this: ask for it again, with `out`. Raises RunError
    when the folder holds no search or the data has changed, and what `tune` raises.
    """
    load_optuna()
    folder = Path(folder)
    question = Question.read(folder)
    _check_counts(trials=question.trials if trials is None else trials, workers=workers)
    for name in spaces.cells(question.to_space(), question.settings):
        if names_file(name):
            # the folder may be a stranger's; code is run only when it was typed
            raise UsageError(
                f"'{folder}' names a cell in a Python file, '{name}', which is not run unasked. "
                f"To go on, ask for the same search again, with this folder as its place (--out {folder})."
            )
    question.check_data()
    if trials is not None:
        question = replace(question, trials=trials)
    return Search(folder, question, listener or SearchListener()).run(workers)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name} must be 1 or more, got {count}.")


def _check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise UsageError(f"There is no {what} '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}.")


def _threads(settings: Mapping[str, Any], workers: int) -> int:
    import torch

    given = settings.get("threads")
    return int(given) if given else max(1, torch.get_num_threads() // workers)


def _free_folder(data: Path) -> Path:
    stem = Path(data.name.removesuffix(".gz")).stem or "search"
    folder, number = TUNES / stem, 1
    while folder.exists():
        number += 1
        folder = TUNES / f"{stem}-{number}"
    return folder
