"""What can be said of a model file without running or loading it: is it safe, is it ONNX, which version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgevision.errors import BundleCorrupt, UnsafeModel

_PICKLE = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))  # opcode PROTO and its argument
_ZIP = b"PK\x03\x04"  # how PyTorch packs pickles
_IR_VERSION, _GRAPH, _OPSET_IMPORT = 1, 7, 8  # fields of ModelProto in onnx.proto3
_NODE, _NAME, _OPERATOR, _DOMAIN = 1, 3, 4, 7  # of GraphProto, and of NodeProto
_VARINT, _BYTES, _WIDTHS = 0, 2, {1: 8, 5: 4}  # protobuf's wire types
_TENSOR, _LOCATION = "TensorProto", 14  # where its values lie: 0 inside of the file
# Messages of onnx.proto3 that may hold a tensor, by the fields in which they hold each other.
_HOLDS: dict[str, dict[int, str]] = {
    "ModelProto": {_GRAPH: "GraphProto", 25: "FunctionProto"},
    "GraphProto": {_NODE: "NodeProto", 5: _TENSOR, 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: _TENSOR,
        6: "GraphProto",
        10: _TENSOR,
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: _TENSOR, 2: _TENSOR},
}
_UNSAFE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".h5", ".keras"})


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """What the first bytes of an ONNX file tell without a library.

    Attributes:
        ir_version: Version of the file format.
        opset: Version of the default operator set.
    """

    ir_version: int
    opset: int


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """A node of a graph.

    Attributes:
        name: Of the node; may be empty.
        operator: What it computes.
        domain: Whose operator it is; empty for ONNX's own.
    """

    name: str
    operator: str
    domain: str


def refuse_unsafe(name: str, head: bytes) -> None:
    """Refuse a file that may execute code on loading, by its name and first bytes, before anything opens it.

    Raises:
        UnsafeModel: It is a pickle or a zip archive, which is how PyTorch packs pickles.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _UNSAFE_SUFFIXES or head.startswith((*_PICKLE, _ZIP)):
        what = f"is a {suffix} file" if suffix in _UNSAFE_SUFFIXES else "holds a pickle or zip archive, no ONNX"
        msg = f"{name} {what}: it could run code when loaded and is refused; export the model to ONNX"
        raise UnsafeModel(msg)


def refuse_outside(name: str, data: bytes) -> None:
    """Refuse a model whose weights lie in another file: no hash covers that one, and runtimes read it from anywhere.

    Raises:
        BundleCorrupt: It is no ONNX model.
        UnsafeModel: Values of a tensor lie outside.
    """
    waiting: list[tuple[str, memoryview]] = [("ModelProto", memoryview(data))]
    try:
        while waiting:
            kind, message = waiting.pop()
            for number, value in _fields(message):
                if kind == _TENSOR and number == _LOCATION and value:
                    msg = (
                        f"{name} keeps weights in another file, which no hash covers: it is refused; save the model "
                        "as one file"
                    )
                    raise UnsafeModel(msg)
                if isinstance(value, memoryview) and number in _HOLDS.get(kind, {}):
                    waiting.append((_HOLDS[kind][number], value))
    except (IndexError, ValueError) as exc:
        msg = f"{name} is no ONNX model, or it is truncated"
        raise BundleCorrupt(msg) from exc


def onnx_header(path: Path) -> OnnxHeader:
    """Format and operator set version of an ONNX file, from its protobuf's top level (onnx.proto3, ``ModelProto``).

    Raises:
        BundleCorrupt: It is no ONNX file.
        UnsafeModel: It is a pickle, or keeps weights in another file.
    """
    data = path.read_bytes()
    refuse_unsafe(path.name, data[:16])
    ir_version, opset, has_graph = 0, 0, False
    try:
        for number, value in _fields(memoryview(data)):
            if number == _IR_VERSION and isinstance(value, int):
                ir_version = value
            elif number == _GRAPH:
                has_graph = True
            elif number == _OPSET_IMPORT and isinstance(value, memoryview):
                entry = dict(_fields(value))
                domain, version = entry.get(1, memoryview(b"")), entry.get(2)
                if isinstance(domain, memoryview) and bytes(domain) in {b"", b"ai.onnx"} and isinstance(version, int):
                    opset = version
    except (IndexError, ValueError):
        has_graph = False
    if not (has_graph and ir_version and opset):
        msg = f"{path} is no ONNX model, or it is truncated"
        raise BundleCorrupt(msg)
    refuse_outside(path.name, data)
    return OnnxHeader(ir_version, opset)


def onnx_nodes(data: bytes) -> Iterator[OnnxNode]:
    """The nodes of an ONNX file's graph, without those inside of others (``GraphProto``, ``NodeProto``)."""
    graphs = [value for number, value in _fields(memoryview(data)) if number == _GRAPH]
    for number, node in (field for graph in graphs if isinstance(graph, memoryview) for field in _fields(graph)):
        if number == _NODE and isinstance(node, memoryview):
            facts = dict(_fields(node))
            yield OnnxNode(_text(facts.get(_NAME)), _text(facts.get(_OPERATOR)), _text(facts.get(_DOMAIN)))


def _text(value: int | memoryview | None) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, memoryview) else ""


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of a protobuf message; nested messages stay bytes (protobuf encoding guide)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size, at = _varint(data, at) if wire == _BYTES else (_WIDTHS.get(wire, -1), at)
        if size < 0 or at + size > len(data):
            msg = "no protobuf"
            raise ValueError(msg)
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    msg = "no protobuf"
    raise ValueError(msg)
