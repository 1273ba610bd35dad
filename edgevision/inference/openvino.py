"""The OpenVINO backend: a bundle on a CPU or a GPU of Intel, and on other x86 and ARM processors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import structlog
from pydantic import Field

from edgevision.bundle import Bundle, Precision
from edgevision.config.settings import Settings
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.drivers import driver

if TYPE_CHECKING:
    from edgevision.inference import ov

log = structlog.get_logger(__name__)


class OpenVinoSettings(Settings):
    """OpenVINO."""

    kind: Literal["openvino"]
    """This backend."""
    device: Literal["cpu", "gpu"] = "cpu"
    """Where the model runs: `gpu` is one of Intel."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads of one inference on a CPU; 0 leaves it to OpenVINO."""
    hint: Literal["latency", "throughput"] = "latency"
    """What counts: the time of one picture, or pictures a second (several at once, each slower)."""
    compute: Literal["auto", "f32", "bf16", "f16"] = "auto"
    """In which type the float parts compute; `auto` is the fastest that the processor has: bf16 on many new ones, with
    scores that differ by about 0.01."""
    max_batch: Annotated[int, Field(ge=1, le=64)] = 4
    """Most pictures handed over at once, 1..64; each is a request of its own."""
    precision: Precision | None = None
    """Take the bundle's artefact of this precision; without it the first one that is meant for OpenVINO."""


class OpenVinoDetector(BundleDetector):
    """A bundle run by OpenVINO.

    Args:
        bundle: The model.
        settings: How to run it.
        thresholds: Scores by class name that go before the bundle's.

    Raises:
        BundleError: A file is missing or wrong, or the graph contradicts the manifest.
        BackendError: OpenVINO is missing, cannot load the model, or has no such device.
    """

    Settings = OpenVinoSettings

    def __init__(
        self, bundle: Bundle, settings: OpenVinoSettings | None = None, thresholds: Mapping[str, float] | None = None
    ) -> None:
        settings = settings or OpenVinoSettings(kind="openvino")
        runtime = _driver()
        item = bundle.artefact("openvino", settings.precision)
        placement = runtime.Placement(settings.device.upper(), settings.threads, settings.hint, settings.compute)
        session: ov.Session = runtime.Session(f"{bundle.model_ref} ({item.file})", bundle.load(item), placement)
        super().__init__(bundle, item, session, settings.max_batch, settings.device, thresholds)
        log.debug("openvino.opened", model=bundle.model_ref, device=settings.device, compute=session.precision)


def _driver() -> Any:  # noqa: ANN401 - a module
    return driver("edgevision.inference.ov", "OpenVINO", "install edgevision[openvino]")
