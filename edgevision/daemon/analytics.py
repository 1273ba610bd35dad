"""The one thread that turns results into events: tracking, analyses, verdicts, then actuator and outbox."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

import structlog

from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.supervisor import contained
from edgevision.events.base import Draft, Outbox
from edgevision.events.build import EventBuilder
from edgevision.station.base import TriggerSignal, Verdict
from edgevision.types import Detections, Frame, FrameTime, Occurrence, Part

log = structlog.get_logger(__name__)

TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """A frame with what was detected in it; ``arrived_t_s`` is when the frame came from its source (monotonic)."""

    frame: Frame
    detections: Detections
    arrived_t_s: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A trigger fired; ``known`` is set once it has been handed to the outbox."""

    camera: str
    signal: TriggerSignal
    known: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Missed:
    """No frame came for a trigger."""

    camera: str
    trigger_id: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A camera begins."""

    unit: CameraUnit


@dataclass(frozen=True, slots=True)
class Detached:
    """A camera goes: ``ended`` when its source is exhausted; ``settled`` is set when its state is handed over."""

    unit: CameraUnit
    ended: bool
    settled: threading.Event = field(default_factory=threading.Event)


Message = Result | Opened | Missed | Attached | Detached


class AnalyticsStage:
    """Consumes messages of all cameras; ``run`` is a stage.

    Args:
        outbox: Where events and states go.
        builder: Makes events of occurrences.
        metrics: Counts them.
        clock: Knows whether the wall clock is right.
        state_interval_s: How often a camera's state is stored when nothing happens.
    """

    def __init__(
        self,
        outbox: Outbox,
        builder: EventBuilder,
        metrics: Metrics,
        clock: ClockWatch,
        *,
        state_interval_s: float,
    ) -> None:
        self._outbox = outbox
        self._builder = builder
        self._metrics = metrics
        self._clock = clock
        self._state_interval_s = state_interval_s
        self._messages: queue.Queue[Message] = queue.Queue(maxsize=64)
        self._units: dict[str, CameraUnit] = {}
        self._next_tick_s = time.monotonic() + TICK_S

    def post(self, message: Message) -> None:
        """Hand over a message; blocks while the stage is behind."""
        self._messages.put(message)

    def run(self, stop: threading.Event) -> None:
        """Work until stopped; what was posted before is still worked on."""
        while True:
            try:
                message = self._messages.get(timeout=self._patience_s())
            except queue.Empty:
                if stop.is_set():
                    return
            else:
                self._handle(message)
            self._overdue()
            if time.monotonic() >= self._next_tick_s:
                self._tick()

    def _patience_s(self) -> float:
        now = time.monotonic()
        until = self._next_tick_s
        for unit in self._units.values():
            deadline = unit.pipeline.ledger.next_deadline_t_s() if unit.pipeline.ledger is not None else None
            if deadline is not None:
                until = min(until, deadline)
        return min(max(0.0, until - now), 0.2)

    def _handle(self, message: Message) -> None:
        match message:
            case Result(frame, detections, arrived_t_s):
                self._result(frame, detections, arrived_t_s)
            case Opened(camera, signal, known):
                self._opened(camera, signal)
                known.set()
            case Missed(camera, trigger_id):
                self._missed(camera, trigger_id)
            case Attached(unit):
                self._attached(unit)
            case Detached(unit, ended, settled):
                self._detached(unit, ended=ended)
                settled.set()

    def _result(self, frame: Frame, detections: Detections, arrived_t_s: float) -> None:
        unit = self._units.get(frame.camera)
        if unit is None:
            return  # a frame that was under way when its camera was taken away
        started = time.monotonic()
        well = self._guarded(unit, lambda: self._analyse(unit, frame, detections, arrived_t_s))
        unit.left()
        if not well:
            self._give_up(unit, frame.trigger_id, "analysis failed")
            return
        self._metrics.frames.labels(unit.name).inc()
        self._metrics.stage_seconds.labels("analytics").observe(time.monotonic() - started)
        self._metrics.stage_seconds.labels("total").observe(time.monotonic() - arrived_t_s)

    def _analyse(self, unit: CameraUnit, frame: Frame, detections: Detections, arrived_t_s: float) -> None:
        occurrences = unit.pipeline.step(frame, detections)
        unit.seen(frame.time)
        self._emit(unit, occurrences, arrived_t_s)

    def _guarded(self, unit: CameraUnit, work: Callable[[], None]) -> bool:
        """Do an analysis's work, maybe a foreign one's: when it crashes its own camera pays, and the others go on."""
        if unit.broken:
            return False
        error = contained(f"analyses/{unit.name}", work)
        if error is None:
            return True
        self._metrics.restarts.labels(f"analyses/{unit.name}").inc()
        if not unit.budget.spend(time.monotonic()):
            log.error("camera.failed", camera=unit.name, error=error)
            unit.broken = f"an analysis crashes: {error}"
            self._emit(unit, unit.pipeline.give_up("analysis failed"), None)
        return False

    def _opened(self, camera: str, signal: TriggerSignal) -> None:
        unit = self._units.get(camera)
        if unit is not None and unit.pipeline.opened(signal):
            self._metrics.triggers.labels(camera).inc()
            self._store(unit, [])
            if unit.broken:
                self._give_up(unit, signal.id, "analysis failed")

    def _missed(self, camera: str, trigger_id: str) -> None:
        unit = self._units.get(camera)
        if unit is not None:
            self._give_up(unit, trigger_id, "no frame")

    def _give_up(self, unit: CameraUnit, trigger_id: str | None, reason: str) -> None:
        ledger = unit.pipeline.ledger
        if trigger_id is not None and ledger is not None and ledger.part(trigger_id) is not None:
            self._emit(unit, ledger.give_up([trigger_id], reason), None)

    def _attached(self, unit: CameraUnit) -> None:
        self._units[unit.name] = unit
        self._guarded(unit, lambda: self._emit(unit, unit.pipeline.give_up("restart"), None))

    def _detached(self, unit: CameraUnit, *, ended: bool) -> None:
        if self._units.get(unit.name) is not unit:
            return
        again, unit.ended = unit.ended, ended and not unit.broken
        if unit.ended and not again:  # it has not come to its end in an earlier run already
            self._guarded(unit, lambda: self._emit(unit, unit.pipeline.finish(), None))
        self._guarded(unit, lambda: self._store(unit, []))
        del self._units[unit.name]

    def _overdue(self) -> None:
        now = time.monotonic()
        for unit in self._units.values():
            margin_s = unit.settings.station.margin_ms / 1000
            verdicts = unit.pipeline.overdue(now + margin_s)
            if verdicts:
                self._emit(unit, verdicts, None)

    def _tick(self) -> None:
        now = time.monotonic()
        self._next_tick_s = now + TICK_S
        for unit in self._units.values():
            self._metrics.fps.labels(unit.name).set(unit.fps())
            if unit.live and unit.last_arrival_t_s is not None and now - unit.last_arrival_t_s >= TICK_S:
                elapsed_s = now - unit.last_arrival_t_s
                self._guarded(unit, lambda unit=unit, s=elapsed_s: self._emit(unit, unit.pipeline.advance(s), None))  # type: ignore[misc]

    def _emit(self, unit: CameraUnit, occurrences: Sequence[Occurrence], arrived_t_s: float | None) -> None:
        for occurrence in occurrences:
            if occurrence.name == "verdict":
                self._verdict(unit, occurrence)
        quality = self._quality(unit)
        drafts = [
            self._builder.draft(item, camera=unit.name, model=unit.model, quality=quality, decided_t_s=arrived_t_s)
            for item in occurrences
        ]
        for item in occurrences:
            self._metrics.events.labels(unit.name, item.family, item.name).inc()
        if drafts or time.monotonic() - unit.stored_t_s >= self._state_interval_s:
            self._store(unit, drafts)

    def _verdict(self, unit: CameraUnit, occurrence: Occurrence) -> None:
        part = occurrence.part or Part(occurrence.key or "")
        result: Literal["ok", "ng", "review"] = occurrence.data["result"]  # type: ignore[assignment]
        reason = str(occurrence.data.get("reason") or "")
        self._metrics.verdicts.labels(unit.name, result, reason or "-").inc()
        if unit.actuation is None or reason == "restart":
            return
        deadline_ms = unit.settings.station.deadline_ms
        ledger = unit.pipeline.ledger
        deadline = ledger.deadline_t_s(part.trigger_id) if ledger is not None and part.trigger_id else None
        if deadline is None and deadline_ms is not None:
            deadline = time.monotonic() + deadline_ms / 1000
        unit.actuation.give(Verdict(part, result, reason, deadline, occurrence.data))

    def _store(self, unit: CameraUnit, drafts: list[Draft]) -> None:
        self._outbox.append(drafts, unit.snapshot())
        unit.stored_t_s = time.monotonic()

    def _quality(self, unit: CameraUnit) -> Mapping[str, Any]:
        last = unit.last_time or FrameTime(datetime.now(timezone.utc), 0.0)
        return {
            "camera": unit.condition,
            "time_source": last.source,
            "time_uncertainty_ms": last.uncertainty_ms,
            "clock_synced": self._clock.synced,
        }
