"""Graphs of 8-bit integers: explicit Q/DQ nodes with ranges measured on the user's pictures, by ONNX Runtime's tools.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018.
Weights are symmetric, one scale a channel; activations have one scale a tensor.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType  # type: ignore[import-untyped]
from onnxruntime.quantization.calibrate import create_calibrator  # type: ignore[import-untyped]
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer  # type: ignore[import-untyped]

from edgevision.errors import ExportError
from edgevision.export.units import Unit, units_of
from edgevision.types import Image

Scheme = Literal["s8s8", "u8s8"]
LEAST_OPSET = 13  # before it there is one scale for all channels of a weight


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How a scheme writes its Q/DQ nodes.

    Attributes:
        activations: Their type.
        operators: What is computed in 8 bits; ``None`` for all that ONNX Runtime can.
        options: In ONNX Runtime's words.
    """

    activations: Any
    operators: tuple[str, ...] | None
    options: dict[str, bool]


# TensorRT wants zero points of 0, biases in floating point and no Q/DQ inside of what it fuses itself (convolution,
# sigmoid and product); ONNX Runtime's CPU is fastest when everything in between stays in 8 bits as well.
_RECIPES: dict[Scheme, _Recipe] = {
    "s8s8": _Recipe(
        QuantType.QInt8,
        ("Conv", "ConvTranspose", "Gemm"),
        {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    ),
    "u8s8": _Recipe(QuantType.QUInt8, None, {}),
}


class Quantiser:
    """Makes 8-bit graphs of one floating-point graph.

    Args:
        source: The graph, ``uint8`` NHWC in.
        pictures: Letterboxed pictures to measure ranges on, (1, H, W, 3) uint8 each.

    Attributes:
        source: The graph.
        units: What can be kept in floating point.

    Raises:
        ExportError: Its opset is too old, there are no pictures, or the graph cannot be run.
    """

    def __init__(self, source: bytes, pictures: Iterable[Image]) -> None:
        model = onnx.shape_inference.infer_shapes(onnx.load_from_string(source))
        opset = next(item.version for item in model.opset_import if item.domain in {"", "ai.onnx"})
        if opset < LEAST_OPSET:
            raise ExportError(f"opset {opset} has no 8 bits for each channel; export the model for {LEAST_OPSET} to 19")
        self.source = source
        self._model = model
        divided = units_of(model.graph)
        self.units: tuple[Unit, ...] = divided.units
        self._rest = divided.rest
        reader = _Reader(model.graph.input[0].name, iter(pictures))
        with tempfile.TemporaryDirectory(prefix="edgevision-") as room, _quiet():
            file, beside = Path(room) / "source.onnx", Path(room) / "watched.onnx"
            file.write_bytes(source)
            watch = create_calibrator(file, None, str(beside), calibrate_method=CalibrationMethod.MinMax)
            try:
                watch.collect_data(reader)
            except ValueError as exc:
                raise ExportError("there is no picture to measure the ranges of activations on") from exc
            self._ranges = watch.compute_data()

    def graph(self, scheme: Scheme, keep: Sequence[Unit] = ()) -> bytes:
        """An 8-bit graph.

        Args:
            scheme: ``s8s8`` signed activations, for TensorRT; ``u8s8`` unsigned ones, for processors.
            keep: Units that stay in floating point.

        Raises:
            ExportError: Everything would stay, or the result is no valid graph.
        """
        recipe = _RECIPES[scheme]
        kept = {name for unit in keep for name in unit.nodes}
        if len({unit.name for unit in keep}) >= len(self.units):
            raise ExportError("nothing is left to hold in 8 bits")
        with _quiet():
            made = QDQQuantizer(
                copy.deepcopy(self._model),
                per_channel=True,
                reduce_range=False,
                weight_qType=QuantType.QInt8,
                activation_qType=recipe.activations,
                tensors_range=self._ranges,
                nodes_to_quantize=[],
                nodes_to_exclude=[*self._rest, *kept],
                op_types_to_quantize=list(recipe.operators or _every_operator()),
                extra_options=recipe.options,
            )
            made.quantize_model()
            made.model.topological_sort()
        model = made.model.model
        model.producer_name = "edgevision"
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as exc:
            raise ExportError(f"the graph in 8 bits is not valid: {' '.join(str(exc).split())[:300]}") from exc
        content: bytes = model.SerializeToString()
        return content


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, pictures: Iterator[Image]) -> None:
        self._name = name
        self._pictures = pictures

    def get_next(self) -> dict[str, Image] | None:
        """The next picture, ``None`` at the end."""
        picture = next(self._pictures, None)
        return None if picture is None else {self._name: picture}


def _every_operator() -> list[str]:
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry  # type: ignore[import-untyped]

    return sorted({*QDQRegistry, *QLinearOpsRegistry})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Its tools log and print what a user can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
