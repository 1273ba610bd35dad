"""The one floating-point graph that every artefact is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxslim  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import numpy_helper

from edgevision.bundle import MAX_IR_VERSION, MAX_OPSET, InputManifest
from edgevision.errors import ExportError
from edgevision.inference.ort import Placement, Session

_CLOSE, _SHARE = 1e-3, 1e-4  # how much a simplified graph may differ, and as a share of the value


def source_graph(content: bytes, spec: InputManifest) -> bytes:
    """Simplify and check a graph: pixels as they are go in, constants are folded, every node has a name.

    Where a graph takes pictures of any size it gets the one of ``spec``: an engine is of one size.

    Args:
        content: ONNX.
        spec: What it takes; a float graph gets the steps before its input put into it.

    Raises:
        ExportError: It is too new for JetPack 6, takes other input or more than pictures, has a fixed batch, holds an
            operator that ONNX does not know, or means something else when simplified.
    """
    try:
        model = onnx.load_from_string(content)
    except DecodeError as exc:
        raise ExportError("it is no ONNX model, or it is damaged") from exc
    _check_versions(model)
    _check_operators(model)
    _only_pictures_in(model)
    if spec.layout == "nchw-float":
        _put_pixels_before(model, spec)
    size = (spec.width, spec.height)
    _close_sides(model, size)
    _check_input(model, size)
    slim: onnx.ModelProto = onnxslim.slim(model)
    for number, node in enumerate(slim.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    try:
        onnx.checker.check_model(slim, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise ExportError(f"the graph is not valid: {' '.join(str(exc).split())[:300]}") from exc
    done: bytes = slim.SerializeToString()
    _check_same(model.SerializeToString(), done, size)
    return done


def _check_versions(model: onnx.ModelProto) -> None:
    opset = next((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), 0)
    if opset > MAX_OPSET or model.ir_version > MAX_IR_VERSION:
        have, most = f"opset {opset}, ir_version {model.ir_version}", f"opset {MAX_OPSET}, ir_version {MAX_IR_VERSION}"
        raise ExportError(f"the graph has {have}; JetPack 6 reads at most {most}: export it for those")


def _only_pictures_in(model: onnx.ModelProto) -> None:
    """Old graphs list their weights among their inputs."""
    weights = {item.name for item in model.graph.initializer}
    ports = [port for port in model.graph.input if port.name not in weights]
    if len(ports) != 1:
        names = ", ".join(port.name for port in ports) or "none"
        raise ExportError(f"the graph has {len(ports)} inputs ({names}); expected one for pictures")
    if len(model.graph.input) > 1:
        del model.graph.input[:]
        model.graph.input.extend(ports)
        model.ir_version = max(model.ir_version, 4)  # before it every weight had to be an input


def _close_sides(model: onnx.ModelProto, size: tuple[int, int]) -> None:
    sides = model.graph.input[0].type.tensor_type.shape.dim
    for side, wanted in zip(sides[1:3], (size[1], size[0]), strict=False):
        if not side.dim_value:
            side.dim_value = wanted


def _put_pixels_before(model: onnx.ModelProto, spec: InputManifest) -> None:
    """Cast, axes and scale in front of a float graph."""
    graph, port = model.graph, model.graph.input[0]
    kind, name = port.type.tensor_type.elem_type, port.name
    sides = [item.dim_value or item.dim_param for item in port.type.tensor_type.shape.dim]
    scale = numpy_helper.from_array(np.array(spec.scale, onnx.helper.tensor_dtype_to_np_dtype(kind)), "pixels_scale")
    steps = [
        onnx.helper.make_node("Cast", ["pixels"], ["pixels_float"], name="pixels_cast", to=kind),
        onnx.helper.make_node("Transpose", ["pixels_float"], ["pixels_planes"], name="pixels_axes", perm=[0, 3, 1, 2]),
        onnx.helper.make_node("Mul", ["pixels_planes", "pixels_scale"], [name], name="pixels_to_scale"),
    ]
    nodes = [*steps, *graph.node]
    del graph.node[:], graph.input[0]
    graph.node.extend(nodes)
    shape = [sides[0] if sides else "batch", spec.height, spec.width, 3]
    graph.input.insert(0, onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, shape))
    graph.initializer.append(scale)


def _check_input(model: onnx.ModelProto, size: tuple[int, int]) -> None:
    port = model.graph.input[0].type.tensor_type
    sides = [item.dim_value or item.dim_param for item in port.shape.dim]
    wanted = [size[1], size[0], 3]
    if port.elem_type != onnx.TensorProto.UINT8 or sides[1:] != wanted:
        kind = onnx.TensorProto.DataType.Name(port.elem_type).lower()
        raise ExportError(f"the graph takes {kind} {sides}; expected uint8 ['batch', {', '.join(map(str, wanted))}]")
    if isinstance(sides[0], int) and sides[0] > 1:
        raise ExportError(f"the graph takes exactly {sides[0]} pictures at once; export it with a dynamic batch")


def _check_operators(model: onnx.ModelProto) -> None:
    versions = {item.domain: item.version for item in model.opset_import}
    for node in model.graph.node:
        own = node.domain in {"", "ai.onnx"}
        version = max(versions.get(node.domain, 1), 1)
        if not own or not onnx.defs.has(node.op_type, version, ""):
            where = f" (node {node.name})" if node.name else ""
            whose = f"in opset {version} of ONNX" if own else f"one of ONNX but of {node.domain}"
            raise ExportError(f"the operator {node.op_type}{where} is not {whose}: TensorRT could not run it")


def _check_same(before: bytes, after: bytes, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, size[1], size[0], 3), dtype=np.uint8)
    first, second = (_run(content, pixels) for content in (before, after))
    # Sorted, since heads without suppression put equally good candidates in any order.
    same = first.shape == second.shape and np.allclose(np.sort(first, 1), np.sort(second, 1), _SHARE, _CLOSE)
    if not same:
        raise ExportError("the simplified graph does not say what the original says")


def _run(content: bytes, pixels: NDArray[Any]) -> NDArray[Any]:
    return Session("the graph", content, Placement()).run(pixels)
