"""The ONNX Runtime backend: a bundle on a CPU, or on a GPU through the CUDA and TensorRT execution providers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import Field

from edgevision.bundle import Artefact, Bundle, Precision, Target
from edgevision.config.settings import Settings
from edgevision.errors import BackendError, BundleError
from edgevision.inference.base import Batch, InputSpec
from edgevision.inference.decode import check_output, decoder_of
from edgevision.types import Detections, Image

if TYPE_CHECKING:
    from edgevision.inference import ort

log = structlog.get_logger(__name__)

Layout = Literal["nhwc-uint8", "nchw-float"]
_BATCH: dict[Target, int] = {"cpu": 2, "cuda": 8, "tensorrt": 8}
_TYPES: dict[Layout, tuple[str, ...]] = {
    "nhwc-uint8": ("tensor(uint8)",),
    "nchw-float": ("tensor(float)", "tensor(float16)"),
}


class OnnxSettings(Settings):
    """ONNX Runtime."""

    kind: Literal["onnx"] = "onnx"
    """This backend."""
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    """Where the model runs. `auto` is CUDA where it works, else the CPU; TensorRT is only taken when named, because it
    builds for minutes on first use."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads of one inference on a CPU; 0 takes one for each core this process may use."""
    max_batch: Annotated[int, Field(ge=1, le=64)] | None = None
    """Most pictures in one inference, 1..64; without it 8 on a GPU and 2 on a CPU, where more only cost memory. Models
    exported for one picture at a time take 1."""
    precision: Precision | None = None
    """Take the bundle's artefact of this precision; without it the first one that is meant for the device."""
    cache_dir: Path = Path("~/.cache/edgevision/onnx")
    """Where TensorRT engines are kept."""


class OnnxDetector:
    """A bundle run by ONNX Runtime.

    Args:
        bundle: The model.
        settings: How to run it.
        thresholds: Scores by class name that go before the bundle's.

    Raises:
        BundleError: A file is missing or wrong, or the graph contradicts the manifest.
        BackendError: ONNX Runtime is missing, cannot load the model, or not on the device that was asked for.
    """

    Settings = OnnxSettings

    def __init__(
        self, bundle: Bundle, settings: OnnxSettings | None = None, thresholds: Mapping[str, float] | None = None
    ) -> None:
        settings = settings or OnnxSettings()
        spec = bundle.manifest.input
        self._bundle = bundle
        self._decode = decoder_of(bundle, thresholds)
        session, self.device = _open(bundle, settings)
        self._session: ort.Session | None = session
        self._max_batch = _check_input(bundle, session.inputs) or _largest_batch(settings, self.device)
        _check_output(bundle, session.outputs)
        self._input = InputSpec(spec.width, spec.height, spec.order, spec.align, spec.pad)
        planes = (self._max_batch, 3, spec.height, spec.width) if spec.layout == "nchw-float" else (0,)
        self._floats = np.empty(planes, _float_type(session.inputs[0].type))
        log.debug("onnx.opened", model=bundle.model_ref, device=self.device, max_batch=self._max_batch)

    @staticmethod
    def stand_in(bundle: Bundle, settings: OnnxSettings) -> OnnxSettings | None:
        """What to work with while TensorRT builds its engine for minutes; ``None`` when there is nothing to build."""
        if settings.device != "tensorrt" or not _driver().available("tensorrt"):
            return None
        if any(_engine_folder(bundle, settings).glob("*.engine")):
            return None
        return settings.model_copy(update={"device": "auto", "precision": None})

    @property
    def classes(self) -> Sequence[str]:
        """Class names; a label is an index into them."""
        return self._bundle.manifest.classes

    @property
    def input(self) -> InputSpec:
        """What a batch must look like."""
        return self._input

    @property
    def max_batch(self) -> int:
        """How many pictures one call takes at most."""
        return self._max_batch

    def infer(self, batch: Batch) -> list[Detections]:
        """Detections in source pixels, one item a picture.

        Raises:
            BackendError: ONNX Runtime failed, or returned what the bundle's family does not have.
        """
        spec, shape = self._input, batch.images.shape
        if not 0 < shape[0] <= self._max_batch or shape[1:] != (spec.height, spec.width, 3):
            msg = f"batch: expected (1..{self._max_batch}, {spec.height}, {spec.width}, 3) uint8, got {shape}"
            raise BackendError(msg)
        if self._session is None:
            msg = f"{self._bundle.model_ref}: the detector is closed"
            raise BackendError(msg)
        found = self._decode(self._session.run(self._tensor(batch.images)))
        return [
            Detections(letterbox.to_source(item.xyxy), item.score, item.label)
            for letterbox, item in zip(batch.boxes, found, strict=True)
        ]

    def close(self) -> None:
        """Release the model; a later ``infer`` raises ``BackendError``."""
        self._session = None

    def _tensor(self, images: Image) -> NDArray[Any]:
        """The batch as the graph wants it; float graphs get planes of scaled values."""
        manifest = self._bundle.manifest.input
        if manifest.layout == "nhwc-uint8":
            return images
        out = self._floats[: len(images)]
        np.multiply(images.transpose(0, 3, 1, 2), out.dtype.type(manifest.scale), out=out, dtype=out.dtype)
        return out


