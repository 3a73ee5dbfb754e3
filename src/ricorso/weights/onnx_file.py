"""The recurrent nodes of an ONNX model with the arrays that are stored for them; nothing in the file is run."""

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ricorso.errors import DataError, UsageError, did_you_mean
from ricorso.weights.onnx_node import DEFAULTS, GATES, OnnxWeights
from ricorso.weights.parts import Array

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OLDEST = 7  # before this version of the operators their attributes were others
MOST_BYTES = 2**31 - 1  # what the format can hold; larger models keep their arrays in files beside them
ELEMENTS = {1: "<f4", 10: "<f2", 11: "<f8", 16: "<u2"}  # by ONNX's number of the type; bfloat16 as its bits
FIELDS = {1: "float_data", 10: "int32_data", 11: "double_data", 16: "int32_data"}
BFLOAT16 = 16


def read(model: Any, node: str | Sequence[str] | None) -> list[OnnxWeights]:
    """The chosen recurrent nodes of a model.

    model: a file, its bytes or a ModelProto. node: a name, several, or None where there is one node.
    Raises DataError and UsageError as `from_onnx` says.
    """
    proto, name, folder = _parsed(model)
    graph = _Graph(proto, name, folder)
    found = []
    for one in graph.chosen(node):  # a loop, for the warning below counts the frames to the user
        found.append(graph.weights(one))
    return found


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise UsageError("Reading ONNX models needs the package `onnx`: pip install onnx.") from error
    return onnx


def _parsed(model: Any) -> tuple["ModelProto", str, Path | None]:
    """The model, what messages call it, and where files that belong to it lie."""
    onnx = _onnx()
    if isinstance(model, onnx.ModelProto):
        return model, "the model", None
    if isinstance(model, bytes):
        return _from_bytes(model, "the model"), "the model", None
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            f"Wanted an ONNX file, its bytes, a ModelProto or OnnxWeights; got {type(model).__name__}."
        )  # fmt: skip
    path = Path(model)
    name = f"'{path}'"
    if not path.is_file():
        raise DataError(f"There is no file {name}. Check the path.")
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"{name} has {size:,} bytes, more than an ONNX file can hold; it is something else.")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.") from error
    return _from_bytes(content, name), name, path.parent


def _from_bytes(content: bytes, name: str) -> "ModelProto":
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    model = _onnx().ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise DataError(f"{name} is no ONNX model, or is damaged: {error}.") from error
    found: ModelProto = model
    return found


