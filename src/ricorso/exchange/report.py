"""What `accelerate` did, layer by layer, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ricorso.errors import UsageError
from ricorso.exchange.compare import Difference
from ricorso.exchange.convert import sizes
from ricorso.exchange.measure import Ratio
from ricorso.exchange.place import Exchange


@dataclass(frozen=True, eq=False)
class Layer:
    """One recurrent layer of the model.

    path: where it is; others: further places of the same layer. replaced: whether Ricorso's is there now, and why or
    why not. calls: how often the example called it. difference: the largest of its outputs and gradients by itself.
    forward, training: times faster on what it was called with.
    """

    original: nn.Module
    path: str
    others: tuple[str, ...]
    replaced: bool
    why: str
    calls: int | None = None
    difference: Difference | None = None
    forward: Ratio | None = None
    training: Ratio | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "also": list(self.others),
            "class": type(self.original).__name__,
            "sizes": sizes(self.original),
            "replaced": self.replaced,
            "why": self.why,
            "calls": self.calls,
            "largest_relative_difference": None if self.difference is None else self.difference.value,
            "forward": _ratio(self.forward),
            "training": _ratio(self.training),
        }


@dataclass(frozen=True, eq=False)
class Report:
    """What was replaced, how equal it is and how much faster. `print` shows it as a table.

    model: the model, or what has taken its place where the model was a recurrent layer itself. forward, training: the
    whole model, with and without gradients. outputs, gradients: the largest differences of the whole model.
    """

    model: nn.Module
    layers: tuple[Layer, ...]
    exchanges: tuple[Exchange, ...]
    outputs: Difference | None = None
    gradients: Difference | None = None
    forward: Ratio | None = None
    training: Ratio | None = None
    notes: tuple[str, ...] = ()

    def undo(self) -> nn.Module:
        """Put all originals back, with what has happened to their parameters meanwhile; gives the model.

        Raises UsageError where something else has been put in a place; the other layers are put back all the same.
        """
        root, strange = self.model, list[str]()
        for exchange in self.exchanges:
            if exchange.replacement is root:
                root = exchange.original
            strange += exchange.back()
        if strange:
            raise UsageError(
                f"{', '.join(strange)} now holds something that was put there after `accelerate`; it was left there. "
                f"The layer from before is `report.layers[...].original`."
            )
        return root

    def as_json(self) -> dict[str, Any]:
        """The same in dicts, lists and numbers."""
        return {
            "model": type(self.model).__name__,
            "layers": [layer.as_json() for layer in self.layers],
            "largest_relative_difference": {name: None if d is None else d.value for name, d in self._differences()},
            "forward": _ratio(self.forward),
            "training": _ratio(self.training),
            "notes": list(self.notes),
        }

    def _differences(self) -> tuple[tuple[str, Difference | None], ...]:
        return ("outputs", self.outputs), ("gradients", self.gradients)

    def __str__(self) -> str:
        count = sum(layer.replaced for layer in self.layers)
        lines = [f"{type(self.model).__name__}: {count} of {len(self.layers)} recurrent layers replaced"]
        if self.layers:
            lines += ["", *_table([_TITLES, *(_row(layer) for layer in self.layers)])]
        below = []
        for name, ratio in (("forward", self.forward), ("forward and backward", self.training)):
            if ratio is not None:
                times = f"{ratio.before * 1e3:.1f} ms before, {ratio.after * 1e3:.1f} ms now"
                below.append(f"whole model, {name}: {times}, {ratio} times faster")
        equal = [f"{name} equal to {d.value:.0e}" for name, d in self._differences() if d is not None]
        if equal and count:
            below.append(f"whole model, {', '.join(equal)} of their largest values")
        below += self.notes
        return "\n".join([*lines, *([""] if below else []), *below])


_TITLES = ("layer", "class", "sizes", "calls", "equal to", "forward", "training", "")


def _row(layer: Layer) -> tuple[str, ...]:
    path = layer.path + (f" (and {', '.join(layer.others)})" if layer.others else "")
    return (
        path,
        type(layer.original).__name__,
        sizes(layer.original),
        "" if layer.calls is None else str(layer.calls),
        "" if layer.difference is None else f"{layer.difference.value:.0e}",
        "" if layer.forward is None else f"{layer.forward}x",
        "" if layer.training is None else f"{layer.training}x",
        ("replaced" if layer.replaced else "kept") + (f": {layer.why}" if layer.why else ""),
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, without those that are empty."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(len(cell) for cell in column) for column in columns]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def _ratio(ratio: Ratio | None) -> dict[str, float] | None:
    return None if ratio is None else dict(vars(ratio))
