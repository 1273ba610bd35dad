"""Which artefacts there can be, what each is meant for, and in which order a device prefers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgevision.bundle import Precision, Target
from edgevision.export.quantize import Scheme

KindName = Literal["fp32", "fp16", "int8", "int8-cpu"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of artefact.

    Attributes:
        name: What it is called.
        file: Its file in a bundle.
        precision: What its graph holds.
        targets: What it is meant for; empty for everything.
        scheme: Of 8 bits.
    """

    name: KindName
    file: str
    precision: Precision
    targets: tuple[Target, ...] = ()
    scheme: Scheme | None = None


# Signed activations are what TensorRT asks for. On processors unsigned ones are faster with ONNX Runtime and the only
# ones that OpenVINO computes right: signed ones made it answer something else (docs/LOG.md).
FP32 = Kind("fp32", "model.onnx", "fp32")
FP16 = Kind("fp16", "model.fp16.onnx", "fp16", ("cuda", "tensorrt"))
INT8 = Kind("int8", "model.int8.onnx", "int8", ("tensorrt",), "s8s8")
INT8_CPU = Kind("int8-cpu", "model.int8-cpu.onnx", "int8", ("cpu", "openvino"), "u8s8")

PREFERRED = (FP16, FP32, INT8, INT8_CPU)
"""The first that is meant for a device is taken there, unless the settings name another. 8 bits are taken by name, or
by a trial on the device: how fast they are depends on the processor."""


def kinds_of(precision: Precision) -> tuple[Kind, ...]:
    """The artefacts of a precision."""
    return tuple(kind for kind in (FP32, FP16, INT8, INT8_CPU) if kind.precision == precision)
