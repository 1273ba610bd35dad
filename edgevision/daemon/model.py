"""One model at run time: its batcher and the stage that runs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from edgevision.daemon.metrics import Metrics
from edgevision.inference.base import Detector
from edgevision.inference.batcher import Batcher, OnInput, SkipReason, Timings
from edgevision.types import Detections, Frame, Health

log = structlog.get_logger(__name__)

OnAnswer = Callable[[Frame, Detections, float], None]
"""(frame, detections, monotonic time of the frame's arrival)."""
OnSkip = Callable[[Frame], None]


class ModelUnit:
    """Cameras put frames into ``batcher``; ``run`` is a stage that answers them.

    Args:
        name: Name of the model in the settings.
        ref: ``name@version#hash``.
        classes: Class names.
        load: Makes the detector; called at every start of the stage, so a crashed backend is loaded afresh.
        metrics: Counters.
        on_answer: Takes results; its waiting holds the model back.
        on_skip: Hears of every accepted frame that gets no answer.
        on_input: Shown what the model was given.
    """

    def __init__(
        self,
        name: str,
        ref: str,
        classes: tuple[str, ...],
        *,
        load: Callable[[], Detector],
        metrics: Metrics,
        on_answer: OnAnswer,
        on_skip: OnSkip,
        on_input: OnInput | None = None,
    ) -> None:
        self.name = name
        self.ref = ref
        self.classes = classes
        self._load = load
        self._metrics = metrics
        self._on_answer = on_answer
        self._on_skip = on_skip
        self._loaded = False
        self.batcher = Batcher(self._answered, self._skipped, on_input=on_input)

    def run(self, stop: threading.Event) -> None:
        """Load the model and answer frames until stopped."""
        started = time.perf_counter()
        detector = self._load()
        log.info("model.loaded", model=self.name, ref=self.ref, load_s=round(time.perf_counter() - started, 2))
        self._loaded = True
        try:
            self.batcher.run(detector, stop)
        finally:
            self._loaded = False
            detector.close()

    def health(self) -> Health:
        """Whether the model is loaded."""
        return Health(f"model/{self.name}", self._loaded, self.ref if self._loaded else "not loaded")

    def _answered(self, frame: Frame, detections: Detections, timings: Timings) -> None:
        total_s = (timings.queue_ms + timings.scale_ms + timings.infer_ms) / 1e3
        for stage, milliseconds in (
            ("queue", timings.queue_ms),
            ("scale", timings.scale_ms),
            ("infer", timings.infer_ms / timings.batch),
        ):
            self._metrics.stage_seconds.labels(stage).observe(milliseconds / 1e3)
        self._on_answer(frame, detections, time.monotonic() - total_s)

    def _skipped(self, frame: Frame, reason: SkipReason, detail: str) -> None:
        self._metrics.drops.labels(frame.camera, reason).inc()
        if reason in {"unreadable", "failed"}:
            log.warning("frame.skipped", reason=reason, camera=frame.camera, frame=frame.index, detail=detail)
        self._on_skip(frame)
