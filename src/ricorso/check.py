"""One call that tests a cell of your own: gradients, fast paths, streaming, storage."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ricorso.engine import naive
from ricorso.engine.call import Call
from ricorso.equations import Cell, portable
from ricorso.errors import CellError
from ricorso.layers import Recurrent

INPUT_SIZE, BATCH, STEPS, WARM_UP = 3, 3, 7, 5
# (units, batch, steps) with enough work for two threads, which share units in the first case and rows in the second
SHARED = ((64, 3, 64), (64, 8, 32))
# Where a difference quotient changes with its width, the loss has a kink; elsewhere the two agree to this share.
SMOOTH = 1e-3
DRAWS = 4
LIMITS = {"gradient": 1e-5, torch.float64: 1e-9, torch.float32: 1e-4}


@dataclass(frozen=True)
class Finding:
    """One test: what was compared, the largest difference relative to the largest value, and how large it may be."""

    name: str
    detail: str
    difference: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the difference is small enough; one that is not a number is not."""
        return self.difference <= self.limit


@dataclass
class Report:
    """What `check_cell` found; prints as a table."""

    cell: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every test passed."""
        return all(finding.ok for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report as plain data; a difference that is not finite is None."""
        rows = [
            {
                "name": f.name,
                "detail": f.detail,
                "difference": f.difference if math.isfinite(f.difference) else None,
                "limit": f.limit,
                "ok": f.ok,
            }
            for f in self.findings
        ]
        return {"cell": self.cell, "ok": self.ok, "findings": rows}

    def __str__(self) -> str:
        names = max((len(f.name) for f in self.findings), default=0)
        details = max((len(f.detail) for f in self.findings), default=0)
        lines = [
            f"{'pass' if f.ok else 'FAIL'}  {f.name:<{names}}  {f.detail:<{details}}  "
            f"{f.difference:8.1e} (at most {f.limit:.0e})"
            for f in self.findings
        ]
        verdict = "every test passed" if self.ok else "NOT every test passed"
        return "\n".join([f"{self.cell}: {verdict}; the numbers are the largest relative differences", *lines])


def check_cell(
    cell: Cell, hidden_size: int = 16, *, steps: int = 200, seed: int = 0, raise_on_failure: bool = True
) -> Report:
    """Test a cell: its gradients against difference quotients, the fast path against a plain loop over the equations
    (outputs, final states, all gradients; two precisions, several sizes, one and two threads), the stream against the
    sequence, the stored form, and that outputs stay finite over `steps` random steps.

    hidden_size: the largest number of units tested. Torch's random state and threads are left as they were.
    Raises CellError with the report when a test fails, unless raise_on_failure is false.

    >>> from ricorso.cells import get_cell
    >>> check_cell(get_cell("mingru"), hidden_size=7).ok
    True
    """
    report = Report(cell.name)
    sizes = sorted({1, 7, hidden_size})
    with torch.random.fork_rng(devices=[]), _threads(torch.get_num_threads()):
        torch.manual_seed(seed)
        report.findings.append(_gradients(cell))
        for dtype in (torch.float64, torch.float32):
            report.findings += _fast_path(cell, sizes, dtype)
        if not cell.noises:
            report.findings.append(_stream(cell, hidden_size))
        report.findings.append(_storage(cell, hidden_size))
        report.findings.append(_finite(cell, hidden_size, steps))
    if raise_on_failure and not report.ok:
        raise CellError(f"Cell '{cell.name}' failed a test.\n{report}")
    return report


