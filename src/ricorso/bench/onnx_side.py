"""torch.nn's recurrent layers in ONNX Runtime: the same weights, in whichever setting is fastest here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ricorso.bench.timing import alternate
from ricorso.errors import UsageError

Array = NDArray[np.float32]
# The operator, its attributes, and its order of gates as places in torch's.
OPERATORS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "lstm": ("LSTM", {}, (0, 3, 1, 2)),
    "gru": ("GRU", {"linear_before_reset": 1}, (1, 0, 2)),
    "rnn": ("RNN", {}, (0,)),
}
STATES = {"lstm": ("h", "c"), "gru": ("h",), "rnn": ("h",)}
SECONDS_OF_TRIAL = 0.1


@cache
def missing() -> str:
    """Which package ONNX Runtime's side lacks; empty where it has all."""
    return " and ".join(name for name in ("onnx", "onnxruntime") if find_spec(name) is None)


@dataclass
class OnnxSide:
    """A model that ONNX Runtime runs with a number of threads; a session is opened with the first run.

    prepare: makes from a session the function that runs once. Close the side before another is timed: the threads of
    a session spin for a while after a run, up to a second, and would take the processor from whoever comes next.
    """

    setting: str
    model: bytes
    threads: int
    prepare: Callable[[Any], Callable[[], list[Tensor]]]
    _run: Callable[[], list[Tensor]] | None = field(default=None, repr=False)

    def __call__(self) -> list[Tensor]:
        if self._run is None:
            import onnxruntime  # type: ignore[import-untyped]

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            options.inter_op_num_threads = 1
            options.log_severity_level = 3  # errors
            session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
            self._run = self.prepare(session)
        return self._run()

    def close(self) -> None:
        """End the session and its threads."""
        self._run = None


def fastest(candidates: Sequence[OnnxSide]) -> OnnxSide:
    """The candidate with the shortest time in a short trial."""
    medians = []
    for candidate in candidates:
        medians.append(alternate({"": candidate}, SECONDS_OF_TRIAL, least=2)[""].median)
        candidate.close()
    return candidates[medians.index(min(medians))]


def sequence_sides(kind: str, layer: nn.RNNBase, x: Tensor) -> list[OnnxSide]:
    """A whole sequence x (time, batch, features) at once: output and final states."""
    steps, batch, _ = x.shape
    model = made_model(kind, layer, steps, batch, ["Y", *(f"Y_{state}" for state in STATES[kind])], initial=False)
    return _settings(model, {"arrays": _plain_sequence, "bound memory": _bound_sequence}, kind, layer, x)


def stream_sides(kind: str, layer: nn.RNNBase, x: Tensor) -> list[OnnxSide]:
    """The steps of x (time, batch, features) one after the other: final states."""
    model = made_model(kind, layer, 1, x.shape[1], [f"Y_{state}" for state in STATES[kind]], initial=True)
    return _settings(model, {"arrays": _plain_stream, "bound memory": _bound_stream}, kind, layer, x)


def _settings(
    model: bytes, ways: dict[str, Callable[..., Any]], kind: str, layer: nn.RNNBase, x: Tensor
) -> list[OnnxSide]:
    array, hidden = np.ascontiguousarray(x.detach().numpy()), layer.hidden_size
    return [
        OnnxSide(f"{threads} threads, {way}", model, threads, partial(prepare, kind, hidden, array))
        for threads in sorted({1, torch.get_num_threads()})
        for way, prepare in ways.items()
    ]