def engine_key(item: Artefact, version: str, max_batch: int) -> str:
    """Folder of a TensorRT engine: ONNX Runtime does not notice a new model, driver or GPU, so they are in its name.

    Args:
        item: The artefact.
        version: Version of ONNX Runtime.
        max_batch: Largest batch.
    """
    files = [Path("/proc/driver/nvidia/version"), Path("/proc/device-tree/model"), Path("/etc/nv_tegra_release")]
    files += sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    machine = [file.read_text(errors="replace") for file in files if file.is_file()]
    try:
        machine.append(metadata.version("tensorrt"))
    except metadata.PackageNotFoundError:
        machine.append("TensorRT of the system")
    parts = [item.sha256, item.precision, version, str(max_batch), *machine]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _driver() -> Any:  # noqa: ANN401 - a module
    """``inference.ort``, loaded when a model is: a Jetson with TensorRT alone has no ONNX Runtime."""
    try:
        return import_module("edgevision.inference.ort")
    except ImportError as exc:
        msg = f"ONNX Runtime is not usable ({exc}); install edgevision[cpu], or edgevision[gpu] for CUDA and TensorRT"
        raise BackendError(msg) from exc


def _open(bundle: Bundle, settings: OnnxSettings) -> tuple[ort.Session, Target]:
    """A session and the device it really runs on."""
    if settings.device != "auto":
        return _open_on(bundle, settings, settings.device), settings.device
    if _driver().available("cuda"):
        try:
            return _open_on(bundle, settings, "cuda"), "cuda"
        except BackendError as exc:
            log.warning("model.fallback", model=bundle.model_ref, device="cpu", reason=str(exc))
    return _open_on(bundle, settings, "cpu"), "cpu"


def _open_on(bundle: Bundle, settings: OnnxSettings, target: Target) -> ort.Session:
    driver = _driver()
    item = bundle.artefact(target, settings.precision)
    cache = None
    if target == "tensorrt":
        cache = _engine_folder(bundle, settings)
        cache.mkdir(parents=True, exist_ok=True)
        log.info("engine.cache", model=bundle.model_ref, folder=str(cache), built=any(cache.glob("*.engine")))
    placement = driver.Placement(target, settings.threads, item.precision, cache)
    session: ort.Session = driver.Session(f"{bundle.model_ref} ({item.file})", bundle.load(item), placement)
    return session


def _engine_folder(bundle: Bundle, settings: OnnxSettings) -> Path:
    key = engine_key(
        bundle.artefact("tensorrt", settings.precision), _driver().VERSION, _largest_batch(settings, "tensorrt")
    )
    return settings.cache_dir.expanduser() / key


def _largest_batch(settings: OnnxSettings, device: Target) -> int:
    return settings.max_batch or _BATCH[device]


def _float_type(graph_type: str) -> type[np.floating[Any]]:
    return np.float16 if graph_type == "tensor(float16)" else np.float32


def _check_input(bundle: Bundle, ports: Sequence[ort.Port]) -> int | None:
    """Compare the graph's inputs with the manifest; returns a fixed batch size, ``None`` for a dynamic one."""
    spec = bundle.manifest.input
    if len(ports) != 1:
        names = ", ".join(port.name for port in ports)
        msg = f"{bundle.folder}: expected a model with one input, got {len(ports)}: {names}"
        raise BundleError(msg)
    port, types = ports[0], _TYPES[spec.layout]
    sides = (spec.height, spec.width, 3) if spec.layout == "nhwc-uint8" else (3, spec.height, spec.width)
    fits = len(port.shape) == 1 + len(sides) and all(
        have == want or not isinstance(have, int) for have, want in zip(port.shape[1:], sides, strict=True)
    )
    if not fits or port.type not in types:
        expected = f"{' or '.join(types)} (N, {', '.join(map(str, sides))})"
        msg = f"{bundle.folder}: input {port.name}: the manifest says {expected}, the graph has {port}"
        raise BundleError(msg)
    batch = port.shape[0]
    if isinstance(batch, int) and batch != 1:
        msg = f"{bundle.folder}: the graph takes exactly {batch} pictures; export it for 1 or for a dynamic batch"
        raise BundleError(msg)
    return batch if isinstance(batch, int) else None


def _check_output(bundle: Bundle, ports: Sequence[ort.Port]) -> None:
    manifest = bundle.manifest
    size = (manifest.input.width, manifest.input.height)
    try:
        check_output(manifest.family, ports[0].shape, len(manifest.classes), size)
    except BundleError as exc:
        msg = f"{bundle.folder}: {exc}"
        raise BundleError(msg) from exc
