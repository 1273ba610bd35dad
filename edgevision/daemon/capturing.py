"""Connects a camera's source with its model's batcher and with its triggers; ``run`` is a stage."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from edgevision.daemon.analytics import AnalyticsStage, Missed, Opened
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.triggered import TriggeredSource
from edgevision.errors import SourceInvalid
from edgevision.inference.batcher import Batcher
from edgevision.sources.base import SourceState
from edgevision.sources.capture import Capture
from edgevision.station.base import TriggerSignal
from edgevision.types import Frame

log = structlog.get_logger(__name__)

DEFAULT_FRAME_TIMEOUT_S = 1.0


class Capturing:
    """One camera's capture.

    Args:
        unit: The camera.
        batcher: Where its frames go.
        analytics: Hears of triggers.
        metrics: Counters.
        announce: Hears of every change of the camera's state.
    """

    def __init__(
        self,
        unit: CameraUnit,
        batcher: Batcher,
        analytics: AnalyticsStage,
        metrics: Metrics,
        announce: Callable[[CameraUnit], None],
    ) -> None:
        self._unit = unit
        self._batcher = batcher
        self._analytics = analytics
        self._metrics = metrics
        self._announce = announce
        if unit.trigger is not None:
            unit.source = TriggeredSource(
                unit.name,
                unit.source,
                unit.trigger,
                on_signal=self._signal,
                on_missed=self._missed,
                on_state=self._state,
                burst=unit.burst,
                timeout_s=self._frame_timeout_s(),
            )
        self._stop = threading.Event()
        batcher.add(unit.name, unit.source.policy)

    def run(self, stop: threading.Event) -> None:
        """Capture until stopped or until the source has ended or failed."""
        unit, self._stop = self._unit, stop
        if unit.ended:
            log.warning("camera.already_ended", camera=unit.name, hint="`--fresh` starts files over")
            self._state(SourceState.ENDED, "")
            return
        on_state = self._state if unit.trigger is None else self._outer_state
        Capture(unit.name, unit.source, self._put, on_state).run(stop)

    def gave_up(self, error: str) -> None:
        """The stage that runs this has failed for good."""
        self._state(SourceState.FAILED, f"its driver crashes: {error}")

    def _frame_timeout_s(self) -> float:
        station = self._unit.settings.station
        return DEFAULT_FRAME_TIMEOUT_S if station.deadline_ms is None else station.deadline_ms / 1000 - station.margin_s

    def _put(self, frame: Frame) -> None:
        if self._stop.is_set():
            return
        if self._unit.pipeline.dead:
            msg = f"nothing analyses it any more: {self._unit.pipeline.broken}"
            raise SourceInvalid(msg)
        self._unit.entered()
        if not self._batcher.put(frame):
            self._unit.left()
            self._metrics.drops.labels(self._unit.name, "stopped").inc()
            if self._batcher.abandoned:
                msg = "its model has failed for good"
                raise SourceInvalid(msg)

    def _state(self, state: SourceState, reason: str) -> None:
        if self._stop.is_set():
            return  # a camera that hung while it was taken away: its name may be another's by now
        unit = self._unit
        unit.state, unit.reason = state, reason
        self._metrics.online.labels(unit.name).set(float(state is SourceState.ONLINE))
        if state is SourceState.RECONNECTING:
            self._metrics.reconnects.labels(unit.name).inc()
        if state is not SourceState.STARTING:
            self._announce(unit)

    def _outer_state(self, state: SourceState, reason: str) -> None:
        """Of the loop around a triggered camera: only a broken trigger line counts, the rest comes from inside."""
        if state in {SourceState.RECONNECTING, SourceState.FAILED}:
            self._state(state, reason)

    def _signal(self, signal: TriggerSignal) -> None:
        self._analytics.post(Opened(self._unit.name, signal))

    def _missed(self, signal: TriggerSignal) -> None:
        self._analytics.post(Missed(self._unit.name, signal.id))
