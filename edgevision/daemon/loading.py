"""Makes a model's detector ready: warm and checked against its golden pictures, without a wait for engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from edgevision.bundle import Bundle
from edgevision.config.daemon import ModelSettings
from edgevision.daemon.supervisor import contained
from edgevision.errors import BackendError, ImageError
from edgevision.inference.auto import AUTO
from edgevision.inference.base import Detector
from edgevision.inference.handover import Handover
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.selftest import selftest, warm_up
from edgevision.types import Health

log = structlog.get_logger(__name__)

Announce = Callable[[str, str, Sequence[str], int], None]
Fallback = Callable[[Bundle, "Mapping[str, float] | None"], Detector]

MOST_GOLDEN = 3  # pictures at a start, which has two seconds; `edgevision models verify` runs all of them


def plain_on_cpu(bundle: Bundle, thresholds: Mapping[str, float] | None) -> Detector:
    """The model as it was made, by ONNX Runtime on the CPU: what every machine can run.

    Raises:
        BackendError: ONNX Runtime is not there, or cannot load it.
        BundleError: The bundle has no such artefact, or is damaged.
    """
    return OnnxDetector(bundle, OnnxSettings(device="cpu", precision="fp32"), thresholds)


class Loading:
    """Loads one model, as often as its stage starts.

    Args:
        name: Name of the model in the settings.
        bundle: The model.
        settings: How to run it.
        backend_of: The detector's class by kind; one whose first use takes minutes offers
            ``stand_in(bundle, settings)``: the settings of what to work with meanwhile.
        announce: Told ``name@version#hash``, the backend, what differs, and the number of golden pictures.
        fallback: Makes a detector of a bundle and thresholds when the wanted one disagrees with the golden pictures.
    """

    def __init__(
        self,
        name: str,
        bundle: Bundle,
        settings: ModelSettings,
        backend_of: Callable[[str], Callable[..., Detector]],
        announce: Announce,
        *,
        fallback: Fallback = plain_on_cpu,
    ) -> None:
        self._name = name
        self._bundle = bundle
        self._settings = settings
        self._backend_of = backend_of
        self._announce = announce
        self._fallback = fallback
        self._problem = ""

    def load(self) -> Detector:
        """A detector that answers at once.

        Raises:
            BackendError: It cannot be loaded, or fails.
            BundleError: The bundle is damaged.
        """
        wanted = self._settings.backend
        stand_in = getattr(self._backend_of(wanted.kind), "stand_in", lambda *_: None)(self._bundle, wanted)  # type: ignore[attr-defined]
        if stand_in is None:
            return self._ready(wanted)
        log.info("model.stand_in", model=self._name, until="the better one is ready")
        first = self._ready(stand_in)
        after_first = wanted.kind == AUTO  # type: ignore[attr-defined]  # a trial is in no hurry
        return Handover(first, lambda: self._later(first), after_first=after_first)

    def health(self) -> Health:
        """Whether the model sees on this device what it saw when it was made."""
        return Health(f"selftest/{self._name}", not self._problem, self._problem)

    def _later(self, first: Detector) -> Detector | None:
        made: list[Detector] = []
        error = contained(f"model/{self._name}", lambda: made.append(self._better(first)))
        if error is not None:
            self._problem = f"{error}; a stand-in goes on"
            return None
        return made[0]

    def _better(self, first: Detector) -> Detector:
        made = self._ready(self._settings.backend, else_plain=False)
        if made.input != first.input or made.max_batch < first.max_batch:
            made.close()
            raise BackendError("the new detector wants other batches")
        return made

    def _ready(self, backend: Any, *, else_plain: bool = True) -> Detector:  # noqa: ANN401 - one of many settings
        """A detector that sees what the model saw when it was made: the wanted one, else the plain one on the CPU.

        Raises:
            BackendError: None does.
        """
        thresholds: Mapping[str, float] | None = self._settings.thresholds
        detector = self._backend_of(backend.kind)(self._bundle, backend, thresholds)
        try:
            if getattr(detector, "device", "cpu") != "cpu":
                warm_up(detector)
            good = self._agrees(detector, backend.kind)
        except BackendError as exc:  # it could be loaded, and fails with the first picture
            good, self._problem = False, f"{backend.kind}: {exc}"
        if good:
            return detector
        plain = _is_plain(detector, backend.kind)
        detector.close()
        if else_plain and not plain:
            log.warning("model.refused", model=self._name, reason=self._problem, instead="onnx cpu, fp32")
            problem, detector = self._problem, self._fallback(self._bundle, thresholds)
            if self._agrees(detector, "onnx"):
                self._problem = f"{problem}; onnx cpu runs instead"
                return detector
            detector.close()
        raise BackendError(f"it does not see what it saw when it was made: {self._problem}")

    def _agrees(self, detector: Detector, kind: str) -> bool:
        """Run the golden pictures and tell everybody."""
        pictures = min(len(self._bundle.manifest.golden), MOST_GOLDEN)
        if pictures == 0:
            return True
        backend = f"{kind} {getattr(detector, 'device', '')}".strip()
        try:
            results = selftest(self._bundle, detector, self._settings.thresholds, most=MOST_GOLDEN)
            problems = [f"{result.file}: {text}" for result in results for text in result.problems]
        except ImageError as exc:
            problems = [str(exc)]
        self._problem = f"{backend}: {problems[0]}" if problems else ""
        if problems:
            log.error("model.selftest_failed", model=self._name, backend=backend, problems=problems)
        self._announce(self._bundle.model_ref, backend, problems, pictures)
        return not problems


def _is_plain(detector: Detector, kind: str) -> bool:
    precision = getattr(getattr(detector, "artefact", None), "precision", None)
    return (kind, getattr(detector, "device", ""), precision) == ("onnx", "cpu", "fp32")