class _Graph:
    """The main graph of a model."""

    def __init__(self, model: "ModelProto", name: str, folder: Path | None) -> None:
        self.name, self.folder = name, folder
        versions = [opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
        if not versions or not model.graph.node:
            raise DataError(f"{name} is no ONNX model with operators in it; it is empty, damaged or something else.")
        if versions[0] < OLDEST:
            raise DataError(
                f"{name} is of operator set {versions[0]}, and those from {OLDEST} on are read. Convert it: "
                f"onnx.version_converter.convert_version(model, 17)."
            )
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.given = {value.name for value in model.graph.input}
        self.made = {output: node for node in model.graph.node for output in node.output if output}
        usual = ("", "ai.onnx")
        self.nodes = [node for node in model.graph.node if node.op_type in GATES and node.domain in usual]

    def chosen(self, names: str | Sequence[str] | None) -> list["NodeProto"]:
        """The nodes that the user asks for."""
        labels = [_label(node) for node in self.nodes]
        if not labels:
            raise DataError(f"{self.name} has no {', '.join(GATES)} node in its main graph.")
        listing = ", ".join(f"'{label}' ({node.op_type})" for label, node in zip(labels, self.nodes, strict=True))
        if names is None:
            if len(labels) > 1:
                raise UsageError(
                    f"{self.name} has {len(labels)} recurrent nodes: {listing}. Say which as `node`; a list of names "
                    f"makes a stack of nodes that feed one another."
                )
            return self.nodes
        wanted = [names] if isinstance(names, str) else list(names)
        if not wanted:
            raise UsageError(f"`node` is an empty list; {self.name} has {listing}.")
        return [self._named(name, labels, listing) for name in wanted]

    def _named(self, name: str, labels: list[str], listing: str) -> "NodeProto":
        found = [node for node in self.nodes if name and name in (node.name, *node.output)]
        if not found:
            raise UsageError(
                f"{self.name} has no recurrent node {name!r}.{did_you_mean(str(name), labels)} It has {listing}."
            )
        chosen: NodeProto = found[0]
        if len(found) > 1:
            outputs = ", ".join(f"'{node.output[0]}'" for node in found)
            raise UsageError(f"{len(found)} nodes of {self.name} are called {name!r}; say an output: {outputs}.")
        return chosen

    def weights(self, node: "NodeProto") -> OnnxWeights:
        """A node's arrays and attributes."""
        name = f"'{_label(node)}' in {self.name}"
        inputs = {role: value for role, value in zip(INPUTS, node.input, strict=False) if value}
        for role in ("initial_h", "initial_c"):
            if role in inputs and self._starts_from_values(inputs[role]):
                warnings.warn(
                    f"{name} starts from values stored as '{inputs[role]}' ({role}); the layer starts from zero unless "
                    f"it is called with them as hx.",
                    stacklevel=5,
                )
        arrays = {role: self._array(inputs[role], f"{role} of {name}") for role in "WRBP" if role in inputs}
        attributes = {one.name: _value(one, name) for one in node.attribute}
        return OnnxWeights(node.op_type, arrays, attributes, name)

    def _tensor(self, value: str) -> "TensorProto | None":
        tensor: TensorProto | None = self.stored.get(value)
        node = self.made.get(value)
        if tensor is None and node is not None and node.op_type == "Constant":
            tensor = next((one.t for one in node.attribute if one.name == "value"), None)
        return tensor

    def _starts_from_values(self, value: str) -> bool:
        tensor = self._tensor(value)
        return tensor is not None and bool(_decoded(tensor, f"'{value}' of {self.name}", self.folder).any())

    def _array(self, value: str, what: str) -> Array:
        tensor = self._tensor(value)
        if tensor is not None:
            return _decoded(tensor, what, self.folder)
        if value in self.made:
            raise DataError(
                f"{what} ('{value}') is not stored but computed by a {self.made[value].op_type}. Fold the constants of "
                f"the model first, for instance with ONNX Runtime's graph optimisation, and save it."
            )
        if value in self.given:
            raise DataError(f"{what} ('{value}') is an input of the model and not stored in it.")
        raise DataError(
            f"{what} ('{value}') is not among the arrays of the model; it is damaged, or stores them sparse."
        )


def _label(node: "NodeProto") -> str:
    return node.name or next((output for output in node.output if output), "")


def _value(attribute: "AttributeProto", name: str) -> Any:
    """The value of an attribute. Raises DataError when it is of another type than the operators'."""
    kinds = _onnx().AttributeProto
    usual = DEFAULTS.get(attribute.name)
    if isinstance(usual, str) and attribute.type == kinds.STRING:
        return attribute.s.decode(errors="replace")
    if isinstance(usual, float) and attribute.type == kinds.FLOAT:
        return float(attribute.f)
    if isinstance(usual, tuple) and attribute.type == kinds.STRINGS:
        return tuple(text.decode(errors="replace") for text in attribute.strings)
    if isinstance(usual, tuple) and attribute.type == kinds.FLOATS:
        return tuple(attribute.floats)
    if (usual is None or isinstance(usual, int)) and attribute.type == kinds.INT:
        return int(attribute.i)
    raise DataError(f"{name} has the attribute {attribute.name!r} with a type or name that no recurrent operator has.")


# --- stored arrays


def _decoded(tensor: "TensorProto", what: str, folder: Path | None) -> Array:
    """The numbers of a stored tensor; they are counted before anything is allocated."""
    if tensor.data_type not in ELEMENTS:
        names = {number: name for name, number in _onnx().TensorProto.DataType.items()}
        kind = names.get(tensor.data_type, "an unknown type")
        raise DataError(f"{what} is stored as {kind}; wanted float16, bfloat16, float32 or float64.")
    shape, dtype = tuple(tensor.dims), np.dtype(ELEMENTS[tensor.data_type])
    if any(size < 0 for size in shape):
        raise DataError(f"{what} has shape {shape}; the file is damaged.")
    count = math.prod(shape)
    if tensor.data_location == _onnx().TensorProto.EXTERNAL:
        flat = np.frombuffer(_external(tensor, count * dtype.itemsize, what, folder), dtype)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * dtype.itemsize:
            raise DataError(_short(what, shape, len(tensor.raw_data) // dtype.itemsize))
        flat = np.frombuffer(tensor.raw_data, dtype)
    else:
        values = getattr(tensor, FIELDS[tensor.data_type])
        if len(values) != count:
            raise DataError(_short(what, shape, len(values)))
        bits = FIELDS[tensor.data_type] == "int32_data"
        flat = np.array(values, np.int64).astype("<u2").view(dtype) if bits else np.array(values, dtype)
    if tensor.data_type == BFLOAT16:
        flat = (flat.astype("<u4") << 16).view("<f4")
    return flat.astype(flat.dtype.newbyteorder("=")).reshape(shape)


def _short(what: str, shape: tuple[int, ...], count: int) -> str:
    return f"{what} has shape {shape} and {count:,} numbers; the file is damaged."


def _external(tensor: "TensorProto", size: int, what: str, folder: Path | None) -> bytes:
    """The bytes of a tensor from the file beside the model that it names, which must lie in the model's folder."""
    if folder is None:
        raise DataError(f"{what} lies in a file beside the model; give the path of the model instead of its content.")
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, numbers = entries.get("location", ""), [entries.get("offset", "0"), entries.get("length", str(size))]
    if not all(text.isascii() and text.isdigit() and len(text) < 20 for text in numbers):
        raise DataError(f"{what} lies at offset {numbers[0]!r} with length {numbers[1]!r}; the file is damaged.")
    offset, length = (int(text) for text in numbers)
    if length != size:
        raise DataError(f"{what} needs {size:,} bytes and names {length:,} in '{location}'; the file is damaged.")
    home = folder.resolve()
    try:
        path = (home / location).resolve()
        if not location or not path.is_relative_to(home) or not path.is_file():
            raise DataError(f"{what} lies in '{location}', which is no file in the folder of the model. Copy it there.")
        if path.stat().st_size < offset + size:
            raise DataError(f"{what} lies in '{location}', which is too short; copy it again.")
        with path.open("rb") as file:
            file.seek(offset)
            content: bytes = file.read(size)
    except (OSError, ValueError) as error:
        raise DataError(f"{what} lies in '{location}', which cannot be read: {error}.") from error
    if len(content) != size:
        raise DataError(f"{what} lies in '{location}', which is too short; copy it again.")
    return content
