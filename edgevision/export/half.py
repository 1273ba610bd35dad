"""Graphs of 16-bit floating point, typed: what a strongly typed TensorRT network and CUDA take as they are."""

from __future__ import annotations

import onnx
from onnx import numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel  # type: ignore[import-untyped]
from onnxruntime.transformers.float16 import convert_float_to_float16  # type: ignore[import-untyped]

from edgevision.errors import ExportError
from edgevision.export.units import units_of

_LARGEST = 65504.0


def half_graph(source: bytes) -> bytes:
    """The graph with weights and activations in 16 bits; boxes and scores are put together in 32.

    Beyond 512 px neighbouring numbers of 16 bits lie half a pixel apart.

    Raises:
        ExportError: A weight is too large for 16 bits, or the result is no valid graph.
    """
    model = onnx.load_from_string(source)
    for item in model.graph.initializer:
        if item.data_type == onnx.TensorProto.FLOAT and abs(numpy_helper.to_array(item)).max(initial=0) > _LARGEST:
            raise ExportError(f"{item.name} holds values beyond {_LARGEST:g}, which 16 bits cannot")
    stays = list(units_of(model.graph).rest)
    made: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True, node_block_list=stays)
    _without_round_trips(made.graph)
    ONNXModel(made).topological_sort()
    try:
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise ExportError(f"the graph in 16 bits is not valid: {' '.join(str(exc).split())[:300]}") from exc
    content: bytes = made.SerializeToString()
    return content


def _without_round_trips(graph: onnx.GraphProto) -> None:
    """Between two nodes that stay in 32 bits the converter goes to 16 and back, which loses what they were to keep."""
    maker = {name: node for node in graph.node for name in node.output}
    outputs = {port.name for port in graph.output}
    same: dict[str, str] = {}
    for node in graph.node:
        before = maker.get(node.input[0]) if _casts_to(node, onnx.TensorProto.FLOAT) else None
        if before is None or not _casts_to(before, onnx.TensorProto.FLOAT16) or before.input[0] not in maker:
            continue
        if node.output[0] in outputs:
            node.CopyFrom(onnx.helper.make_node("Identity", before.input, node.output, name=node.name))
        else:
            same[node.output[0]] = before.input[0]
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = same.get(name, name)
    while dead := _unused(graph):
        for node in dead:
            graph.node.remove(node)


def _unused(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    used = {name for node in graph.node for name in node.input} | {port.name for port in graph.output}
    return [node for node in graph.node if not used & set(node.output)]


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and any(item.name == "to" and item.i == kind for item in node.attribute)
