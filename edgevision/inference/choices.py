"""Every way in which this machine could run a bundle: its artefacts on the backends that are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import structlog

from edgevision.bundle import Artefact, Bundle, Target
from edgevision.errors import BundleError
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.openvino import OpenVinoDetector, OpenVinoSettings
from edgevision.inference.tensorrt import TensorRtDetector, TensorRtSettings

log = structlog.get_logger(__name__)

Thresholds = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Choice:
    """An artefact on a backend.

    Attributes:
        backend: E.g. ``onnx cpu``.
        artefact: What it runs.
        open: Makes the detector; raises ``BackendError`` where it does not work after all.
    """

    backend: str
    artefact: Artefact
    open: Callable[[], BundleDetector]


def choices(
    bundle: Bundle, thresholds: Thresholds | None = None, *, threads: int = 0, max_batch: int | None = None
) -> Iterator[Choice]:
    """All of them, those that have not shown enough left out; opening one of TensorRT may build for minutes.

    Args:
        bundle: The model.
        thresholds: Scores by class name that go before the bundle's.
        threads: Of one inference on a CPU; 0 for all.
        max_batch: Most pictures in one call; the backends' own without it.
    """
    more = {"threads": threads} | ({"max_batch": max_batch} if max_batch else {})
    for device in _onnx_devices():
        for item in _artefacts(bundle, device):
            settings = OnnxSettings.model_validate({"device": device, "precision": item.precision, **more})
            yield Choice(f"onnx {device}", item, _opened(OnnxDetector, bundle, settings, thresholds))
    if find_spec("openvino") is not None:
        for item in _artefacts(bundle, "openvino"):
            mine = OpenVinoSettings.model_validate({"kind": "openvino", "precision": item.precision, **more})
            yield Choice("openvino cpu", item, _opened(OpenVinoDetector, bundle, mine, thresholds))
    if find_spec("tensorrt") is not None:
        own = {"max_batch": max_batch} if max_batch else {}
        for item in _artefacts(bundle, "tensorrt"):
            wanted = TensorRtSettings.model_validate({"kind": "tensorrt", "precision": item.precision, **own})
            yield Choice("tensorrt", item, _opened(TensorRtDetector, bundle, wanted, thresholds))


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


def _artefacts(bundle: Bundle, target: Target) -> list[Artefact]:
    """One of each precision that is meant for a device and was shown to be as good as what was trained."""
    found = []
    for precision in ("fp32", "fp16", "int8"):
        try:
            item = bundle.artefact(target, precision)
        except BundleError:
            continue
        if item.gate != "not decidable":
            found.append(item)
    return found


def _opened(
    backend: Callable[..., BundleDetector], bundle: Bundle, settings: object, thresholds: Thresholds | None
) -> Callable[[], BundleDetector]:
    return lambda: backend(bundle, settings, thresholds)