def made_model(kind: str, layer: nn.RNNBase, steps: int, batch: int, results: Sequence[str], initial: bool) -> bytes:
    """A model of one operator with the weights of a torch layer of one direction.

    results: names among Y, Y_h and Y_c. initial: whether the initial states are inputs, else they are zero. Raises
    UsageError where ONNX is not installed.
    """
    if missing():
        raise UsageError(f"Not installed: {missing()}. To compare with ONNX Runtime: pip install onnx onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    operator, attributes, order = OPERATORS[kind]
    w = {name.removesuffix("_l0"): _reordered(p.detach().numpy(), order) for name, p in layer.named_parameters()}
    constants = {
        "W": w["weight_ih"][None],
        "R": w["weight_hh"][None],
        "B": np.concatenate([w["bias_ih"], w["bias_hh"]])[None],
    }
    states = [f"initial_{state}" for state in STATES[kind]] if initial else []
    row, single = [1, batch, layer.hidden_size], TensorProto.FLOAT
    shapes = {"X": [steps, batch, layer.input_size], **dict.fromkeys(states, row)}
    given = ["Y", *(f"Y_{state}" for state in STATES[kind])]
    node = helper.make_node(
        operator,
        ["X", *constants, "", *states],  # the lengths of the sequences, before the states, are left out
        [name if name in results else "" for name in given],
        hidden_size=layer.hidden_size,
        **attributes,
    )
    of_results = {name: [steps, *row] if name == "Y" else row for name in results}
    graph = helper.make_graph(
        [node],
        kind,
        [helper.make_tensor_value_info(name, single, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, single, shape) for name, shape in of_results.items()],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised


def _reordered(stacked: Array, order: tuple[int, ...]) -> Array:
    parts = np.split(stacked, len(order))
    return np.concatenate([parts[place] for place in order])


def _plain_sequence(kind: str, hidden: int, x: Array, session: Any) -> Callable[[], list[Tensor]]:
    def run() -> list[Tensor]:
        output, *finals = session.run(None, {"X": x})
        return [torch.from_numpy(output).squeeze(1), *map(torch.from_numpy, finals)]

    return run


def _bound_sequence(kind: str, hidden: int, x: Array, session: Any) -> Callable[[], list[Tensor]]:
    steps, batch, _ = x.shape
    results = {"Y": np.zeros((steps, 1, batch, hidden), np.float32)}
    results |= {f"Y_{state}": np.zeros((1, batch, hidden), np.float32) for state in STATES[kind]}
    binding = _bound(session, {"X": x}, results)
    output, *finals = map(torch.from_numpy, results.values())

    def run() -> list[Tensor]:
        session.run_with_iobinding(binding)
        return [output.squeeze(1), *finals]

    return run


def _plain_stream(kind: str, hidden: int, x: Array, session: Any) -> Callable[[], list[Tensor]]:
    steps = list(x[:, None])
    names = [f"initial_{state}" for state in STATES[kind]]
    zero = np.zeros((1, x.shape[1], hidden), np.float32)

    def run() -> list[Tensor]:
        fed = dict.fromkeys(names, zero)
        for step in steps:
            fed["X"] = step
            for name, state in zip(names, session.run(None, fed), strict=True):
                fed[name] = state
        return [torch.from_numpy(fed[name]) for name in names]

    return run


def _bound_stream(kind: str, hidden: int, x: Array, session: Any) -> Callable[[], list[Tensor]]:
    """States go back and forth between two sets of buffers, which two bindings read and write in turn."""
    now = np.empty_like(x[:1])
    steps = list(x)
    buffers = [[np.zeros((1, x.shape[1], hidden), np.float32) for _ in STATES[kind]] for _ in range(2)]
    bindings = [
        _bound(
            session,
            {"X": now, **{f"initial_{s}": b for s, b in zip(STATES[kind], buffers[n], strict=True)}},
            {f"Y_{s}": b for s, b in zip(STATES[kind], buffers[1 - n], strict=True)},
        )
        for n in range(2)
    ]

    def run() -> list[Tensor]:
        for state in buffers[0]:
            state[:] = 0
        for number, step in enumerate(steps):
            now[0] = step
            session.run_with_iobinding(bindings[number % 2])
        return [torch.from_numpy(state.copy()) for state in buffers[len(steps) % 2]]

    return run


def _bound(session: Any, inputs: dict[str, Array], results: dict[str, Array]) -> Any:
    binding = session.io_binding()
    for bind, arrays in ((binding.bind_input, inputs), (binding.bind_output, results)):
        for name, array in arrays.items():
            bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
    return binding
