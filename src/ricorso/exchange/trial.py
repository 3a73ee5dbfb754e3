"""A model with and without its layers exchanged: compared, and timed in turn."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ricorso.errors import RicorsoError, UsageError
from ricorso.exchange.compare import Difference, differences, worst
from ricorso.exchange.measure import Ratio, Way, compared, forward_of, training_of, whole_of
from ricorso.exchange.place import Exchange
from ricorso.exchange.run import Example, Recorder, Results, results
from ricorso.exchange.structure import leaves, mapped

# Of the calls of a layer that were recorded, so many are compared by themselves.
COMPARED = 4
_WAYS = {"forward": forward_of, "training": training_of}


@dataclass
class Tried:
    """What was found out about one layer. ratios: "forward" and "training"."""

    calls: int
    difference: Difference | None = None
    ratios: dict[str, Ratio] = field(default_factory=dict)

    @property
    def faster(self) -> bool:
        """Whether it is worth its place: called, slower in nothing, and faster in something if it was timed."""
        ratios = self.ratios.values()
        if not self.calls or any(ratio.slower for ratio in ratios):
            return False
        return not ratios or any(ratio.faster for ratio in ratios)


class Trial:
    """Runs a model on an example with and without exchanges; nothing is exchanged afterwards."""

    def __init__(self, model: nn.Module, example: Example, exchanges: Sequence[Exchange]) -> None:
        self.model, self.example, self.exchanges = model, example, exchanges
        self.tried: dict[Exchange, Tried] = {}
        self.outputs: Difference | None = None
        self.gradients: Difference | None = None
        self.whole: dict[str, Ratio] = {}
        self._recorder = Recorder([exchange.original for exchange in exchanges])
        # taken while all originals are in place; replacements hold the same
        self._parameters = dict(model.named_parameters())
        self._again: Callable[[], None] = lambda: None
        self._shown: Sequence[Exchange] = ()

    def run(self, again: Callable[[], None], check: bool, tolerance: float | None) -> None:
        """Record what layers are called with, and compare. again: see `run.untouched`.

        Raises UsageError for a model that cannot be run on the example, or not twice with the same result, and
        RicorsoError where an exchange changes a result.
        """
        self._again = again
        with self._recorder.listening():
            wanted = self._results(())
        for exchange in self.exchanges:
            exchange.replacement.eval()
            self.tried[exchange] = Tried(self._recorder.counts[exchange.original])
        if not check:
            return
        unsteady = _first_wrong(differences(self._results(()), wanted, tolerance))
        if unsteady is not None:
            raise UsageError(
                f"The model gives another result when it is run a second time, from the same random state: {unsteady}. "
                f"Nothing can be compared; call it with check=False, or without an example."
            )
        for exchange in self._called():
            self.tried[exchange].difference = self._compared_alone(exchange, tolerance)
        self._compare_whole(wanted, self._called(), tolerance)

    def measure(self, again: Callable[[], None], seconds: float, kinds: Collection[str]) -> None:
        """Time every layer by itself, and the model with those that are worth it. kinds: "forward", "training"."""
        self._again = again
        called = self._called()
        asked = [(e, kind) for e in called for kind in (kinds if self._trains(e) else ("forward",))]
        share = seconds / 2 / max(1, len(asked))
        for exchange, kind in asked:
            calls, way = self._recorder.calls[exchange.original], _WAYS[kind]
            before, after = way(exchange.original, calls), way(exchange.replacement, calls)
            self.tried[exchange].ratios[kind] = compared(before, after, share)
        worth = [exchange for exchange in called if self.tried[exchange].faster]
        if len(worth) < len(called) and self.outputs is not None:
            self._compare_whole(self._results(()), worth, None)
        if worth:
            self._measure_whole(worth, seconds / 2, kinds)

    def _called(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if self.tried[exchange].calls]

    def _trains(self, exchange: Exchange) -> bool:
        calls = self._recorder.calls[exchange.original]
        asked = any(tensor.requires_grad for tensor in (*exchange.original.parameters(), *_tensors(calls)))
        return asked and exchange.original in self._recorder.trained

    def _show(self, ours: Sequence[Exchange]) -> None:
        """Have these exchanges done and all others undone."""
        for exchange in self.exchanges:
            exchange.show(exchange in ours)
        self._shown = ours

    def _call(self, *arguments: Any, **keywords: Any) -> object:
        root = next((e.replacement for e in self._shown if e.original is self.model), self.model)
        return root(*arguments, **keywords)

    def _results(self, ours: Sequence[Exchange]) -> Results:
        self._show(ours)
        self._again()
        arguments, keywords = self.example.copies()
        try:
            return results(self._call(*arguments, **keywords), self._parameters)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            if not ours:
                raise UsageError(f"The model cannot be run on this example. {said}") from error
            raise RicorsoError(
                f"With its layers replaced the model fails ({said}); all of them were put back. Models that ask for "
                f"the class of a layer, or reach inside it, keep torch's."
            ) from error
        finally:
            self._show(())

    def _compared_alone(self, exchange: Exchange, tolerance: float | None) -> Difference | None:
        calls = self._recorder.calls[exchange.original][:COMPARED]
        wanted, found = (_alone(layer, calls) for layer in (exchange.original, exchange.replacement))
        made = differences(found, wanted, tolerance)
        wrong = _first_wrong(made)
        if wrong is not None:
            kind = type(exchange.original).__name__
            raise RicorsoError(
                f"{exchange.path} ({kind}) gives other results when it is replaced: {wrong}. All layers were put back."
            )
        return worst(made)

    def _compare_whole(self, wanted: Results, ours: Sequence[Exchange], tolerance: float | None) -> None:
        made = differences(self._results(ours), wanted, tolerance)
        wrong = _first_wrong(made)
        if wrong is not None:
            raise RicorsoError(
                f"The model gives other results with its layers replaced: {wrong}. Each layer by itself does not. All "
                f"were put back; `tolerance` sets how much may differ."
            )
        self.outputs = worst([d for d in made if not d.is_gradient])
        self.gradients = worst([d for d in made if d.is_gradient])

    def _measure_whole(self, ours: Sequence[Exchange], seconds: float, kinds: Collection[str]) -> None:
        def way(shown: Sequence[Exchange], wanted: Sequence[Tensor] | None) -> Way:
            def prepare() -> None:
                self._show(shown)
                self._again()

            return whole_of(self._call, self.example, prepare, wanted)

        parameters = [parameter for parameter in self._parameters.values() if parameter.requires_grad]
        wanted: dict[str, list[Tensor] | None] = {"forward": None}
        if self._results(()).gradients:
            wanted["training"] = parameters  # type: ignore[assignment]
        asked = [kind for kind in kinds if kind in wanted]
        try:
            for kind in asked:
                self.whole[kind] = compared(way((), wanted[kind]), way(ours, wanted[kind]), seconds / len(asked))
        finally:
            self._show(())


def _tensors(calls: Sequence[Example]) -> list[Tensor]:
    return [value for call in calls for _, value in leaves(call) if isinstance(value, Tensor)]


def _alone(layer: nn.Module, calls: Sequence[Example]) -> Results:
    """Outputs of some calls, with the gradients of the weights and of what was given."""
    tensors = (*layer.parameters(), *_tensors(calls))
    asks = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)

    def asking(tensor: Tensor) -> Tensor:
        return tensor.detach().clone().requires_grad_(asks and tensor.is_floating_point())

    given = [mapped((call.arguments, dict(call.keywords)), asking) for call in calls]
    wanted: dict[str, Tensor] = dict(layer.named_parameters())
    wanted |= {name: value for name, value in leaves(given, "input") if isinstance(value, Tensor)}
    return results([layer.forward(*arguments, **keywords) for arguments, keywords in given], wanted)


def _first_wrong(made: Sequence[Difference]) -> Difference | None:
    found = worst(list(made))
    return None if found is None or found.ok else found
