"""The one thread that turns results into events: tracking, analyses, verdicts."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone

import structlog

from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.emit import Emitter
from edgevision.daemon.metrics import Metrics
from edgevision.sources.base import SourceState
from edgevision.station.base import TriggerSignal
from edgevision.station.ledger import ENDED, NO_FRAME, RESTART
from edgevision.types import Detections, Frame, Occurrence

log = structlog.get_logger(__name__)

TICK_S = 1.0
QUEUE = 64
POST_S = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """A frame with what was detected in it; ``arrived_t_s`` is when the frame came from its source (monotonic)."""

    frame: Frame
    detections: Detections
    arrived_t_s: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A trigger fired; ``accepted`` tells, once it has been handed to the outbox, whether it will get a verdict."""

    camera: str
    signal: TriggerSignal
    accepted: Future[bool] = field(default_factory=Future)


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
    """A camera goes: ``over`` when nothing more will come of it, because its source is exhausted or it was taken away.

    ``settled`` is set when its state is handed over.
    """

    unit: CameraUnit
    over: bool
    settled: threading.Event = field(default_factory=threading.Event)


Message = Result | Opened | Missed | Attached | Detached


class AnalyticsStage:
    """Consumes messages of all cameras; ``run`` is a stage.

    Args:
        emitter: Where occurrences go.
        metrics: Counts frames.
        on_trouble: Hears of a camera of whose analyses one is asked no more.
    """

    def __init__(self, emitter: Emitter, metrics: Metrics, on_trouble: Callable[[CameraUnit], None]) -> None:
        self._emitter = emitter
        self._metrics = metrics
        self._on_trouble = on_trouble
        self._messages: queue.Queue[Message] = queue.Queue(maxsize=QUEUE)
        self._dead = threading.Event()
        self._units: dict[str, CameraUnit] = {}
        self._leaving: dict[str, CameraUnit] = {}  # taken away while frames of theirs were under way
        self._next_tick_s = time.monotonic() + TICK_S

    def post(self, message: Message, deadline_s: float = float("inf")) -> None:
        """Hand over a message; waits while the stage is behind, until ``deadline_s`` (monotonic) or the stage's end."""
        while not self._dead.is_set() and time.monotonic() < deadline_s:
            try:
                self._messages.put(message, timeout=min(POST_S, max(0.0, deadline_s - time.monotonic())))
            except queue.Full:
                continue
            if self._dead.is_set():
                self.abandon()
            return
        self._refuse(message)

    def abandon(self) -> None:
        """The stage has failed for good: nobody shall wait for it any more."""
        self._dead.set()
        while not self._messages.empty():
            with suppress(queue.Empty):
                self._refuse(self._messages.get_nowait())

    def _refuse(self, message: Message) -> None:
        match message:
            case Opened():
                message.accepted.set_result(False)
            case Detached():
                message.settled.set()
            case Result(frame):
                self._left(frame)

    def _left(self, frame: Frame) -> None:
        unit = self._units.get(frame.camera) or self._leaving.get(frame.camera)
        if unit is not None:
            unit.left()

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
        until = self._next_tick_s
        for unit in self._units.values():
            deadline = unit.pipeline.ledger.next_deadline_t_s() if unit.pipeline.ledger is not None else None
            if deadline is not None:
                until = min(until, deadline - unit.settings.station.margin_s)
        return min(max(0.0, until - time.monotonic()), 0.2)

    def _handle(self, message: Message) -> None:
        match message:
            case Result(frame, detections, arrived_t_s):
                self._result(frame, detections, arrived_t_s)
            case Opened():
                self._opened(message)
            case Missed(camera, trigger_id):
                unit = self._units.get(camera)
                if unit is not None:
                    self._say(unit, unit.pipeline.give_up(NO_FRAME, trigger_id))
            case Attached(unit):
                self._attached(unit)
            case Detached(unit, over, settled):
                try:
                    if self._units.get(unit.name) is unit:
                        self._detached(unit, over=over)
                finally:
                    settled.set()

    def _result(self, frame: Frame, detections: Detections, arrived_t_s: float) -> None:
        unit = self._units.get(frame.camera)
        if unit is None:  # a frame that was under way when its camera was taken away
            self._left(frame)
            return
        started = time.monotonic()
        try:
            occurrences = unit.pipeline.step(frame, detections)
            unit.seen(frame.time)
            self._say(unit, occurrences, arrived_t_s)
        finally:
            unit.left()
        self._metrics.frames.labels(unit.name).inc()
        self._metrics.stage_seconds.labels("analytics").observe(time.monotonic() - started)
        self._metrics.stage_seconds.labels("total").observe(time.monotonic() - arrived_t_s)

    def _say(self, unit: CameraUnit, occurrences: Sequence[Occurrence], arrived_t_s: float | None = None) -> None:
        """Emit, and tell when an analysis is asked no more."""
        self._emitter.emit(unit, occurrences, arrived_t_s)
        if unit.pipeline.broken != unit.told_broken:
            log.error("camera.analysis_failed", camera=unit.name, error=unit.pipeline.broken)
            unit.told_broken = unit.pipeline.broken
            self._on_trouble(unit)
            self._say(unit, unit.pipeline.unanswerable())

    def _opened(self, message: Opened) -> None:
        unit, signal = self._units.get(message.camera), message.signal
        if unit is None or unit.pipeline.ledger is None:
            message.accepted.set_result(False)
            return
        if unit.pipeline.opened(signal):
            self._metrics.triggers.labels(unit.name).inc()
            self._emitter.store(unit)
        message.accepted.set_result(True)
        self._say(unit, unit.pipeline.unanswerable())

    def _attached(self, unit: CameraUnit) -> None:
        self._units[unit.name] = unit
        self._leaving.pop(unit.name, None)
        watched = unit.live and not unit.recorded
        if watched:
            unit.pipeline.begin(datetime.now(timezone.utc))
            unit.last_arrival_t_s = time.monotonic()
        if unit.pipeline.ledger is not None:  # counted here too, so that triggers = verdicts in every process
            self._metrics.triggers.labels(unit.name).inc(len(unit.pipeline.ledger))
        self._say(unit, unit.pipeline.give_up(RESTART))
        if watched:
            self._advance(unit, time.monotonic())  # intervals begin with the watch, whenever a frame comes

    def _detached(self, unit: CameraUnit, *, over: bool) -> None:
        again, unit.ended = unit.ended, over and unit.state is SourceState.ENDED
        if over and not again:  # it has not come to its end in an earlier run already
            self._say(unit, unit.pipeline.finish())
        if over or unit.failed:
            self._say(unit, unit.pipeline.give_up(ENDED))
        self._emitter.store(unit)
        del self._units[unit.name]
        if unit.in_flight > 0:
            self._leaving[unit.name] = unit

    def _overdue(self) -> None:
        now = time.monotonic()
        for unit in list(self._units.values()):
            until = now + unit.settings.station.margin_s
            if unit.pipeline.is_overdue(until):
                self._advance(unit, now)  # what has been seen of the part may do for a verdict
                self._say(unit, unit.pipeline.overdue(until))

    def _tick(self) -> None:
        now = time.monotonic()
        self._next_tick_s = now + TICK_S
        for unit in list(self._units.values()):
            self._metrics.fps.labels(unit.name).set(unit.fps())
            if unit.live and unit.last_arrival_t_s is not None and now - unit.last_arrival_t_s >= TICK_S:
                self._advance(unit, now)

    def _advance(self, unit: CameraUnit, now_s: float) -> None:
        elapsed_s = 0.0 if unit.last_arrival_t_s is None else now_s - unit.last_arrival_t_s
        self._say(unit, unit.pipeline.advance(elapsed_s))
