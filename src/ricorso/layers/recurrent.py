"""Any cell as a torch layer: stacked, in both directions, with torch.nn's call and parameter names."""

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ricorso.cells import get_cell
from ricorso.engine import peer
from ricorso.engine.fast import torch_team
from ricorso.engine.operator import forward as compiled_forward
from ricorso.engine.operator import naive_forward, register
from ricorso.engine.path import Path, choose
from ricorso.engine.stepper import Stepper
from ricorso.equations.cell import Cell
from ricorso.errors import ShapeError, UsageError

States = Tensor | tuple[Tensor, ...]


class Recurrent(nn.Module):
    """A stack of recurrent layers of any cell.

    cell: a name from `ricorso.cells` or a Cell of your own. input_size: features, or number of symbols when the
    input is token ids. The other arguments are those of torch.nn.LSTM; parameters have the same names and shapes,
    gates stacked in the order of `cell.gates`.

    proj_size: for the LSTM, the size to which the output is projected (arXiv:1402.1128); runs through torch's kernel.

    Call: `output, states = layer(input, hx=None)`.
    input: (time, batch, input_size), with batch_first (batch, time, input_size), unbatched (time, input_size); or
    token ids of an integer type without the last dimension. output: the top layer's output at every step, directions
    side by side. hx, states: (layers * directions, batch, hidden_size), a tuple of these for cells with several states.

    Raises UsageError for wrong arguments and ShapeError for inputs that do not fit.

    >>> import torch
    >>> layer = Recurrent("lstm", 3, 5)
    >>> output, (h, c) = layer(torch.zeros(7, 2, 3))
    >>> tuple(output.shape), tuple(h.shape)
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(
        self,
        cell: str | Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = get_cell(cell)
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if type(size) is not int or size < 1:
                raise UsageError(f"{name} must be a whole number of at least 1, not {size!r}.")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise UsageError(f"dropout must be a probability between 0 and 1, not {dropout!r}.")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers and there is only one; it has no effect.", stacklevel=2
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = float(dropout)
        self.proj_size = self._checked_projection(proj_size)
        self._key = register(self.cell)
        self._path: Path | None = None
        for name, shape in self._parameter_shapes().items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _checked_projection(self, size: int) -> int:
        if size == 0:
            return 0
        if self.cell.name != "lstm":
            raise UsageError(f"proj_size works with the LSTM only; the cell is '{self.cell.name}'. Leave it out.")
        if type(size) is not int or not 0 < size < self.hidden_size:
            raise UsageError(f"proj_size must be a whole number below hidden_size={self.hidden_size}, not {size!r}.")
        return size

    @property
    def output_size(self) -> int:
        """Features of one direction's output."""
        return self.proj_size or self.hidden_size

    @property
    def _first_weight(self) -> Tensor:
        return self._weight("weight_hh_l0")

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        rows = len(self.cell.gates) * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.num_layers):
            columns = self.input_size if layer == 0 else self.output_size * len(self._directions)
            for direction in self._directions:
                end = f"l{layer}{direction}"
                shapes |= {f"weight_ih_{end}": (rows, columns), f"weight_hh_{end}": (rows, self.output_size)}
                if self.bias:
                    shapes |= {f"bias_ih_{end}": (rows,), f"bias_hh_{end}": (rows,)}
                if self.proj_size:
                    shapes |= {f"weight_hr_{end}": (self.proj_size, self.hidden_size)}
        return shapes

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly from +-1/sqrt(hidden_size), as torch.nn does."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @property
    def path(self) -> str:
        """Which way the last call ran, and why."""
        return str(self._path) if self._path else "not called yet"

    def extra_repr(self) -> str:
        text = f"{self.cell.name}, {self.input_size}, {self.hidden_size}"
        for name, usual in (("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text + (", bidirectional=True" if self.bidirectional else "")

    def forward(self, input: Tensor, hx: States | None = None) -> tuple[Tensor, States]:
        x, batched = self._time_major(input)
        initial = self._initial(x, hx, batched)
        self._path = choose(self.cell, x, self._first_weight, projected=bool(self.proj_size))
        if self._path.name == "torch":
            x, last = peer.run(self.cell, x, initial, self._flat_weights(), self)
        else:
            x, last = self._stack(x, initial)
        if not batched:
            x, last = x.squeeze(1), [state.squeeze(1) for state in last]
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, last[0] if len(last) == 1 else tuple(last)

    def _stack(self, x: Tensor, initial: Sequence[Tensor] | Tensor) -> tuple[Tensor, list[Tensor]]:
        run = compiled_forward if self._path and self._path.name == "llvm" else naive_forward
        starts = initial if isinstance(initial, Tensor) else torch.stack(tuple(initial))
        finals: list[Tensor] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in self._directions:
                weights = self._weights(f"l{layer}{direction}")
                output, final = run(x, *weights, starts[:, len(finals)], self._key, bool(direction))
                outputs.append(output)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
            if self.dropout and layer < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, self.training)
        last = torch.stack(finals, 1) if len(finals) > 1 else finals[0].unsqueeze(1)
        return x, list(last.unbind(0))

    def _weights(self, end: str) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        biases = (self._weight(f"bias_ih_{end}"), self._weight(f"bias_hh_{end}")) if self.bias else (None, None)
        return self._weight(f"weight_ih_{end}"), self._weight(f"weight_hh_{end}"), *biases

    def _weight(self, name: str) -> Tensor:
        """A parameter, or what a parametrisation has put in its place."""
        found: Tensor | None = self._parameters.get(name)
        if found is None:
            found = getattr(self, name)
        return found

    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._parameter_shapes()]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, as torch.nn lists them."""
        flat, rows = self._flat_weights(), self.num_layers * len(self._directions)
        size = len(flat) // rows
        return [flat[n * size : (n + 1) * size] for n in range(rows)]

    def flatten_parameters(self) -> None:
        """Nothing to do: kernels pack the weights themselves. Here because code written for torch.nn calls it."""

    def stepper(self, batch_size: int = 1, tokens: bool = False) -> Stepper:
        """A stream through this layer as it is now, one step at a call; see `engine.stepper.Stepper`.

        tokens: the input is token ids. Raises UsageError for a bidirectional or projected layer.
        """
        if self.bidirectional or self.proj_size:
            raise UsageError("A stream cannot look ahead: steppers take layers of one direction without projection.")
        weights = {name: p.detach().cpu().numpy().copy() for name, p in self.named_parameters()}
        return Stepper(self.cell, weights, self.num_layers, batch_size, tokens, torch_team(), torch.get_num_threads())

    def _time_major(self, input: Tensor) -> tuple[Tensor, bool]:
        tokens = not input.is_floating_point()
        features = 0 if tokens else 1
        if input.dim() not in (1 + features, 2 + features):
            wanted = "token ids (time, batch) or (time)" if tokens else "(time, batch, features) or (time, features)"
            raise ShapeError(f"`input` has {input.dim()} dimensions {tuple(input.shape)}; wanted {wanted}.")
        if features and input.shape[-1] != self.input_size:
            raise ShapeError(
                f"`input` has {input.shape[-1]} features; this {type(self).__name__} was built with "
                f"input_size={self.input_size}. Rebuild it, or check what feeds it."
            )
        weight = self._first_weight
        if features and input.dtype != weight.dtype:
            raise ShapeError(f"`input` is {input.dtype} and the weights are {weight.dtype}; convert one of the two.")
        if input.device != weight.device:
            raise ShapeError(f"`input` is on {input.device} and the weights on {weight.device}; move one of the two.")
        if tokens:
            self._check_tokens(input)
            input = input.long()
        batched = input.dim() == 2 + features
        if not batched:
            return input.unsqueeze(1), False
        return (input.transpose(0, 1) if self.batch_first else input), True

    def _check_tokens(self, input: Tensor) -> None:
        if input.dtype == torch.bool or input.is_complex():
            raise ShapeError(f"`input` is {input.dtype}; wanted features of a float type or integer token ids.")
        if torch.compiler.is_compiling() or input.numel() == 0:
            return
        low, high = (int(value) for value in input.aminmax())
        if low < 0 or high >= self.input_size:
            raise ShapeError(
                f"`input` holds token ids from {low} to {high}; this {type(self).__name__} was built with "
                f"input_size={self.input_size}, so ids must be 0 to {self.input_size - 1}."
            )

    def _initial(self, x: Tensor, hx: States | None, batched: bool) -> Sequence[Tensor] | Tensor:
        """Each state before the first step, (layers * directions, batch, size), in one tensor where that is free."""
        states, rows = self.cell.states, self.num_layers * len(self._directions)
        sizes = [self.output_size if n == 0 else self.hidden_size for n in range(len(states))]
        weight = self._first_weight
        if hx is None:
            if not self.proj_size:
                return weight.new_zeros(len(states), rows, x.shape[1], self.hidden_size)
            return [weight.new_zeros(rows, x.shape[1], size) for size in sizes]
        given = [hx] if isinstance(hx, Tensor) else list(hx)
        if len(given) != len(states):
            names = ", ".join(state.name for state in states)
            raise ShapeError(f"`hx` holds {len(given)} tensors; {self.cell.name} has {len(states)} states ({names}).")
        for tensor, state, size in zip(given, states, sizes, strict=True):
            wanted = (rows, x.shape[1], size) if batched else (rows, size)
            if tuple(tensor.shape) != wanted:
                raise ShapeError(f"State {state.name} of `hx` has shape {tuple(tensor.shape)}; wanted {wanted}.")
            if tensor.dtype != weight.dtype or tensor.device != weight.device:
                raise ShapeError(
                    f"State {state.name} of `hx` is {tensor.dtype} on {tensor.device}; the weights are "
                    f"{weight.dtype} on {weight.device}."
                )
        return given if batched else [tensor.unsqueeze(1) for tensor in given]
