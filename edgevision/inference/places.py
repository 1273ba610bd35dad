"""The backends with their devices that are on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import structlog

from edgevision.bundle import Bundle, Precision, Target
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.onnx import OnnxDetector
from edgevision.inference.openvino import OpenVinoDetector
from edgevision.inference.tensorrt import TensorRtDetector

log = structlog.get_logger(__name__)

Thresholds = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A backend with a device.

    Attributes:
        name: For tables, e.g. ``onnx cpu``.
        target: What artefacts call it.
        backend: Its detector's class.
        settings: Of the detector.
    """

    name: str
    target: Target
    backend: Callable[..., BundleDetector]
    settings: Any

    def open(
        self, bundle: Bundle, precision: Precision | None = None, thresholds: Thresholds | None = None
    ) -> BundleDetector:
        """A detector of a bundle, of its artefact of a precision; TensorRT may build for minutes.

        Raises:
            BundleError: The bundle has none for this place, or is damaged.
            BackendError: It does not work after all.
        """
        wanted = self.settings if precision is None else self.settings.model_copy(update={"precision": precision})
        return self.backend(bundle, wanted, thresholds)


def places(*, threads: int = 0, max_batch: int | None = None) -> Iterator[Place]:
    """What is here; ONNX Runtime on a CPU comes first.

    Args:
        threads: Of one inference on a CPU; 0 for all.
        max_batch: Most pictures in one call; the backends' own without it.
    """
    batch = {"max_batch": max_batch} if max_batch else {}
    for device in _onnx_devices():
        settings = OnnxDetector.Settings.model_validate({"device": device, "threads": threads, **batch})
        yield Place(f"onnx {device}", device, OnnxDetector, settings)
    if find_spec("openvino") is not None:
        mine = OpenVinoDetector.Settings.model_validate({"kind": "openvino", "threads": threads, **batch})
        yield Place("openvino cpu", "openvino", OpenVinoDetector, mine)
    if find_spec("tensorrt") is not None:
        wanted = TensorRtDetector.Settings.model_validate({"kind": "tensorrt", **batch})
        yield Place("tensorrt", "tensorrt", TensorRtDetector, wanted)


def _onnx_devices() -> list[Target]:
    """What this ONNX Runtime was built for; nothing where it is not there, or its libraries are not."""
    if find_spec("onnxruntime") is None:
        return []
    try:
        from edgevision.inference import ort
    except ImportError as exc:
        log.warning("backend.not_usable", backend="onnx", reason=str(exc))
        return []
    devices: tuple[Target, ...] = ("cpu", "cuda")
    return [device for device in devices if ort.available(device)]
