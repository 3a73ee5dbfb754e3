"""One step at a call: drop-ins for torch.nn.LSTMCell, GRUCell and RNNCell, and the same for any cell."""

import os
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from ricorso.cells import CATALOGUE
from ricorso.engine import single
from ricorso.engine.path import Path, choose
from ricorso.engine.single import Weights
from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError, UsageError
from ricorso.layers.batch import States, check_features
from ricorso.layers.recurrent import Recurrent

_PEERS: dict[str, Callable[..., Any]] = {
    "lstm": torch._VF.lstm_cell,
    "gru": torch._VF.gru_cell,
    "elman_tanh": torch._VF.rnn_tanh_cell,
    "elman_relu": torch._VF.rnn_relu_cell,
}
# Below so many multiplications torch's cells of one gate, which are three operations, are faster.
_WORTH_IT = 300_000
_ONE_STEP = Path("llvm", "kernels compiled for one step")
_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class RecurrentCell(nn.Module):
    """One step of any cell, for loops that need the output of a step before they know the input of the next.

    cell: a name from `ricorso.cells` or a Cell of your own. Parameters are named and shaped as in `Recurrent`, without
    the ending that tells the layer. bias, heads, init: as there.

    Call: `states = layer(input, hx=None)`. input: (batch, input_size), or unbatched (input_size); hx, states: (batch,
    hidden_size) or (hidden_size), a tuple of these for cells with several states, zero where not given; the first is
    the output. Signals of the cell follow by name, (batch) or a single number.

    The gradients of the weights are made once for all steps of a backward pass: a hook on a weight sees them whole.
    Raises UsageError for wrong arguments and ShapeError for tensors that do not fit.

    >>> import torch
    >>> layer = RecurrentCell("lstm_peephole", 3, 5)
    >>> h, c = layer(torch.zeros(2, 3))
    >>> h, c = layer(torch.zeros(2, 3), (h, c))
    >>> tuple(h.shape)
    (2, 5)
    """

    def __init__(
        self,
        cell: str | Cell,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        heads: int | None = None,
        init: str = "recommended",
    ) -> None:
        super().__init__()
        # any value that has a truth will do for `bias`, as in torch's cells
        switch = bool(bias)
        whole = Recurrent(
            cell, input_size, hidden_size, bias=switch, device=device, dtype=dtype, heads=heads, init=init
        )
        self.cell, self.input_size, self.hidden_size, self.bias = whole.cell, input_size, hidden_size, bias
        # In a tuple so that it is no submodule: its parameters are those of this module.
        self._whole = (whole,)
        for name, parameter in whole.named_parameters():
            self.register_parameter(name.removesuffix("_l0"), parameter)
        for name in _WEIGHTS:
            if not hasattr(self, name):
                self.register_parameter(name, None)
        self._names = tuple(name.removesuffix("_l0") for name, _ in whole.named_parameters())
        self._peer = self.cell.name in _PEERS and CATALOGUE.get(self.cell.name) is self.cell and whole.heads == 1
        self._features = torch.Size((input_size,))
        self._single = whole.heads == 1 and single.takes(self.cell)
        self._shared = single.Shared()
        self._path: Path | str | None = None

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        self._sequence().reset_parameters()

    @property
    def path(self) -> str:
        """Which way the last call ran, and why."""
        return str(self._path) if self._path else "not called yet"

    def extra_repr(self) -> str:
        return f"{self.cell.name}, {self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")

    def forward(self, input: Tensor, hx: States | None = None, **signals: Tensor) -> States:
        batched, weight = input.dim() == 2, self._weight(self._names[0])
        if input.shape[-1:] != self._features or input.dtype != weight.dtype or input.device != weight.device:
            self._check_input(input, weight)
        x = input if batched else self._row(input)
        states = self._initial(x, hx, batched, weight)
        if self._single and not signals and single.suits(x, weight) and not self._is_small(x):
            # a small step is over before torch's way of setting an attribute
            self.__dict__["_path"] = _ONE_STEP
            states = single.step(self.cell, x, states, self._weights(), self._shared)
        elif self._peer and not signals and self._takes_peer(x, weight):
            states = self._by_torch(x, states)
        else:
            states = self._as_sequence(x, states, signals, batched)
        if not batched:
            states = tuple(state.squeeze(0) for state in states)
        return states[0] if len(states) == 1 else states

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # a parameter whose type changes begins a new history, which steps before the change are no part of
        self._shared = single.Shared()
        return self

    def _weight(self, name: str) -> Tensor:
        """A parameter, or what a parametrisation has put in its place."""
        found: Tensor | None = self._parameters.get(name)
        return getattr(self, name) if found is None else found

    def _weights(self) -> Weights:
        own = self._parameters
        if all(name in own for name in _WEIGHTS):
            return own["weight_ih"], own["weight_hh"], own["bias_ih"], own["bias_hh"]  # type: ignore[return-value]
        return tuple(self._weight(name) for name in _WEIGHTS)  # type: ignore[return-value]

    def _is_small(self, x: Tensor) -> bool:
        """Whether torch's own function is faster."""
        if not self._peer or len(self.cell.gates) > 1:
            return False
        work = x.shape[0] * self.hidden_size * (self.input_size + self.hidden_size)
        return work < _WORTH_IT and "RICORSO_PATH" not in os.environ

    def _takes_peer(self, x: Tensor, weight: Tensor) -> bool:
        """Whether torch's own function runs: where torch has to see into it, for mixed types, and without kernels."""
        if torch.compiler.is_compiling() or torch._C._is_tracing() or torch.is_autocast_enabled(weight.device.type):
            return True
        self._path = choose(self.cell, x.unsqueeze(0), weight, weight.dtype, self.hidden_size)
        return self._path.name == "torch" or (self._path.name == "llvm" and self._is_small(x))

    def _by_torch(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = states if len(states) > 1 else states[0]
        found = _PEERS[self.cell.name](x, given, *self._weights())
        self._path = Path("torch", "torch's own step")
        return tuple(found) if len(states) > 1 else (found,)

    def _as_sequence(
        self, x: Tensor, states: tuple[Tensor, ...], signals: dict[str, Tensor], batched: bool
    ) -> tuple[Tensor, ...]:
        """The step as a sequence of length 1."""
        layer = self._sequence()
        given = {name: torch.as_tensor(value).expand(1, x.shape[0]) for name, value in signals.items()}
        initial = tuple(state.unsqueeze(0) for state in states)
        _, last = layer(x.unsqueeze(0), initial if len(initial) > 1 else initial[0], **given)
        self._path = layer.path
        return tuple(state.squeeze(0) for state in ([last] if isinstance(last, Tensor) else last))

    def _sequence(self) -> Recurrent:
        """The same weights as a layer over sequences."""
        (layer,) = self._whole
        for name in self._names:
            layer._parameters[f"{name}_l0"] = self._weight(name)  # type: ignore[assignment]
        layer.training = self.training
        return layer

    def _row(self, input: Tensor) -> Tensor:
        """Unbatched input as a batch of one."""
        if input.dim() == 1:
            return input.unsqueeze(0)
        name = type(self).__name__
        sequences = name.removesuffix("Cell") if name != "RecurrentCell" else "Recurrent"
        raise ShapeError(
            f"`input` of this {name} has {input.dim()} dimensions {tuple(input.shape)}; wanted (batch, features) or "
            f"(features). For whole sequences there is {sequences}."
        )

    def _check_input(self, input: Tensor, weight: Tensor) -> None:
        if not input.dim():
            raise ShapeError("`input` is a single number; wanted (batch, features) or (features).")
        check_features(input, self.input_size, weight, type(self).__name__)

    def _initial(self, x: Tensor, hx: States | None, batched: bool, weight: Tensor) -> tuple[Tensor, ...]:
        """States of (batch, hidden_size)."""
        count = len(self.cell.states)
        if hx is None:
            return (x.new_zeros(x.shape[0], self.hidden_size),) * count
        given = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if len(given) != count:
            names = ", ".join(state.name for state in self.cell.states)
            raise ShapeError(f"`hx` holds {len(given)} tensors; {self.cell.name} has {count} states ({names}).")
        wanted = (x.shape[0], self.hidden_size) if batched else (self.hidden_size,)
        for tensor, state in zip(given, self.cell.states, strict=True):
            if tensor.shape != wanted:
                raise ShapeError(f"State {state.name} of `hx` has shape {tuple(tensor.shape)}; wanted {wanted}.")
            if tensor.dtype != weight.dtype and not torch.is_autocast_enabled(weight.device.type):
                raise ShapeError(f"State {state.name} of `hx` is {tensor.dtype}; the weights are {weight.dtype}.")
            if tensor.device != weight.device:
                raise ShapeError(f"State {state.name} of `hx` is on {tensor.device}; the weights on {weight.device}.")
        return given if batched else tuple(tensor.unsqueeze(0) for tensor in given)


class LSTMCell(RecurrentCell):
    """torch.nn.LSTMCell with the same arguments, call, results and state_dict, through Ricorso's kernels.

    >>> import torch
    >>> h, c = LSTMCell(3, 5)(torch.zeros(2, 3))
    >>> tuple(h.shape), tuple(c.shape)
    ((2, 5), (2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__("lstm", input_size, hidden_size, bias, device, dtype, init="torch")


class GRUCell(RecurrentCell):
    """torch.nn.GRUCell with the same arguments, call, results and state_dict, through Ricorso's kernels.

    >>> import torch
    >>> h = GRUCell(3, 5)(torch.zeros(2, 3))
    >>> tuple(h.shape)
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__("gru", input_size, hidden_size, bias, device, dtype, init="torch")


class RNNCell(RecurrentCell):
    """torch.nn.RNNCell with the same arguments, call, results and state_dict, through Ricorso's kernels.

    nonlinearity: "tanh" or "relu".

    >>> import torch
    >>> h = RNNCell(3, 5, nonlinearity="relu")(torch.zeros(2, 3))
    >>> tuple(h.shape)
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise UsageError(f"nonlinearity is {nonlinearity!r}; it may be tanh or relu.")
        self.nonlinearity = nonlinearity
        super().__init__(f"elman_{nonlinearity}", input_size, hidden_size, bias, device, dtype, init="torch")
