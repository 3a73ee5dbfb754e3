"""What a layer is called with, checked and in the form that engines take; and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError, UsageError, did_you_mean
from ricorso.layers.packing import Packing, from_lengths, from_packed

States = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class Expected:
    """What a layer wants its inputs to be like; name: what errors call it."""

    name: str
    cell: Cell
    input_size: int
    batch_first: bool
    weight: Tensor


@dataclass(frozen=True)
class Batch:
    """The input of one call.

    x: (time, batch, features), or (rows, features) where `packing` says which steps are computed; without features for
    token ids. given: the input as it came. count: number of sequences.
    """

    x: Tensor
    given: Tensor | PackedSequence
    expected: Expected
    packing: Packing | None
    batched: bool
    count: int

    @property
    def sizes(self) -> Tensor | None:
        return None if self.packing is None else self.packing.sizes

    def arranged(self, values: Tensor) -> Tensor:
        """Values for each step of the input as it came, in the order of `x`."""
        if self.packing is not None:
            return self.packing.rows(values)
        if not self.batched:
            return values.unsqueeze(1)
        return values.transpose(0, 1) if self.expected.batch_first else values

    def restored(self, output: Tensor) -> Tensor | PackedSequence:
        """Outputs in the form of the input; those of a ragged batch come padded or packed as the input was."""
        given = self.given
        if isinstance(given, PackedSequence):
            return PackedSequence(output, given.batch_sizes, given.sorted_indices, given.unsorted_indices)
        if self.packing is not None:
            return output
        if not self.batched:
            return output.squeeze(1)
        return output.transpose(0, 1) if self.expected.batch_first else output

    def signals(self, given: dict[str, Tensor]) -> Tensor | None:
        """The cell's signals, (signals, time, batch) or (signals, rows), 1 where one is not given."""
        known = [signal.name for signal in self.expected.cell.signals]
        for name in given:
            if name not in known:
                takes = f"takes {', '.join(known)}" if known else "takes no signals"
                raise UsageError(
                    f"'{name}' is no signal of {self.expected.cell.name}, which {takes}.{did_you_mean(name, known)}"
                )
        ones = self.expected.weight.new_ones(self.x.shape[: 2 if self.packing is None else 1])
        found = [self._signal(name, given[name]) if name in given else ones for name in known]
        return torch.stack(found) if found else None

    def _signal(self, name: str, value: Tensor | PackedSequence) -> Tensor:
        data, own = (v.data if isinstance(v, PackedSequence) else v for v in (value, self.given))
        if data.requires_grad:
            raise UsageError(f"'{name}' requires a gradient, and signals have none; detach it.")
        wanted = own.shape[: own.dim() - 1] if own.is_floating_point() else own.shape
        if data.shape != wanted:
            raise ShapeError(
                f"'{name}' has shape {tuple(data.shape)}; wanted {tuple(wanted)}, one value for each step."
            )
        return self.arranged(data.to(self.expected.weight.dtype))

    def initial(self, hx: States | None, sizes: Sequence[int], ends: int) -> list[Tensor] | None:
        """Each state before the first step, (layers * directions, batch, size), or None where they are not given.

        sizes: of each state; ends: layers * directions. Raises ShapeError for states that do not fit.
        """
        if hx is None:
            return None
        cell, weight = self.expected.cell, self.expected.weight
        given = [hx] if isinstance(hx, Tensor) else list(hx)
        if len(given) != len(cell.states):
            names = ", ".join(state.name for state in cell.states)
            raise ShapeError(f"`hx` holds {len(given)} tensors; {cell.name} has {len(cell.states)} states ({names}).")
        autocast = torch.is_autocast_enabled(weight.device.type)
        for tensor, state, size in zip(given, cell.states, sizes, strict=True):
            wanted = (ends, self.count, size) if self.batched else (ends, size)
            if tuple(tensor.shape) != wanted:
                raise ShapeError(f"State {state.name} of `hx` has shape {tuple(tensor.shape)}; wanted {wanted}.")
            if (tensor.dtype != weight.dtype and not autocast) or tensor.device != weight.device:
                raise ShapeError(
                    f"State {state.name} of `hx` is {tensor.dtype} on {tensor.device}; the weights are "
                    f"{weight.dtype} on {weight.device}."
                )
        given = [tensor.to(weight.dtype) for tensor in given]
        return given if self.batched else [tensor.unsqueeze(1) for tensor in given]


