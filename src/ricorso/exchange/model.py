"""Exchanging the recurrent layers of a model of the user's, and telling what came of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from ricorso.errors import UsageError
from ricorso.exchange.convert import convert
from ricorso.exchange.place import Exchange, find
from ricorso.exchange.report import Layer, Report
from ricorso.exchange.run import Example, untouched
from ricorso.exchange.trial import Trial

MEASURED = {"forward": ("forward",), "training": ("training",), "both": ("forward", "training")}
UNSEEN = "Nothing was compared or measured: give `accelerate` the arguments of a call of the model."


def accelerate(
    model: nn.Module,
    *example: Any,
    keywords: Mapping[str, Any] | None = None,
    check: bool = True,
    seconds: float = 10.0,
    measure: str = "both",
    tolerance: float | None = None,
) -> Report:
    """Replace every recurrent layer of torch.nn in `model` by Ricorso's, in place, wherever that is faster.

    Replaced are LSTM, GRU, RNN and their Cells, at any depth, also where one layer stands in several places. The
    parameters stay the same objects, so optimisers go on as they were; modes and hooks are kept.

    example, keywords: arguments of a call of the model, with which everything is tried: tensors, packed sequences, and
    tuples, lists, dicts and objects of these. The model is run in evaluation mode, before and after, from the same
    random state; outputs and the gradients of a random projection of them are compared. Then each layer is timed
    beside the original on what the example gave it, and the original put back unless Ricorso's is faster. What runs
    under torch.no_grad() is compared and timed without gradients. All states of the model are left as they were.
    check: whether to compare. seconds: how long to measure, 0 for not at all. measure: what is timed and decides,
    "forward", "training" (forward and backward) or "both". tolerance: how much may differ, relative to the largest
    value of a tensor; 1e-4 in float32 and 1e-9 in float64 where not given.

    Returns a Report, to print and to undo. Without an example everything is replaced and nothing is tried.
    Raises UsageError where the model cannot be called with the example, and RicorsoError where results differ; the
    model then is as it was.

    >>> import torch, ricorso
    >>> model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 8), "head": torch.nn.Linear(8, 2)})
    >>> report = ricorso.accelerate(model)
    >>> type(model["rnn"]).__module__
    'ricorso.layers.gru'
    >>> report.undo()["rnn"]
    GRU(3, 8)
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"`accelerate` takes a torch module, not {type(model).__name__}.")
    if measure not in MEASURED:
        raise UsageError(f"measure is {measure!r}; it may be {', '.join(MEASURED)}.")
    candidates = _candidates(model)
    exchanges = [found for found in candidates if isinstance(found, Exchange)]
    trial = None
    try:
        if (example or keywords) and exchanges:
            trial = Trial(model, Example(example, keywords or {}), exchanges)
            with untouched(model) as again:
                trial.run(again, check, tolerance)
                if seconds > 0:
                    trial.measure(again, seconds, MEASURED[measure])
        chosen = [exchange for exchange in exchanges if trial is None or trial.tried[exchange].faster]
        for exchange in chosen:
            exchange.put()
    except BaseException:
        for exchange in exchanges:
            exchange.show(False)
        raise
    layers = [found if isinstance(found, Layer) else _told(found, trial) for found in candidates]
    root = next((e.replacement for e in chosen if e.original is model), model)
    report = Report(root, tuple(layers), tuple(chosen))
    if trial is None:
        return replace(report, notes=(UNSEEN,) if exchanges else ("There is nothing to replace.",))
    return replace(
        report,
        outputs=trial.outputs,
        gradients=trial.gradients,
        forward=trial.whole.get("forward"),
        training=trial.whole.get("training"),
    )


def _candidates(model: nn.Module) -> list[Exchange | Layer]:
    """An exchange for each layer that can be replaced, and what to tell of each that cannot."""
    found: list[Exchange | Layer] = []
    for original, places in find(model).items():
        made = convert(original)
        exchange = Exchange(original, made if isinstance(made, nn.Module) else original, tuple(places))
        if isinstance(made, str):
            found.append(_layer(exchange, replaced=False, why=made))
        else:
            found.append(exchange)
    return found


def _layer(exchange: Exchange, replaced: bool, why: str) -> Layer:
    others = tuple(place.path for place in exchange.places[1:])
    return Layer(exchange.original, exchange.path, others, replaced, why)


def _told(exchange: Exchange, trial: Trial | None) -> Layer:
    if trial is None:
        return _layer(exchange, replaced=True, why="")
    tried = trial.tried[exchange]
    why = ""
    if not tried.calls:
        why = "the example does not call it"
    elif not tried.faster:
        slower, faster = (
            [n for n, ratio in tried.ratios.items() if getattr(ratio, how)] for how in ("slower", "faster")
        )
        why = f"Ricorso's is slower here ({', '.join(slower)})" if slower else "Ricorso's is no faster here"
        if slower and faster:
            why += f'; measure="{faster[0]}" looks at {faster[0]} alone'
    return replace(
        _layer(exchange, tried.faster, why),
        calls=tried.calls,
        difference=tried.difference,
        forward=tried.ratios.get("forward"),
        training=tried.ratios.get("training"),
    )
