"""The backend that is fastest here: every way to run the bundle is tried once, after the first detections."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import Field

from edgevision.bundle import Bundle, Precision
from edgevision.config.settings import Settings
from edgevision.errors import BackendError
from edgevision.inference.bench import speeds
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.choices import Choice, choices
from edgevision.inference.drivers import this_machine
from edgevision.inference.onnx import OnnxSettings
from edgevision.inference.selftest import selftest
from edgevision.inference.tensorrt import TensorRtDetector, TensorRtSettings

log = structlog.get_logger(__name__)

AUTO: Final = "auto"
_ROUNDS = 20
_DRIVERS = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt")


class AutoSettings(Settings):
    """Whatever is fastest on this device."""

    kind: Literal["auto"]
    """ONNX Runtime begins at once; after the first detections every artefact of the bundle is tried on every backend
    that is installed, and the fastest that sees what it should takes over. The choice is kept."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads of one inference on a CPU; 0 for all."""
    max_batch: Annotated[int, Field(ge=1, le=64)] = 4
    """Most pictures in one inference, 1..64."""
    cache_dir: Path = Path("~/.cache/edgevision/choices")
    """Where choices are kept."""


class AutoBackend:
    """Makes the detector that a trial chose.

    Args:
        bundle: The model.
        settings: How to choose.
        thresholds: Scores by class name that go before the bundle's.

    Raises:
        BackendError: Nothing that is installed runs the bundle, or what was chosen does not run any more; that is
            forgotten, so that the next start begins with a stand-in again instead of waiting for a trial.
    """

    Settings = AutoSettings

    def __new__(cls, bundle: Bundle, settings: AutoSettings, thresholds: Mapping[str, float] | None = None) -> Any:  # noqa: ANN401 - one of the others
        """The remembered choice, else what a trial chooses."""
        file = _file(bundle, settings)
        for choice in _choices(bundle, settings, thresholds):
            if _name(choice) == _remembered(file):
                try:
                    return choice.open()
                except BackendError as exc:
                    if _forgotten(file):
                        raise BackendError(f"{_name(choice)} was the fastest and does not run: {exc}") from exc
        chosen, detector = _trial(bundle, list(_choices(bundle, settings, thresholds)), thresholds)
        _remember(file, chosen)
        return detector

    @staticmethod
    def stand_in(bundle: Bundle, settings: AutoSettings) -> OnnxSettings | None:
        """What to begin with while nothing has been chosen, or an engine must be built for what was; else ``None``."""
        remembered = _remembered(_file(bundle, settings))
        for choice in _choices(bundle, settings, None) if remembered else ():
            if _name(choice) == remembered and not _builds(bundle, choice, settings):
                return None
        if find_spec("onnxruntime") is None:
            return None
        more = {"threads": settings.threads, "max_batch": settings.max_batch}
        return OnnxSettings.model_validate({"device": "auto", "precision": _plainest(bundle), **more})


def _builds(bundle: Bundle, choice: Choice, settings: AutoSettings) -> bool:
    """Whether it takes minutes to open."""
    if choice.backend != "tensorrt":
        return False
    more = {"precision": choice.artefact.precision, "max_batch": settings.max_batch}
    wanted = TensorRtSettings.model_validate({"kind": "tensorrt", **more})
    try:
        return TensorRtDetector.stand_in(bundle, wanted) is not None
    except BackendError:
        return False


def _choices(bundle: Bundle, settings: AutoSettings, thresholds: Mapping[str, float] | None) -> Iterator[Choice]:
    return choices(bundle, thresholds, threads=settings.threads, max_batch=settings.max_batch)


def _trial(bundle: Bundle, all_: list[Choice], thresholds: Mapping[str, float] | None) -> tuple[str, BundleDetector]:
    """The fastest of those that see what they should; says what it chose and among what."""
    able: list[tuple[Choice, BundleDetector]] = []
    for choice in all_:
        try:
            detector = choice.open()
        except BackendError as exc:
            log.info("backend.not_tried", choice=_name(choice), reason=str(exc))
            continue
        try:
            wrong = [problem for result in selftest(bundle, detector, thresholds) for problem in result.problems]
        except BackendError as exc:
            wrong = [str(exc)]
        if wrong:
            log.warning("backend.refused", choice=_name(choice), reason=wrong[0])
            detector.close()
        else:
            able.append((choice, detector))
    if not able:
        raise BackendError(f"{bundle.model_ref}: no backend that is installed here runs it and sees what it should")
    measured = speeds([detector for _, detector in able], (), _ROUNDS)
    times = {_name(choice): round(speed.p50_ms, 2) for (choice, _), speed in zip(able, measured, strict=True)}
    best = min(range(len(able)), key=lambda place: measured[place].p50_ms)
    for place, (_, detector) in enumerate(able):
        if place != best:
            detector.close()
    chosen, detector = able[best]
    log.info("backend.chosen", model=bundle.model_ref, choice=_name(chosen), ms_a_picture=times)
    return _name(chosen), detector


def _plainest(bundle: Bundle) -> Precision | None:
    """What the model was made of, where it is there; a bundle of somebody else may hold 16 bits only."""
    return "fp32" if any(item.precision == "fp32" for item in bundle.manifest.artefacts) else None


def _name(choice: Choice) -> str:
    return f"{choice.backend}, {choice.artefact.file}"


def _file(bundle: Bundle, settings: AutoSettings) -> Path:
    """Named by all that a choice depends on: the bundle, the machine, and what runs models on it."""
    parts = [bundle.digest, str(settings.threads), platform.machine(), _processor(), *this_machine()]
    for name in _DRIVERS:
        try:
            parts.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return settings.cache_dir.expanduser() / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.json"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _remembered(file: Path) -> str:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return str(document.get("choice", "")) if isinstance(document, dict) else ""


def _forgotten(file: Path) -> bool:
    """Whether a choice could be removed; on a disk that is only read it would come back for ever."""
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _remember(file: Path, choice: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(".writing")
        aside.write_text(json.dumps({"choice": choice}) + "\n", "utf-8")
        aside.replace(file)
    except OSError as exc:  # it is chosen anew at the next start
        log.warning("backend.choice_not_kept", reason=str(exc))
