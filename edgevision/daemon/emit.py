"""From occurrences to what leaves the camera: verdicts to the machine first, events and state to the outbox second."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal

from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.supervisor import contained
from edgevision.events.base import Draft, Outbox
from edgevision.events.build import EventBuilder
from edgevision.station.base import Verdict
from edgevision.station.ledger import GIVEN_UP, RESTART
from edgevision.types import FrameTime, Occurrence, Part


class Emitter:
    """Used by the analytics thread.

    Args:
        outbox: Where events and states go.
        builder: Makes events of occurrences.
        metrics: Counts them.
        clock: Knows whether the wall clock is right.
        state_interval_s: How often a camera's state is stored when nothing happens.
    """

    def __init__(
        self, outbox: Outbox, builder: EventBuilder, metrics: Metrics, clock: ClockWatch, *, state_interval_s: float
    ) -> None:
        self._outbox = outbox
        self._builder = builder
        self._metrics = metrics
        self._clock = clock
        self._state_interval_s = state_interval_s

    def emit(self, unit: CameraUnit, occurrences: Sequence[Occurrence], arrived_t_s: float | None = None) -> None:
        """Act on verdicts and store events together with the state they come from.

        Args:
            unit: The camera.
            occurrences: What its analyses noticed; with none, the state is stored when that is due.
            arrived_t_s: When the frame came that led to them (monotonic), for the latency.
        """
        for occurrence in occurrences:
            if occurrence.name == "verdict":
                self._verdict(unit, occurrence)
        quality = self._quality(unit)
        drafts: list[Draft] = []
        for item in occurrences:
            more = {"camera": unit.name, "model": unit.model, "quality": quality, "decided_t_s": arrived_t_s}
            error = contained(
                f"events/{unit.name}",
                lambda item=item, more=more: drafts.append(self._builder.draft(item, **more)),  # type: ignore[misc]
            )
            kind = (unit.name, item.family, item.name)
            (self._metrics.events.labels(*kind) if error is None else self._metrics.refused.labels(unit.name)).inc()
        if drafts or time.monotonic() - unit.stored_t_s >= self._state_interval_s:
            self.store(unit, drafts)

    def store(self, unit: CameraUnit, drafts: Sequence[Draft] = ()) -> None:
        """Hand over events and the camera's state in one transaction."""
        self._outbox.append(drafts, unit.snapshot())
        unit.stored_t_s = time.monotonic()

    def _verdict(self, unit: CameraUnit, occurrence: Occurrence) -> None:
        part = occurrence.part or Part(occurrence.key or "")
        result: Literal["ok", "ng", "review"] = occurrence.data["result"]  # type: ignore[assignment]
        reason = str(occurrence.data.get("reason") or "")
        label = reason if reason in GIVEN_UP else "rules" if reason else "-"  # a judgement's words are without number
        self._metrics.verdicts.labels(unit.name, result, label).inc()
        if unit.actuation is None or reason == RESTART:
            return
        deadline_ms = unit.settings.station.deadline_ms
        ledger = unit.pipeline.ledger
        deadline = ledger.deadline_t_s(part.trigger_id) if ledger is not None and part.trigger_id else None
        if deadline is None and deadline_ms is not None:
            deadline = time.monotonic() + deadline_ms / 1000
        unit.actuation.give(Verdict(part, result, reason, deadline, occurrence.data))

    def _quality(self, unit: CameraUnit) -> Mapping[str, Any]:
        last = unit.last_time or FrameTime(datetime.now(timezone.utc), 0.0)
        return {
            "camera": unit.condition,
            "time_source": last.source,
            "time_uncertainty_ms": last.uncertainty_ms,
            "clock_synced": self._clock.synced,
        }