@dataclass(frozen=True, eq=False)
class _Example:
    """A layer and what it is called with; `seed` sets the noise of a cell that has some."""

    layer: Recurrent
    inputs: Tensor
    initial: tuple[Tensor, ...]
    signals: dict[str, Tensor]
    seed: int

    @property
    def leaves(self) -> list[Tensor]:
        """Everything that has a gradient."""
        return [self.inputs, *self.initial, *self.layer.parameters()]

    def run(self) -> tuple[Tensor, ...]:
        """Outputs and final states through the layer's own path."""
        torch.manual_seed(self.seed)
        states = self.initial if len(self.initial) > 1 else self.initial[0]
        output, last = self.layer(self.inputs, states, **self.signals)
        return (output, *([last] if isinstance(last, Tensor) else last))

    def run_plainly(self) -> tuple[Tensor, ...]:
        """The same as a plain loop over the equations."""
        torch.manual_seed(self.seed)
        layer, cell = self.layer, _with_default_rates(self.layer.cell)
        own = {name.removesuffix("_l0"): parameter for name, parameter in layer.named_parameters()}
        rows = [own[parameter.name].expand(layer.hidden_size) for parameter in cell.parameters]
        call = Call(
            self.inputs,
            own.get("weight_ih"),
            own.get("weight_hh"),
            own.get("bias_ih"),
            own.get("bias_hh"),
            torch.stack(rows) if rows else None,
            torch.stack([self.signals[signal.name] for signal in cell.signals]) if cell.signals else None,
            torch.cat(self.initial),
            seed=int(torch.randint(2**62, (), dtype=torch.int64)) if cell.noises else 0,
        )
        output, last = naive.run(cell, call)
        return (output, *(state.unsqueeze(0) for state in last))

    def gradients(self, results: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Of the weighted sum of results, for every leaf."""
        return torch.autograd.grad(results, self.leaves, weights, allow_unused=True, materialize_grads=True)

    def to(self, dtype: torch.dtype) -> "_Example":
        """The same numbers in another precision."""
        layer = Recurrent(
            self.layer.cell, self.layer.input_size, self.layer.hidden_size, heads=self.layer.heads, dtype=dtype
        )
        layer.load_state_dict(self.layer.state_dict())
        inputs, *initial = (t.detach().to(dtype).requires_grad_() for t in (self.inputs, *self.initial))
        return _Example(layer, inputs, tuple(initial), {n: s.to(dtype) for n, s in self.signals.items()}, self.seed)


def _example(cell: Cell, hidden_size: int, dtype: torch.dtype, steps: int = STEPS, batch: int = BATCH) -> _Example:
    """Random numbers around the cell's own starting values, so that no parameter is left at a special point."""
    layer = Recurrent(cell, INPUT_SIZE, hidden_size, dtype=dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    # states that the cell can reach: an arbitrary one may lie where its equations were never meant to hold; with
    # gradients, since the kernels of training are compiled anyway
    _, reached = layer(torch.randn(WARM_UP, batch, INPUT_SIZE, dtype=dtype))
    inputs = torch.randn(steps, batch, INPUT_SIZE, dtype=dtype, requires_grad=True)
    states = [reached] if isinstance(reached, Tensor) else reached
    initial = tuple(state.detach().requires_grad_() for state in states)
    signals = {signal.name: 0.5 + torch.rand(steps, batch, dtype=dtype) for signal in cell.signals}
    return _Example(layer, inputs, initial, signals, int(torch.randint(2**31, ())))


def _with_default_rates(cell: Cell) -> Cell:
    if not cell.defaults:
        return cell
    fields = {name: getattr(cell, name) for name in cell.__dataclass_fields__} | {"defaults": {}}
    rates = dict(cell.defaults)
    for name in ("update", "product_of"):
        fields[name] = {symbol: expression.subs(rates) for symbol, expression in fields[name].items()}
    return Cell(**fields)


def _gradients(cell: Cell) -> Finding:
    """Gradients against difference quotients; at a kink of the loss there is none to compare with, so elements whose
    quotient depends on its width are drawn anew."""
    hidden = 2 * cell.heads if cell.heads > 1 else 3
    worst, compared, elements = 0.0, 0, 0
    for _ in range(DRAWS):
        example = _example(cell, hidden, torch.float64, steps=3, batch=2)
        results = example.run()
        weights = [torch.randn_like(result) for result in results]
        gradients = torch.cat([gradient.flatten() for gradient in example.gradients(results, weights)])
        wide, narrow = (_quotients(example, weights, width) for width in (1e-4, 1e-5))
        scale = max(1.0, float(gradients.abs().max()))
        smooth = (wide - narrow).abs() <= SMOOTH * scale
        # an element that is not a number is a failure, not a kink
        smooth |= ~(gradients.isfinite() & narrow.isfinite())
        worst = max(worst, _largest((gradients - narrow)[smooth]) / scale, key=_badness)
        compared, elements = compared + int(smooth.sum()), elements + len(smooth)
        if smooth.all() or not math.isfinite(worst):
            break
    detail = f"float64, {hidden} units, {compared} of {elements} elements"
    if compared < elements:
        detail += " (the others at a kink)"
    enough = compared >= elements / 2
    return Finding("gradients against difference quotients", detail, worst if enough else math.inf, LIMITS["gradient"])


@torch.no_grad()
def _quotients(example: _Example, weights: Sequence[Tensor], width: float) -> Tensor:
    """Central difference quotients of the weighted sum of results, for every element of every leaf."""

    def loss() -> float:
        return float(sum((w * result).sum() for w, result in zip(weights, example.run(), strict=True)))

    found = []
    for leaf in example.leaves:
        flat = leaf.view(-1)
        for number in range(len(flat)):
            before = flat[number].item()
            flat[number] = before + width
            above = loss()
            flat[number] = before - width
            found.append((above - loss()) / (2 * width))
            flat[number] = before
    return torch.tensor(found, dtype=torch.float64)


def _fast_path(cell: Cell, sizes: Sequence[int], dtype: torch.dtype) -> list[Finding]:
    """The layer's path against the plain loop in double precision.

    Where the plain loop itself loses digits in single precision, the fast path may lose as many.
    """
    shapes = [(size, BATCH, STEPS, 1) for size in sizes]
    if dtype == torch.float64:
        shapes += [(*shape, 2) for shape in SHARED]
    worst: dict[str, tuple[float, float]] = {}
    for units, batch, steps, threads in shapes:
        example = _example(cell, units, torch.float64, steps, batch)
        wanted = example.run_plainly()
        weights = [torch.randn_like(result) for result in wanted]
        of_wanted = example.gradients(wanted, weights)
        ours = example.to(dtype)
        allowed = dict.fromkeys(("outputs", "final states", "gradients"), LIMITS[dtype])
        if dtype == torch.float32:
            plain = _differences(ours, ours.run_plainly, weights, wanted, of_wanted)
            allowed = {what: max(limit, 20 * plain[what]) for what, limit in allowed.items()}
        with _threads(threads):
            found = _differences(ours, ours.run, weights, wanted, of_wanted)
        for what, limit in allowed.items():
            now = (found[what], limit)
            worst[what] = max(worst.get(what, now), now, key=lambda pair: _badness(pair[0] / pair[1]))
    path = ours.layer.path.partition(":")[0]
    counts = sorted({shape[0] for shape in shapes})
    detail = f"{str(dtype).removeprefix('torch.')}, {', '.join(map(str, counts))} units"
    detail += ", 1 and 2 threads" if dtype == torch.float64 else ""
    return [Finding(f"{path} path: {what}", detail, *pair) for what, pair in worst.items()]


def _differences(
    example: _Example,
    run: Callable[[], tuple[Tensor, ...]],
    weights: Sequence[Tensor],
    wanted: Sequence[Tensor],
    of_wanted: Sequence[Tensor],
) -> dict[str, float]:
    """The largest relative differences of outputs, final states and gradients."""
    found = run()
    of_found = example.gradients(found, [weight.to(found[0].dtype) for weight in weights])
    return {
        "outputs": _apart(found[:1], wanted[:1]),
        "final states": _apart(found[1:], wanted[1:]),
        "gradients": _apart(of_found, of_wanted),
    }


def _stream(cell: Cell, hidden_size: int) -> Finding:
    example = _example(cell, hidden_size, torch.float64)
    zero = _Example(
        example.layer, example.inputs, tuple(map(torch.zeros_like, example.initial)), example.signals, example.seed
    )
    with torch.no_grad():
        wanted, *_ = zero.run()
    stepper = example.layer.stepper(BATCH)
    outputs = []
    for step, x in enumerate(example.inputs.detach().numpy()):
        signals = {name: values[step].numpy() for name, values in example.signals.items()}
        outputs.append(torch.from_numpy(stepper.step(x, **signals).copy()))
    difference = _apart([torch.stack(outputs)], [wanted])
    return Finding("stream against sequence", f"float64, {hidden_size} units", difference, LIMITS[torch.float64])


def _storage(cell: Cell, hidden_size: int) -> Finding:
    example = _example(cell, hidden_size, torch.float64)
    again = portable.from_json(json.loads(json.dumps(portable.to_json(cell), allow_nan=False)))
    layer = Recurrent(again, INPUT_SIZE, hidden_size, dtype=torch.float64)
    layer.load_state_dict(example.layer.state_dict())
    stored = _Example(layer, example.inputs, example.initial, example.signals, example.seed)
    with torch.no_grad():
        difference = _apart(stored.run(), example.run())
    return Finding("stored as JSON and read again", f"float64, {hidden_size} units", difference, 0.0)


def _finite(cell: Cell, hidden_size: int, steps: int) -> Finding:
    layer = Recurrent(cell, INPUT_SIZE, hidden_size)
    output, last = layer(torch.randn(steps, BATCH, INPUT_SIZE))
    parts = [part.detach() for part in (output, *([last] if isinstance(last, Tensor) else last))]
    bad = sum(int((~part.isfinite()).sum()) for part in parts) / sum(part.numel() for part in parts)
    return Finding("share of results that are not finite", f"float32, {steps} random steps", bad, 0.0)


def _apart(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest difference, relative to the largest value of each tensor or to 1."""
    worst = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        scale = max(1.0, _largest(theirs.detach()))
        worst = max(worst, _largest(ours.detach().double() - theirs.detach().double()) / scale, key=_badness)
    return worst


def _largest(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def _badness(value: float) -> float:
    return math.inf if math.isnan(value) else value


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
