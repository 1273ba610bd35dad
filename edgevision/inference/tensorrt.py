"""The native TensorRT backend: a bundle on an NVIDIA GPU, by an engine that is built once on the device.

It has not run on a GPU yet; ``make test-gpu`` runs it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import structlog
from pydantic import Field

from edgevision.bundle import Artefact, Bundle, Precision
from edgevision.config.settings import Settings
from edgevision.errors import BackendError
from edgevision.inference.bundled import BundleDetector, picture_shape
from edgevision.inference.drivers import driver, kind_of_machine
from edgevision.inference.engines import Engines, Key
from edgevision.inference.onnx import OnnxSettings

if TYPE_CHECKING:
    from edgevision.inference import cuda, trt

log = structlog.get_logger(__name__)

_REMEDY = 'install TensorRT and "cuda-python" for this machine\'s CUDA (docs/guides/export.md), or take another backend'
_MIB = 2**20


class TensorRtSettings(Settings):
    """TensorRT, without ONNX Runtime in between."""

    kind: Literal["tensorrt"]
    """This backend."""
    gpu: Annotated[int, Field(ge=0, le=63)] = 0
    """Number of the GPU."""
    max_batch: Annotated[int, Field(ge=1, le=64)] = 8
    """Most pictures in one inference, 1..64; the engine is tuned for them."""
    precision: Precision | None = None
    """Take the bundle's artefact of this precision; without it the first one that is meant for TensorRT."""
    level: Annotated[int, Field(ge=0, le=5)] = 3
    """How long TensorRT searches while it builds: 0 is quickest to build, 5 slowest."""
    min_free_mb: Annotated[int, Field(ge=0)] = 1024
    """Free memory without which no engine is built here, MiB: on a small board a build can end other processes."""
    cache_dir: Path = Path("~/.cache/edgevision/engines")
    """Where engines are kept."""
    cache_mb: Annotated[int, Field(ge=1)] = 4096
    """How much room they may take, MiB; the one that was not used for longest goes first."""


class TensorRtDetector(BundleDetector):
    """A bundle run by TensorRT.

    Args:
        bundle: The model.
        settings: How to run it.
        thresholds: Scores by class name that go before the bundle's.

    Raises:
        BundleError: A file is missing or wrong, or the graph contradicts the manifest.
        BackendError: TensorRT or CUDA is missing, or the engine cannot be built or run.
    """

    Settings = TensorRtSettings

    def __init__(
        self, bundle: Bundle, settings: TensorRtSettings | None = None, thresholds: Mapping[str, float] | None = None
    ) -> None:
        settings = settings or TensorRtSettings(kind="tensorrt")
        runtime, item = _driver(), bundle.artefact("tensorrt", settings.precision)
        engines = _engines(settings)
        device = _cuda().Device(settings.gpu)
        key = _key(runtime, device, item, settings)
        name = f"{bundle.model_ref} ({item.file})"

        def build(timings: bytes) -> tuple[bytes, bytes]:
            _room(device, settings)
            log.info("engine.building", model=bundle.model_ref, file=item.file, gpu=device.name)
            picture = picture_shape(bundle.manifest.input)
            plan = runtime.Plan(name, item.precision, settings.max_batch, picture, settings.level)
            made: tuple[bytes, bytes] = runtime.build(bundle.load(item), plan, timings, _Told(bundle.model_ref))
            log.info("engine.built", model=bundle.model_ref, file=item.file, bytes=len(made[0]))
            return made

        engine = engines.get(key, build)
        try:
            self._engine: trt.Session = runtime.Session(name, engine, settings.gpu)
        except runtime.EngineRefused as exc:
            engines.forget(key)  # truncated, or another device's under our name: the next build is right
            log.warning("engine.refused", model=bundle.model_ref, reason=str(exc))
            self._engine = runtime.Session(name, engines.get(key, build), settings.gpu)
        super().__init__(bundle, item, self._engine, settings.max_batch, "cuda", thresholds)

    @staticmethod
    def stand_in(bundle: Bundle, settings: TensorRtSettings) -> OnnxSettings | None:
        """What to work with while the engine is built for minutes; ``None`` when it is there, or nothing else is."""
        key = _key(_driver(), _cuda().Device(settings.gpu), bundle.artefact("tensorrt", settings.precision), settings)
        if _engines(settings).has(key) or find_spec("onnxruntime") is None:
            return None
        return OnnxSettings(device="auto", max_batch=settings.max_batch)

    def close(self) -> None:
        """Release the engine; a later ``infer`` raises ``BackendError``."""
        if self._session is not None:
            self._engine.close()
        super().close()


class _Told:
    """Logs each phase of a build when it begins, and every tenth part of a long one."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._last = ("", -1)

    def __call__(self, phase: str, step: int, steps: int) -> bool:
        now = (phase, 10 * step // max(1, steps))
        if now != self._last:
            log.info("engine.progress", model=self._model, phase=phase, percent=10 * now[1])
            self._last = now
        return True


def fits(key: Key, gpu: int = 0) -> bool:
    """Whether an engine was built on a device like this one, by the same TensorRT over the same driver.

    Raises:
        BackendError: TensorRT or CUDA is missing.
    """
    runtime, device = _driver(), _cuda().Device(gpu)
    return (key.tensorrt, key.gpu, key.capability, key.driver) == (
        runtime.VERSION,
        device.name,
        device.capability,
        _system(),
    )


def _engines(settings: TensorRtSettings) -> Engines:
    return Engines(settings.cache_dir, settings.cache_mb * _MIB)


def _key(runtime: Any, device: cuda.Device, item: Artefact, settings: TensorRtSettings) -> Key:  # noqa: ANN401 - a module
    facts = (runtime.VERSION, device.name, device.capability, _system(), settings.level)
    return Key(item.sha256, item.precision, settings.max_batch, *facts)


def _system() -> str:
    """What the driver, or the Jetson's system, says of its version."""
    return " ".join(" ".join(kind_of_machine()).split())


def _room(device: cuda.Device, settings: TensorRtSettings) -> None:
    free = device.free_bytes() // _MIB
    if free < settings.min_free_mb:
        raise BackendError(
            f"{free} MiB of the GPU's memory are free, {settings.min_free_mb} are wanted to build an engine; stop what "
            "else uses it, import an engine of another box (`edgevision models engines import`), or lower min_free_mb"
        )


def _driver() -> Any:  # noqa: ANN401 - a module
    return driver("edgevision.inference.trt", "TensorRT", _REMEDY)


def _cuda() -> Any:  # noqa: ANN401 - a module
    return driver("edgevision.inference.cuda", "CUDA", _REMEDY)
