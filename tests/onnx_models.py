"""A network of six nodes that tells red, green and blue pictures apart: small, but run by the real backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgevision.bundle import Bundle, write_bundle

COLOURS = ("red", "green", "blue")
BOX = (32.0, 24.0, 16.0, 8.0)  # cx, cy, w, h in input pixels


def write_colour_model(
    path: Path, *, layout: str = "nhwc-uint8", batch: int | str = "N", size: tuple[int, int] = (64, 48), opset: int = 17
) -> Path:
    """Output (N, 7, 1) in the layout of YOLOv8: one box; the score of each class is the mean of its channel, 0..1."""
    width, height = size
    nhwc = layout == "nhwc-uint8"
    shape: list[int | str] = [batch, height, width, 3] if nhwc else [batch, 3, height, width]
    kind = TensorProto.UINT8 if nhwc else TensorProto.FLOAT
    axes = [1, 2] if nhwc else [2, 3]
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["means"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["means", "scale"], ["scores"]),
        helper.make_node("Unsqueeze", ["scores", "last"], ["columns"]),
        helper.make_node("ReduceMax", ["columns"], ["ones"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["ones", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "box"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "columns"], ["output0"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.float32(1 / 255 if nhwc else 1), "scale"),
        numpy_helper.from_array(np.array([2], np.int64), "last"),
        numpy_helper.from_array(np.float32(0), "zero"),
        numpy_helper.from_array(np.array(BOX, np.float32).reshape(1, 4, 1), "box"),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch, 7, 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path))
    return path


def strange_model() -> bytes:
    """A graph with an operator that no runtime has."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("NoSuchOperator", ["a"], ["b"])], "bad", ports[:1], ports[1:])
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return content


def colour_manifest(**changes: object) -> dict[str, Any]:
    """A manifest that fits ``write_colour_model``'s defaults."""
    return {
        "name": "colours",
        "version": "1.2",
        "classes": list(COLOURS),
        "input": {"width": 64, "height": 48},
        "family": "yolo",
        "thresholds": {"default": 0.5},
        "artefacts": [{"file": "model.onnx"}],
        "licence": "CC0-1.0",
        **changes,
    }


def colour_bundle(folder: Path, *, batch: int | str = "N", layout: str = "nhwc-uint8", **changes: object) -> Bundle:
    """A whole bundle in ``folder / "colours"``."""
    folder.mkdir(parents=True, exist_ok=True)
    model = write_colour_model(folder / "colours.onnx", batch=batch, layout=layout)
    spec = {"width": 64, "height": 48, "layout": layout, "scale": 1 / 255 if layout == "nchw-float" else 1.0}
    return write_bundle(folder / "colours", colour_manifest(input=spec, **changes), {"model.onnx": model})
