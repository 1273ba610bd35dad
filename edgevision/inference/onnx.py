"""The ONNX Runtime backend: a bundle on a CPU, or on a GPU through the CUDA and TensorRT execution providers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import structlog
from pydantic import Field

from edgevision.bundle import Artefact, Bundle, Precision, Target
from edgevision.config.settings import Settings
from edgevision.errors import BackendError
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.drivers import driver, this_machine

if TYPE_CHECKING:
    from edgevision.inference import ort

log = structlog.get_logger(__name__)

_BATCH: dict[Target, int] = {"cpu": 2, "cuda": 8, "tensorrt": 8}


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


class OnnxDetector(BundleDetector):
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
        item, session, device = _open(bundle, settings)
        super().__init__(bundle, item, session, _largest_batch(settings, device), device, thresholds)
        log.debug("onnx.opened", model=bundle.model_ref, device=device, max_batch=self.max_batch)

    @staticmethod
    def stand_in(bundle: Bundle, settings: OnnxSettings) -> OnnxSettings | None:
        """What to work with while TensorRT builds its engine for minutes; ``None`` when there is nothing to build."""
        if settings.device != "tensorrt" or not _driver().available("tensorrt"):
            return None
        if any(_engine_folder(bundle, settings).glob("*.engine")):
            return None
        return settings.model_copy(update={"device": "auto", "precision": None})


def engine_key(item: Artefact, version: str, max_batch: int) -> str:
    """Folder of a TensorRT engine: ONNX Runtime does not notice a new model, driver or GPU, so they are in its name.

    Args:
        item: The artefact.
        version: Version of ONNX Runtime.
        max_batch: Largest batch.
    """
    machine = this_machine()
    try:
        machine.append(metadata.version("tensorrt"))
    except metadata.PackageNotFoundError:
        machine.append("TensorRT of the system")
    parts = [item.sha256, item.precision, version, str(max_batch), *machine]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _driver() -> Any:  # noqa: ANN401 - a module
    """``inference.ort``: a Jetson with TensorRT alone has no ONNX Runtime."""
    remedy = "install edgevision[cpu], or edgevision[gpu] for CUDA and TensorRT"
    return driver("edgevision.inference.ort", "ONNX Runtime", remedy)


def _open(bundle: Bundle, settings: OnnxSettings) -> tuple[Artefact, ort.Session, Target]:
    """An artefact, a session of it and the device it really runs on."""
    if settings.device != "auto":
        return *_open_on(bundle, settings, settings.device), settings.device
    if _driver().available("cuda"):
        try:
            return *_open_on(bundle, settings, "cuda"), "cuda"
        except BackendError as exc:
            log.warning("model.fallback", model=bundle.model_ref, device="cpu", reason=str(exc))
    return *_open_on(bundle, settings, "cpu"), "cpu"


def _open_on(bundle: Bundle, settings: OnnxSettings, target: Target) -> tuple[Artefact, ort.Session]:
    runtime = _driver()
    item = bundle.artefact(target, settings.precision)
    cache = None
    if target == "tensorrt":
        cache = _engine_folder(bundle, settings)
        cache.mkdir(parents=True, exist_ok=True)
        log.info("engine.cache", model=bundle.model_ref, folder=str(cache), built=any(cache.glob("*.engine")))
    placement = runtime.Placement(target, settings.threads, item.precision, cache)
    return item, runtime.Session(f"{bundle.model_ref} ({item.file})", bundle.load(item), placement)


def _engine_folder(bundle: Bundle, settings: OnnxSettings) -> Path:
    key = engine_key(
        bundle.artefact("tensorrt", settings.precision), _driver().VERSION, _largest_batch(settings, "tensorrt")
    )
    return settings.cache_dir.expanduser() / key


def _largest_batch(settings: OnnxSettings, device: Target) -> int:
    return settings.max_batch or _BATCH[device]