def read(
    input: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | None, reset: Tensor | None, expected: Expected
) -> Batch:
    """Check the input of a call. Raises ShapeError and UsageError for what does not fit."""
    if isinstance(input, PackedSequence):
        if lengths is not None or reset is not None:
            name = "reset" if lengths is None else "lengths"
            raise UsageError(f"A PackedSequence knows its lengths; give `{name}` with a padded tensor instead.")
        x = _features(input.data, 1, expected)
        return Batch(x, input, expected, from_packed(input), True, int(input.batch_sizes[0]))
    x = _features(input, 2, expected)
    leading = x.dim() - x.is_floating_point()
    if leading == 1:
        if lengths is not None or reset is not None:
            name = "reset" if lengths is None else "lengths"
            raise UsageError(f"`{name}` is for a batch; one sequence without a batch dimension can be cut or split.")
        return Batch(x.unsqueeze(1), input, expected, None, False, 1)
    steps, count = (x.shape[1], x.shape[0]) if expected.batch_first else (x.shape[0], x.shape[1])
    if lengths is None and reset is None:
        return Batch(x.transpose(0, 1) if expected.batch_first else x, input, expected, None, True, count)
    packing = _packing(lengths, reset, steps, count, expected.batch_first, x.device)
    return Batch(packing.rows(x), input, expected, packing, True, count)


# How many rows there are is known only when the lengths are.
_packing = torch.compiler.disable(from_lengths)  # type: ignore[no-untyped-call]


def _features(x: Tensor, most: int, expected: Expected) -> Tensor:
    """The input in the type of the weights, or token ids; most: dimensions before the features, or one less."""
    features = 1 if x.is_floating_point() or x.is_complex() else 0
    if x.dim() - features not in (most, 1):
        wanted = "token ids (time, batch) or (time)"
        if features:
            order = "(batch, time, features)" if expected.batch_first else "(time, batch, features)"
            wanted = f"{order} or (time, features)"
        raise ShapeError(f"`input` has {x.dim()} dimensions {tuple(x.shape)}; wanted {wanted}.")
    if features:
        check_features(x, expected.input_size, expected.weight, expected.name)
        return x.to(expected.weight.dtype)
    _check_device(x, expected.weight)
    _check_tokens(x, expected)
    return x.long()


def check_features(x: Tensor, input_size: int, weight: Tensor, name: str) -> None:
    """Raises ShapeError where features, type or device of an input do not fit; name: what errors call the layer."""
    if x.shape[-1] != input_size:
        raise ShapeError(
            f"`input` has {x.shape[-1]} features; this {name} was built with input_size={input_size}. "
            f"Rebuild it, or check what feeds it."
        )
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ShapeError(f"`input` is {x.dtype} and the weights are {weight.dtype}; convert one of the two.")
    _check_device(x, weight)


def _check_device(x: Tensor, weight: Tensor) -> None:
    if x.device != weight.device:
        raise ShapeError(f"`input` is on {x.device} and the weights on {weight.device}; move one of the two.")


def _check_tokens(x: Tensor, expected: Expected) -> None:
    if x.dtype == torch.bool:
        raise ShapeError(f"`input` is {x.dtype}; wanted features of a float type or integer token ids.")
    if torch.compiler.is_compiling() or x.numel() == 0:
        return
    low, high = (int(value) for value in x.aminmax())
    if low < 0 or high >= expected.input_size:
        raise ShapeError(
            f"`input` holds token ids from {low} to {high}; this {expected.name} was built with "
            f"input_size={expected.input_size}, so ids must be 0 to {expected.input_size - 1}."
        )
