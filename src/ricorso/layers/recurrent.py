"""Any cell as a torch layer: stacked, in both directions, with torch.nn's call and parameter names."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ricorso.cells import get_cell
from ricorso.engine import peer
from ricorso.engine.call import Call
from ricorso.engine.device import stack_inference
from ricorso.engine.eager import eager
from ricorso.engine.operator import Run, naive_forward, scan_forward
from ricorso.engine.operator import forward as compiled_forward
from ricorso.engine.path import Path, choose, kernels_unavailable, torch_is_faster, wanted_dtype
from ricorso.engine.segments import segment_for
from ricorso.engine.stack import LayerWeights
from ricorso.engine.stepper import Stepper
from ricorso.engine.streams import Streams
from ricorso.engine.team import torch_team
from ricorso.equations.cell import Cell
from ricorso.equations.symbols import Scalar
from ricorso.equations.transform import layer_normalised
from ricorso.errors import UsageError
from ricorso.layers import start
from ricorso.layers.batch import Batch, Expected, States, read
from ricorso.layers.packing import Packing
from ricorso.layers.variant import rates, variants


class Recurrent(nn.Module):
    """A stack of recurrent layers of any cell.

    cell: a name from `ricorso.cells` or a Cell of your own. input_size: features, or number of symbols when the
    input is token ids. The arguments up to dtype are those of torch.nn.LSTM; parameters have the same names and
    shapes, gates stacked in the order of `cell.gates`. A cell's own parameters follow, under their names.

    proj_size: for the LSTM, the size to which the output is projected (arXiv:1402.1128); runs through torch's kernel.
    heads: blocks of the recurrent matrices (default: what the cell says, as far as it divides hidden_size).
    init: "recommended" for the starting values that the cell carries, "torch" for those of torch.nn.
    horizon: how many steps apart things are that belong together; starts the layer with a memory of that length.
    layer_norm: normalise each gate over the units (arXiv:1607.06450).
    zoneout: probability that a unit keeps its state, one number or (output, other states) (arXiv:1606.01305).
    input_dropout, recurrent_dropout: dropout of the inputs of each layer (not of token ids) and of what recurrent
    matrices multiply, the same units at all steps (arXiv:1512.05287). weight_drop: dropout of recurrent weights
    (arXiv:1708.02182). These act in training mode only and follow torch's random state.
    segment: keep states every so many steps only and compute the rest again in the backward pass; memory_budget:
    choose the segment so that what one layer keeps for the backward pass fits so many bytes.

    learned_start: the states before the first step (and after a reset) are parameters, where `hx` is not given.

    Call: `output, states = layer(input, hx=None, lengths=None, reset=None)`.
    input: (time, batch, input_size), with batch_first (batch, time, input_size), unbatched (time, input_size); or
    token ids of an integer type without the last dimension. output: the top layer's output at every step, directions
    side by side. hx, states: (layers * directions, batch, hidden_size), a tuple of these for cells with several states.
    lengths: of each sequence, whole numbers from 0 to time, in any order, on any device. Only real steps are computed;
    the output is zero behind the end, states are those at the end, in both directions. A torch PackedSequence does as
    well, and comes back. reset: booleans shaped as token ids are; a sequence goes on from new states at the marked
    steps, as if it were several sequences (in the other direction it ends there).
    Signals of the cell follow by name, shaped as token ids are: `layer(input, dt=gaps)`; without them they are 1.

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
        *,
        heads: int | None = None,
        init: str = "recommended",
        horizon: float | None = None,
        layer_norm: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        learned_start: bool = False,
        segment: int | None = None,
        memory_budget: int | None = None,
    ) -> None:
        super().__init__()
        self.cell = layer_normalised(get_cell(cell)) if layer_norm else get_cell(cell)
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            _check_size(name, size)
        for name, switch in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(switch, bool):
                raise UsageError(f"{name} must be True or False, not {switch!r}.")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = _probability("dropout", dropout, most=1)
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers and there is only one; it has no effect.", stacklevel=2
            )
        self.input_dropout = _probability("input_dropout", input_dropout)
        self.weight_drop = _probability("weight_drop", weight_drop)
        self.recurrent_dropout = _probability("recurrent_dropout", recurrent_dropout)
        pair = zoneout if isinstance(zoneout, tuple) else (zoneout, zoneout)
        self.zoneout = (_probability("zoneout", pair[0]), _probability("zoneout", pair[-1]))
        self.learned_start = learned_start
        self.proj_size = self._checked_projection(proj_size)
        self.heads = self._checked_heads(heads)
        for name, limit in (("segment", segment), ("memory_budget", memory_budget)):
            if limit is not None:
                _check_size(name, limit)
        self.segment, self.memory_budget = segment, memory_budget
        if init not in start.CHOICES:
            raise UsageError(f"init is {init!r}; it may be {' or '.join(start.CHOICES)}.")
        if horizon is not None and not horizon > 2:
            raise UsageError(f"horizon is a number of steps above 2, not {horizon!r}.")
        self.init, self.horizon = init, horizon
        self._variants = variants(self.cell, self.zoneout, self.recurrent_dropout)
        self._rates = rates(self.cell, self.zoneout, self.recurrent_dropout)
        self._path: Path | None = None
        shapes = self._parameter_shapes()
        self._names = frozenset(shapes)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _checked_projection(self, size: int) -> int:
        if size == 0:
            return 0
        if self.cell.name != "lstm":
            raise UsageError(f"proj_size works with the LSTM only; the cell is '{self.cell.name}'. Leave it out.")
        if type(size) is not int or not 0 < size < self.hidden_size:
            raise UsageError(f"proj_size must be a whole number below hidden_size={self.hidden_size}, not {size!r}.")
        if any((*self.zoneout, self.recurrent_dropout, self.weight_drop)):
            raise UsageError("proj_size cannot be combined with zoneout, recurrent_dropout or weight_drop.")
        if self.learned_start:
            raise UsageError("proj_size cannot be combined with learned_start.")
        return size

    def _checked_heads(self, heads: int | None) -> int:
        if heads is None:
            return math.gcd(self.cell.heads, self.hidden_size)
        _check_size("heads", heads)
        if self.hidden_size % heads:
            raise UsageError(f"heads={heads} does not divide hidden_size={self.hidden_size}; choose one that does.")
        if self.proj_size and heads > 1:
            raise UsageError("proj_size needs heads=1.")
        return heads

    @property
    def output_size(self) -> int:
        """Features of one direction's output."""
        return self.proj_size or self.hidden_size

    @property
    def _first_weight(self) -> Tensor:
        return self._weight("weight_ih_l0" if self.cell.input_gates else "weight_hh_l0")

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def _ends(self) -> list[str]:
        return [f"l{layer}{direction}" for layer in range(self.num_layers) for direction in self._directions]

    def _parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        inputs, products = (len(g) * self.hidden_size for g in (self.cell.input_gates, self.cell.product_gates))
        shapes: dict[str, tuple[int, ...]] = {}
        for end in self._ends:
            first = end.startswith("l0") and end[2:] in ("", "_reverse")
            columns = self.input_size if first else self.output_size * len(self._directions)
            own: dict[str, tuple[int, ...]] = {}
            if inputs:
                own["weight_ih"] = (inputs, columns)
            if products:
                own["weight_hh"] = (products, self.output_size // self.heads)
            if self.bias:
                own |= {name: (size,) for name, size in (("bias_ih", inputs), ("bias_hh", products)) if size}
            if self.proj_size:
                own["weight_hr"] = (self.proj_size, self.hidden_size)
            if self.learned_start:
                own |= {f"start_{state.name}": (self.hidden_size,) for state in self.cell.states}
            for parameter in self.cell.parameters:
                own[parameter.name] = (1,) if isinstance(parameter, Scalar) else (self.hidden_size,)
            shapes |= {f"{name}_{end}": shape for name, shape in own.items()}
        return shapes

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as `init` and `horizon` say; learned starting states are zero at first."""
        if self.init == "torch":
            start.start_like_torch(list(self.parameters()), self.hidden_size)
        for end in self._ends if self.learned_start else []:
            for state in self.cell.states:
                nn.init.zeros_(self.get_parameter(f"start_{state.name}_{end}"))
        for end in self._ends if self.init == "recommended" else []:
            states = [f"start_{state.name}_{end}" for state in self.cell.states]
            names = [name for name in self._parameter_shapes() if name.endswith(f"_{end}") and name not in states]
            own: dict[str, Tensor] = {name.removesuffix(f"_{end}"): self.get_parameter(name) for name in names}
            projection = own.pop("weight_hr", None)
            start.start_as_recommended(self.cell, own, self.hidden_size, self.horizon)
            if projection is not None:
                start.start_like_torch([projection], self.hidden_size)

    @property
    def path(self) -> str:
        """Which way the last call ran, and why."""
        return str(self._path) if self._path else "not called yet"

    def extra_repr(self) -> str:
        text = f"{self.cell.name}, {self.input_size}, {self.hidden_size}"
        usual = {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False, "proj_size": 0,
            "heads": 1, "horizon": None, "zoneout": (0.0, 0.0), "input_dropout": 0.0, "recurrent_dropout": 0.0,
            "weight_drop": 0.0, "segment": None, "memory_budget": None, "learned_start": False,
        }  # fmt: skip
        return text + "".join(f", {name}={getattr(self, name)}" for name in usual if getattr(self, name) != usual[name])

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: States | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        **signals: Tensor,
    ) -> tuple[Tensor | PackedSequence, States]:
        weight = self._first_weight
        if hx is None and lengths is None and reset is None and not signals and self._needs_only(input, weight):
            return self._inferred(input)
        expected = Expected(type(self).__name__, self.cell, self.input_size, self.batch_first, weight)
        batch = read(input, lengths, reset, expected)
        given = batch.signals(signals)
        starts = self._starts(batch, hx)
        dtype = wanted_dtype(weight)
        x = batch.x
        if dtype != weight.dtype:
            x = x.to(dtype) if x.is_floating_point() else x
            starts = [state.to(dtype) for state in starts]
        variant = self._variants.of(self.training)
        plain = self.heads == 1 and not (self.training and (self.input_dropout or self.weight_drop))
        head_size = self.hidden_size // self.heads
        ragged = batch.packing is not None
        self._path = choose(variant.cell, x, weight, dtype, head_size, bool(self.proj_size), plain, ragged)
        if self._path.name == "torch":
            weights = [weight.to(dtype) for weight in self._flat_weights()]
            x, last = peer.run(self.cell, x, starts, weights, self, batch.sizes)
            if batch.packing is not None and batch.packing.grid is not None:
                x = batch.packing.grid.padded(x)
        else:
            x, last = self._stack(x, starts, given, dtype, batch.packing)
        if batch.packing is not None:
            finals, whole = batch.packing.finals, batch.packing.whole
            last = [finals(state, False) if whole else self._by_direction(finals, state) for state in last]
        elif not batch.batched:
            last = [state.squeeze(1) for state in last]
        return batch.restored(x), last[0] if len(last) == 1 else tuple(last)

    def _needs_only(self, input: Tensor | PackedSequence, weight: Tensor) -> TypeGuard[Tensor]:
        """Whether the input and the weights are all that a call without gradients depends on, and kernels take them."""
        if torch.is_grad_enabled() or not isinstance(input, Tensor) or not eager(input):
            return False
        cell, dropped = self.cell, self.dropout or self.input_dropout or self.weight_drop
        return (
            input.dim() == 3
            and input.shape[2] == self.input_size
            and input.numel() > 0
            and input.dtype == weight.dtype
            and weight.dtype in (torch.float32, torch.float64)
            and weight.is_cpu
            and bool(cell.input_gates)
            and not (cell.signals or self.proj_size or self.learned_start)
            and not (self.training and (dropped or self._variants.training.kernel.noises))
            and not kernels_unavailable()
            and not torch_is_faster(cell, input, weight, weight.dtype)
        )

    def _inferred(self, input: Tensor) -> tuple[Tensor, States]:
        """The call of which `_needs_only` is true, with nothing done that it does not need."""
        x = input.transpose(0, 1) if self.batch_first else input
        variant = self._variants.of(self.training)
        layers = [
            [self._weights(f"l{layer}{direction}", x.dtype) for direction in self._directions]
            for layer in range(self.num_layers)
        ]
        if self._path is not variant.path:  # setting an attribute of a module takes long
            self._path = variant.path
        output, states = stack_inference()(variant.kernel, x, layers)
        return output.transpose(0, 1) if self.batch_first else output, states[0] if len(states) == 1 else tuple(states)

    def _starts(self, batch: Batch, hx: States | None) -> Sequence[Tensor] | Tensor:
        """Each state before each sequence or piece of one, (layers * directions, count, size).

        In one tensor where that is free.
        """
        ends, states = len(self._ends), len(self.cell.states)
        sizes = [self.output_size if n == 0 else self.hidden_size for n in range(states)]
        given = batch.initial(hx, sizes, ends)
        packing = batch.packing
        new = self._first_weight.new_zeros
        if given is None and not self.learned_start:
            count = batch.count if packing is None else len(packing.sequence)
            if not self.proj_size:
                return new(states, ends, count, self.hidden_size)
            return [new(ends, count, size) for size in sizes]
        fresh = [new(ends, 1, size) for size in sizes]
        starts = [start for start in map(self._start, self._ends) if start is not None]
        if starts:
            fresh = [state.unsqueeze(1) for state in torch.stack(starts, 1)]
        if given is None:
            given = [state.expand(-1, batch.count, -1) for state in fresh]
        if packing is None:
            return given
        return [self._by_direction(packing.initial, *pair) for pair in zip(given, fresh, strict=True)]

    def _start(self, end: str) -> Tensor | None:
        """The learned states that one layer in one direction starts from, (states, hidden_size)."""
        if not self.learned_start:
            return None
        return torch.stack([self._weight(f"start_{state.name}_{end}") for state in self.cell.states])

    def _by_direction(self, change: Callable[..., Tensor], *states: Tensor) -> Tensor:
        """`change(state, ..., reverse)` for the layers of each direction, (layers * directions, ...)."""
        count = len(self._directions)
        found = [change(*(s[n::count] for s in states), bool(n)) for n in range(count)]
        return found[0] if count == 1 else torch.stack(found, 1).flatten(0, 1)

    def _stack(
        self,
        x: Tensor,
        initial: Sequence[Tensor] | Tensor,
        signals: Tensor | None,
        dtype: torch.dtype,
        packing: Packing | None,
    ) -> tuple[Tensor, list[Tensor]]:
        """All layers and directions: outputs of the last layer, and each state (layers * directions, count, size).

        The outputs of a ragged batch are in its grid, where it has one.
        """
        forward = {"scan": scan_forward, "naive": naive_forward}.get(
            self._path.name if self._path else "", compiled_forward
        )
        variant = self._variants.of(self.training)
        starts = initial if isinstance(initial, Tensor) else torch.stack(tuple(initial))
        finals: list[Tensor] = []
        sizes, grid = (None, None) if packing is None else (packing.sizes, packing.grid)
        for layer in range(self.num_layers):
            if self.training and self.input_dropout and x.is_floating_point():
                x = x * self._locked_mask(x, starts.shape[2], packing)
            outputs = []
            straight_to = grid if layer == self.num_layers - 1 and not self.bidirectional else None
            for direction in self._directions:
                weights = self._weights(f"l{layer}{direction}", dtype)
                seed = torch.randint(2**62, (), dtype=torch.int64) if variant.kernel.noises else None
                tensors = (x, *weights, signals, starts[:, len(finals)])
                segment = self._segment(variant.kernel, tensors, sizes)
                output, final = forward(
                    Run(variant.key, tensors, sizes, bool(direction), seed, segment, grid=straight_to)
                )
                outputs.append(output)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, self.training)
        if grid is not None and self.bidirectional:
            x = grid.padded(x)
        if len(starts) == 1:
            return x, [torch.cat(finals) if len(finals) > 1 else finals[0]]
        last = torch.stack(finals, 1) if len(finals) > 1 else finals[0].unsqueeze(1)
        # copies, because torch refuses to detach views in place, and to change one of several views of a tensor
        return x, [state.clone() for state in last.unbind(0)]

    def _segment(self, cell: Cell, tensors: tuple[Tensor | None, ...], sizes: Tensor | None) -> int:
        if (self.segment is None and self.memory_budget is None) or not torch.is_grad_enabled():
            return 0
        call = Call(*tensors, sizes=sizes)  # type: ignore[arg-type, misc]
        if self.segment is not None:
            return self.segment if self.segment < call.steps else 0
        assert self.memory_budget is not None
        return segment_for(cell, call, self.memory_budget)

    def _locked_mask(self, x: Tensor, count: int, packing: Packing | None) -> Tensor:
        """One mask for each sequence, the same at all its steps."""
        rate = self.input_dropout
        mask = torch.rand(count, x.shape[-1], dtype=torch.float32, device=x.device).ge(rate).to(x.dtype) / (1 - rate)
        return mask if packing is None else packing.of_each_row(mask)

    def _weights(self, end: str, dtype: torch.dtype) -> tuple[Tensor | None, ...]:
        """weight_ih, weight_hh, bias_ih, bias_hh and the parameters as kernels take them, None where there is none."""
        found = [
            self._weight(f"{name}_{end}") if f"{name}_{end}" in self._names else None
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        if self.training and self.weight_drop and found[1] is not None:
            found[1] = nn.functional.dropout(found[1], self.weight_drop)

        variant, own = self._variants.of(self.training), self._first_weight.detach()
        parameters = None
        if variant.kernel.parameters:
            like = own.new_zeros(self.hidden_size)
            parameters = variant.parameters(lambda name: self._weight(f"{name}_{end}"), self._rates, like)
        found.append(parameters)
        if dtype == own.dtype:
            return tuple(found)
        return tuple(None if tensor is None else tensor.to(dtype) for tensor in found)

    def _weight(self, name: str) -> Tensor:
        """A parameter, or what a parametrisation has put in its place."""
        found: Tensor | None = self._parameters.get(name)
        if found is None:
            found = getattr(self, name)
        return found

    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._parameter_shapes() if not name.startswith("start_")]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, as torch.nn lists them."""
        flat, rows = self._flat_weights(), self.num_layers * len(self._directions)
        size = len(flat) // rows
        return [flat[n * size : (n + 1) * size] for n in range(rows)]

    def flatten_parameters(self) -> None:
        """Nothing to do: kernels pack the weights themselves. Here because code written for torch.nn calls it."""

    @torch.no_grad()
    def stepper(self, batch_size: int = 1, tokens: bool = False) -> Stepper:
        """A stream through this layer as it is now, one step at a call; see `engine.stepper.Stepper`.

        tokens: the input is token ids. Regularisers are out of training. Raises UsageError for a bidirectional or
        projected layer.
        """
        if self.bidirectional or self.proj_size:
            raise UsageError("A stream cannot look ahead: steppers take layers of one direction without projection.")
        training = self.training
        self.training = False
        try:
            wide = torch.float64 if self._first_weight.dtype == torch.float64 else torch.float32
            layers = [
                LayerWeights(*(None if w is None else w.detach().cpu().to(wide).numpy().copy() for w in tensors))
                for tensors in ((*self._weights(end, self._first_weight.dtype), self._start(end)) for end in self._ends)
            ]
        finally:
            self.training = training
        cell = self._variants.evaluation.kernel
        return Stepper(cell, layers, batch_size, tokens, torch_team(), torch.get_num_threads())

    def streams(self, capacity: int, tokens: bool = False) -> Streams:
        """Up to `capacity` streams through this layer, which join, step together and leave; see `engine.streams`.

        tokens: the input is token ids. Raises UsageError for a bidirectional or projected layer.
        """
        return Streams(self, capacity, tokens)


def _check_size(name: str, size: object) -> None:
    if type(size) is not int or size < 1:
        raise UsageError(f"{name} must be a whole number of at least 1, not {size!r}.")


def _probability(name: str, value: object, most: float = 0.99) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise UsageError(f"{name} must be a probability between 0 and {most:g}, not {value!r}.")
    return float(value)
